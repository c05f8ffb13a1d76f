import Form from "./form";

export default function Greet() {
  return (
    <>
      <h1>Greet</h1>
      <Form />
    </>
  );
}
