// Evaluations by OpenFeature's SDK for Node through OFREP: node openfeature_server.cjs ADDRESS KEY < questions.json
const { OpenFeature } = require("@openfeature/server-sdk");
const { OFREPProvider } = require("@openfeature/ofrep-provider");
const { readFileSync } = require("node:fs");

const [baseUrl, key] = process.argv.slice(2);

(async () => {
  await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl, headers: [["Authorization", `Bearer ${key}`]] }));
  const client = OpenFeature.getClient();
  const told = [];
  for (const { type, flag, otherwise, context } of JSON.parse(readFileSync(0))) {
    const details = await client[`get${type}Details`](flag, otherwise, context);
    told.push(details);
  }
  console.log(JSON.stringify(told));
})();
