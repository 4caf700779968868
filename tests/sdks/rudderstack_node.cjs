// A visit by RudderStack's SDK for Node: node rudderstack_node.cjs ADDRESS WRITE_KEY < visit.json
const Analytics = require("@rudderstack/rudder-sdk-node");
const { readFileSync } = require("node:fs");

const [dataPlaneUrl, writeKey] = process.argv.slice(2);
const errorHandler = (error) => console.error("lost:", error.message);
const analytics = new Analytics(writeKey, { dataPlaneUrl, flushAt: 3, flushInterval: 200, errorHandler });

let ids = { anonymousId: "visitor-1" };
for (const { type, ...call } of JSON.parse(readFileSync(0))) {
  if (type === "identify") ids = { ...ids, userId: call.userId };
  analytics[type]({ ...call, ...ids });
}
