// Five events, one every 200 ms, each with the number of milliseconds since the first.
export const dynamic = "force-dynamic";

const EVENTS = 5;
const EVERY_MS = 200;

export async function GET() {
  const began = Date.now();
  const encoder = new TextEncoder();
  const body = new ReadableStream({
    async pull(controller) {
      const passed = Date.now() - began;
      controller.enqueue(encoder.encode(`data: ${passed}\n\n`));
      if (passed >= (EVENTS - 1) * EVERY_MS) controller.close();
      else await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
}
