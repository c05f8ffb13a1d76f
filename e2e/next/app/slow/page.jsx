import { Suspense } from "react";

export const dynamic = "force-dynamic";

async function Answer() {
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return <p id="answer">It took a second</p>;
}

export default function Slow() {
  return (
    <>
      <h1>Slow</h1>
      <Suspense fallback={<p id="waiting">Waiting</p>}>
        <Answer />
      </Suspense>
    </>
  );
}
