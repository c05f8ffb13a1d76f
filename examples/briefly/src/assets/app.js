// Sends the text to the chat and shows the answer while it arrives.
const form = document.getElementById("chat");
const answer = document.getElementById("answer");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  answer.textContent = "";
  const response = await fetch("/api/chat", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: form.elements.text.value }] }),
  });
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    answer.textContent = problem.title ?? `That did not work (${response.status}).`;
    return;
  }
  let rest = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + chunk).split("\n\n");
    rest = events.pop();
    for (const data of events.map((text) => text.replace(/^data: /, ""))) {
      if (data === "[DONE]") return;
      answer.append(JSON.parse(data).choices[0]?.delta.content ?? "");
    }
  }
});
