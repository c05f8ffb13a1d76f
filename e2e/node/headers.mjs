// Asks one after another on one connection, and tells what parsers of others read in each answer:
// `structured-headers` the fields as RFC 9651 has them, `ratelimit-header-parser` what it makes of
// the answer, and of its `X-RateLimit-…` alone.
//
// usage: node headers.mjs http://127.0.0.1:8080/path COUNT
import http from "node:http";

import { parseRateLimit } from "ratelimit-header-parser";
import { parseDictionary, parseList } from "structured-headers";

const [, , url, count] = process.argv;
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

const get = () => new Promise((resolve, reject) => {
  http.get(url, { agent }, (answer) => {
    answer.resume();
    answer.on("end", () => resolve(answer));
    answer.on("error", reject);
  }).on("error", reject);
});

const item = ([value, parameters]) => [value, Object.fromEntries(parameters)];

// As a list, or as the dictionary that the seventh draft had.
function structured(value) {
  if (value === undefined) return null;
  try {
    return parseList(value).map(item);
  } catch {
    return Object.fromEntries([...parseDictionary(value)].map(([key, [number]]) => [key, number]));
  }
}

const known = (limit) => limit && { ...limit, reset: limit.reset.getTime() / 1000 };

for (let number = 0; number < Number(count); number += 1) {
  const asked = Date.now() / 1000;
  const { statusCode, headers } = await get();
  const answered = Date.now() / 1000;
  const legacy = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith("x-ratelimit-")));
  console.log(JSON.stringify({
    event: `answer ${number}`,
    status: statusCode,
    asked,
    answered,
    retry_after: headers["retry-after"] === undefined ? null : Number(headers["retry-after"]),
    policy: structured(headers["ratelimit-policy"]),
    state: structured(headers.ratelimit),
    parsed: known(parseRateLimit(headers)) ?? null,
    legacy: known(parseRateLimit(legacy)) ?? null,
  }));
}
agent.destroy();
