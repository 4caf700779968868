// A visit by RudderStack's SDK for browsers; `settings` are its load options.
async ({ address, writeKey, visit, settings }) => {
  const analytics = new rudderanalytics.RudderAnalytics();
  await new Promise((ready) => analytics.load(writeKey, address, { configUrl: address, onLoaded: ready, ...settings }));
  for (const { type, ...call } of visit) {
    if (type === "page") analytics.page(undefined, call.name, call.properties);
    if (type === "track") analytics.track(call.event, call.properties);
    if (type === "identify") analytics.identify(call.userId, call.traits);
    if (type === "group") analytics.group(call.groupId, call.traits);
  }
};
