// An application whose sign-in is that of Auth.js, with one person who knows the password. Tells
// each password that was tried.
import { ExpressAuth } from "@auth/express";
import Credentials from "@auth/express/providers/credentials";
import express from "express";

const tell = (event, seen) => console.log(JSON.stringify({ event, ...seen }));
let tried = 0;

const app = express();
// A group without a name, since Auth.js finds the folder that it is in by it.
app.use(/^\/api\/auth\/(.*)/, ExpressAuth({
  secret: "0123456789abcdef0123456789abcdef",
  trustHost: true,
  logger: { error() {}, warn() {}, debug() {} },
  providers: [
    Credentials({
      credentials: { email: {}, password: { type: "password" } },
      authorize({ email, password }) {
        tried += 1;
        tell(`tried ${tried}`, { email, password });
        return email === "anna@example.com" && password === "right" ? { id: "1", email } : null;
      },
    }),
  ],
}));

const server = app.listen(0, "127.0.0.1", () => tell("listening", { port: server.address().port }));
