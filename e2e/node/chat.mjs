// A chat with the official SDK: a stream, a second request that has to wait until the stream is
// paid, and a third that nothing is left for. Tells what the SDK makes of each.
//
// usage: node chat.mjs http://127.0.0.1:8080
import OpenAI, { RateLimitError } from "openai";

const baseURL = `${process.argv[2]}/v1`;
const tell = (event, seen) => console.log(JSON.stringify({ event, ...seen }));
const budget = ({ headers }) => ({
  limit: headers.get("x-ratelimit-limit-tokens"),
  remaining: headers.get("x-ratelimit-remaining-tokens"),
  reset: headers.get("x-ratelimit-reset-tokens"),
});
const question = { model: "gpt-test", messages: [{ role: "user", content: "Hello?" }] };

async function ask(event, maxRetries) {
  const client = new OpenAI({ baseURL, apiKey: "none", maxRetries });
  const began = performance.now();
  try {
    const { data, response } = await client.chat.completions.create(question).withResponse();
    const waited_ms = performance.now() - began;
    tell(event, { ...budget(response), text: data.choices[0].message.content, usage: data.usage, waited_ms });
  } catch (error) {
    const is_rate_limit = error instanceof RateLimitError;
    const { status, message } = error;
    tell(event, { is_rate_limit, status, message, retry_after: error.headers?.get("retry-after") });
  }
}

const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const { data: stream, response } = await client.chat.completions
  .create({ ...question, stream: true, stream_options: { include_usage: true } })
  .withResponse();
tell("head", budget(response));
let patient;
let text = "";
let usage;
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
  if (!patient) {
    tell("first chunk", { text });
    patient = ask("patient", 2);
  }
}
tell("end", { text, usage });
await patient;
await ask("refused", 0);
