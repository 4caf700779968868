// A home page whose banner Segue decides on, through OpenFeature's SDK for servers: npm install && node server.js
const http = require("node:http");
const { OpenFeature } = require("@openfeature/server-sdk");
const { OFREPProvider } = require("@openfeature/ofrep-provider");

const { SEGUE = "http://127.0.0.1:8080", SEGUE_SECRET_KEY = "demo-secret-key", PORT = "8091" } = process.env;
const TIMEOUT_MS = 300; // for the whole answer; Segue itself takes 200 ms at most
const DEFAULT = { headline: "New arrivals this week", link: "/collections/new" };

const segue = OpenFeature.getClient();
const provider = new OFREPProvider({
  baseUrl: SEGUE,
  headers: [["Authorization", `Bearer ${SEGUE_SECRET_KEY}`]],
  fetchImplementation: (request) => fetch(request, { signal: AbortSignal.timeout(TIMEOUT_MS) }),
});

const escaped = (text) => String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** Who asks: the cookie of segue.js (`data-cookie`) is there once the visitor has agreed. */
const visitorOf = ({ headers }) => /(?:^|; )segue_anonymous_id=([\w.-]{1,100})(?:;|$)/.exec(headers.cookie ?? "")?.[1];

/** The slot's content. Whatever goes wrong, the SDK answers with the default. */
const hero = async (visitor) =>
  visitor
    ? segue.getObjectValue("homepage-hero", DEFAULT, { targetingKey: visitor, segue_deadline_ms: 200 })
    : DEFAULT;

const server = http.createServer(async (request, response) => {
  const { headline, link } = { ...DEFAULT, ...(await hero(visitorOf(request))) };
  const safeLink = /^(\/|https?:\/\/)/.test(link) ? link : DEFAULT.link;
  response.writeHead(200, {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "private, no-store", // it is one visitor's page: no cache may keep it for others
    Vary: "Cookie",
  });
  response.end(`<!doctype html>
<html lang="en">
<title>Shop</title>
<script async src="${SEGUE}/segue.js" data-key="demo-write-key" data-cookie></script>
<main><h1>${escaped(headline)}</h1><a href="${escaped(safeLink)}">Have a look</a></main>
</html>
`);
});

OpenFeature.setProviderAndWait(provider).then(() =>
  server.listen(Number(PORT), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`)),
);
