"use client";

import { useActionState } from "react";

import { greet } from "./action";

export default function Form() {
  const [greeting, submit, pending] = useActionState(greet, "");
  return (
    <form action={submit}>
      <input name="name" required />
      <button disabled={pending}>Greet</button>
      <output id="greeting">{greeting}</output>
    </form>
  );
}
