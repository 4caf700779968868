// A visit by analytics.js, which knows nothing but our address; `settings` are those of its Segment.io integration.
async ({ address, writeKey, visit, settings }) => {
  const analytics = AnalyticsNext.AnalyticsBrowser.load(
    { writeKey, cdnURL: address },
    settings ? { integrations: { "Segment.io": settings } } : {},
  );
  for (const { type, ...call } of visit) {
    if (type === "page") analytics.page(undefined, call.name, call.properties);
    if (type === "track") analytics.track(call.event, call.properties);
    if (type === "identify") analytics.identify(call.userId, call.traits);
    if (type === "group") analytics.group(call.groupId, call.traits);
  }
};
