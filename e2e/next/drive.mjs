// Uses the application as a person with a browser does, and prints what was seen as one JSON
// document: `{"checks": {name: {"ok": …, "seen": …}}, "errors": […]}`. Whatever the browser
// complains about is an error: console, exceptions, failed requests, answers from 400 up.
//
// usage: node drive.mjs http://127.0.0.1:8080
import { chromium } from "playwright-core";

const base = process.argv[2];
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
const page = await browser.newPage();
page.setDefaultTimeout(20_000);

const errors = [];
page.on("console", (message) => message.type() === "error" && errors.push(`console: ${message.text()}`));
page.on("pageerror", (error) => errors.push(`exception: ${error.message}`));
page.on("requestfailed", (request) => {
  // The router cancels prefetches that it no longer needs; that is its own decision.
  const reason = request.failure()?.errorText;
  if (reason !== "net::ERR_ABORTED") errors.push(`failed: ${request.url()} ${reason}`);
});
page.on("response", (response) => response.status() >= 400 && errors.push(`${response.status()}: ${response.url()}`));

const checks = {};
async function check(name, act) {
  try {
    const { ok, ...seen } = await act();
    checks[name] = { ok, seen };
  } catch (error) {
    checks[name] = { ok: false, seen: String(error) };
  }
}
const heading = () => page.locator("h1").textContent();

await check("hydration", async () => {
  await page.goto(`${base}/`);
  const button = page.locator("#counter");
  await button.click();
  await page.locator("#counter", { hasText: "1 clicks" }).waitFor();
  return { ok: true, text: await button.textContent() };
});

await check("image", async () => {
  const width = await page.locator("#picture").evaluate(async (image) => {
    await image.decode();
    return image.naturalWidth;
  });
  const source = await page.locator("#picture").evaluate((image) => image.currentSrc);
  return { ok: width > 0 && source.includes("/_next/image?url="), width, source };
});

await check("navigation", async () => {
  // Survives only if the document is not loaded anew.
  await page.evaluate(() => { window.stayed = true; });
  const rsc = page.waitForResponse((response) => response.url().includes("_rsc=") && response.url().includes("/items/42"));
  await page.getByRole("link", { name: "Item 42" }).click();
  await page.getByRole("heading", { name: "Item 42" }).waitFor();
  const type = (await rsc).headers()["content-type"];
  const stayed = await page.evaluate(() => window.stayed === true);
  return { ok: stayed && type === "text/x-component", stayed, type, heading: await heading() };
});

await check("server_action", async () => {
  await page.getByRole("link", { name: "Greet" }).click();
  await page.locator("input[name=name]").fill("Grüße & <Co>");
  const posted = page.waitForRequest((request) => request.method() === "POST");
  await page.getByRole("button", { name: "Greet" }).click();
  await page.locator("#greeting", { hasText: "Hello" }).waitFor();
  const greeting = await page.locator("#greeting").textContent();
  const action = (await posted).headers()["next-action"];
  return { ok: greeting === "Hello, Grüße & <Co>" && Boolean(action), greeting, action };
});

await check("suspense", async () => {
  await page.goto(`${base}/slow`, { waitUntil: "commit" });
  await page.locator("#waiting").waitFor();
  const early = await page.locator("#answer").count();
  await page.locator("#answer", { hasText: "It took a second" }).waitFor();
  return { ok: early === 0, early };
});

await check("event_stream", async () => {
  const arrivals = await page.evaluate(() => new Promise((resolve, reject) => {
    const seen = [];
    const source = new EventSource("/api/ticks");
    source.onmessage = ({ data }) => {
      seen.push({ sent: Number(data), arrived: Math.round(performance.now()) });
      if (seen.length === 5) { source.close(); resolve(seen); }
    };
    source.onerror = () => { source.close(); reject(new Error(`ended after ${seen.length} events`)); };
  }));
  const gaps = arrivals.slice(1).map((event, index) => event.arrived - arrivals[index].arrived);
  return { ok: gaps.every((gap) => gap >= 100), gaps };
});

await check("web_socket", async () => {
  const seen = await page.evaluate(() => new Promise((resolve, reject) => {
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/socket`);
    const sizes = [];
    let text;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { socket.send("hello"); socket.send(new Uint8Array(70_000)); };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") text = data;
      else { sizes.push(data.byteLength); socket.send("close 4001"); }
    };
    socket.onclose = ({ code, reason }) => resolve({ text, sizes, code, reason });
    setTimeout(() => reject(new Error("not closed in time")), 10_000);
  }));
  return { ok: seen.text === "hello" && seen.sizes[0] === 70_000 && seen.code === 4001, ...seen };
});

await browser.close();
console.log(JSON.stringify({ checks, errors }, null, 2));
process.exitCode = errors.length === 0 && Object.values(checks).every(({ ok }) => ok) ? 0 : 1;
