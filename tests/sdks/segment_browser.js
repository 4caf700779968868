// A visit by analytics.js, which knows nothing but our address; `settings` are those of its Segment.io integration.
async ({ address, writeKey, visit, settings }) => {
  const analytics = AnalyticsNext.AnalyticsBrowser.load(
    { writeKey, cdnURL: address },
    settings ? { integrations: { "Segment.io": settings } } : {},
  );
  await Promise.all(
    visit.map(({ type, ...call }) => {
      if (type === "page") return analytics.page(undefined, call.name, call.properties);
      if (type === "track") return analytics.track(call.event, call.properties);
      if (type === "identify") return analytics.identify(call.userId, call.traits);
      return analytics.group(call.groupId, call.traits);
    }),
  );
};
