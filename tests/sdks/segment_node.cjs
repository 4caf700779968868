// A visit by Segment's SDK for Node: node segment_node.cjs ADDRESS WRITE_KEY < visit.json
const { Analytics } = require("@segment/analytics-node");
const { readFileSync } = require("node:fs");

const [host, writeKey] = process.argv.slice(2);
const analytics = new Analytics({ writeKey, host, flushAt: 3, flushInterval: 200 });
analytics.on("error", (error) => console.error("lost:", error));

let ids = { anonymousId: "visitor-1" };
for (const { type, ...call } of JSON.parse(readFileSync(0))) {
  if (type === "identify") ids = { ...ids, userId: call.userId };
  analytics[type]({ ...call, ...ids });
}
analytics.closeAndFlush({ timeout: 60_000 });
