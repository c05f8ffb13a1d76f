// A custom server: the application, and a WebSocket at /socket that sends back what it receives.
// Takes the port from its first argument (0: any) and prints the one it got as a line of JSON.
import { createServer } from "node:http";

import next from "next";
import { WebSocketServer } from "ws";

const port = Number(process.argv[2] ?? 0);
const app = next({ dev: false, dir: import.meta.dirname });
await app.prepare();

const sockets = new WebSocketServer({ noServer: true });
sockets.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => {
    if (!isBinary && data.toString() === "close 4001") socket.close(4001, "as asked");
    else socket.send(data, { binary: isBinary });
  });
});

const handle = app.getRequestHandler();
const server = createServer((request, response) => handle(request, response));
server.on("upgrade", (request, socket, head) => {
  if (new URL(request.url, "http://localhost").pathname !== "/socket") return socket.destroy();
  sockets.handleUpgrade(request, socket, head, (opened) => sockets.emit("connection", opened, request));
});
server.listen(port, "127.0.0.1", () => {
  console.log(JSON.stringify({ event: "listening", port: server.address().port }));
});
