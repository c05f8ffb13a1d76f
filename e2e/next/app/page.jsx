import Image from "next/image";

import Counter from "./counter";
import picture from "./picture.png";

export default function Home() {
  return (
    <>
      <h1>Home</h1>
      <Counter />
      <Image id="picture" src={picture} alt="A gradient" priority />
    </>
  );
}
