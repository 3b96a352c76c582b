// The application of main_test.go on Node's Socket.IO, to check the suite's expectations by.
// Usage: node --expose-gc server.mjs [port]
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer((req, res) => {
  if (req.url !== "/stats") return res.writeHead(404).end();
  globalThis.gc?.();
  res.writeHead(200, { "content-type": "application/json" });
  res.end(
    JSON.stringify({
      node: true,
      sessions: [io, strict, quick].reduce((n, s) => n + s.engine.clientsCount, 0),
      heap: process.memoryUsage().heapUsed + process.memoryUsage().external,
    }),
  );
});

const base = {
  serveClient: false,
  destroyUpgrade: false,
  maxHttpBufferSize: 1_000_000,
};
const all = {
  ...base,
  allowEIO3: true,
  perMessageDeflate: true,
  cookie: true,
  cors: { origin: ["https://app.example.com"], credentials: true },
};
const io = new Server(http, all);
const quick = new Server(http, {
  ...all,
  path: "/quick/",
  pingInterval: 300,
  pingTimeout: 5000,
  connectTimeout: 5000,
});
const strict = new Server(http, {
  ...base,
  path: "/strict/",
  allowRequest: (req, cb) => cb(req.headers["x-refuse"] ?? null, !req.headers["x-refuse"]),
});

for (const s of [io, strict, quick]) {
  s.on("connection", echo);
  s.of("/custom").on("connection", echo);
  s.of(/^\/dyn-\d+$/).on("connection", () => {});
  const greeted = s.of("/greeted");
  greeted.use((socket, next) => {
    socket.on("disconnect", (reason) => s.to(socket.handshake.auth.tell).emit("left", reason));
    socket.emit("early", 1);
    next();
  });
  greeted.on("connection", (socket) => socket.emit("late"));
  s.of("/refused").use((socket, next) => next(new Error("not authorized")));
  s.of("/refused-with-data").use((socket, next) =>
    next(Object.assign(new Error("not authorized"), { data: { code: "E1" } })),
  );
}

function echo(socket) {
  socket.emit("auth", socket.handshake.auth);
  socket.on("message", (...args) => socket.emit("message-back", ...args));
  socket.on("message-with-ack", (...args) => args.pop()(...args));
  socket.on("id", (ack) => ack(socket.id));
  socket.on("ask", () => socket.emit("question", 1, (...args) => socket.emit("answer", ...args)));
  socket.on("large", (size) => socket.emit("large", "x".repeat(size)));
  socket.on("leave", (close) => {
    socket.emit("last");
    socket.disconnect(close);
  });
}

http.listen(Number(process.argv[2] ?? 3000), "127.0.0.1");
