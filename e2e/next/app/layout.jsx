import Link from "next/link";

export const metadata = { title: "Palisade test application" };

const PAGES = { Home: "/", "Item 42": "/items/42", Greet: "/greet", Slow: "/slow" };

export default function Layout({ children }) {
  return (
    <html lang="en">
      <body>
        <nav>
          {Object.entries(PAGES).map(([title, path]) => (
            <Link key={path} href={path}>{title} </Link>
          ))}
        </nav>
        <main>{children}</main>
      </body>
    </html>
  );
}
