// The reference fixture: the behaviours of server/main.go, served by Node's own Socket.IO.
//
// The suite runs against it with FIXTURE unset (npm test), so that every expectation in *.test.mjs
// is known to be true of Node. It is the list of what the fixture does; server/main.go is its twin.
// One process serves several Socket.IO servers, told apart by their path:
//
//   /socket.io/  defaults, CORS with credentials for one origin, EIO3 allowed
//   /tight/      small limits: 1,000-byte messages, 1 s to connect to a namespace
//   /recovery/   connection state recovery
//   /deflate/    perMessageDeflate and httpCompression, low thresholds
//   /msgpack/    socket.io-msgpack-parser
//   /sticky/     refuses a request with a sid but without the balancer's cookie, as another node would
//
//and one plain resource, /stats: how many sessions are open.
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { Server } from "socket.io";
import msgpack from "socket.io-msgpack-parser";

const { values: flags } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    "ping-interval": { type: "string", default: "25000" },
    "ping-timeout": { type: "string", default: "20000" },
    origin: { type: "string", default: "http://app.example" },
  },
});

const http = createServer();
http.setMaxListeners(0);
const base = {
  allowEIO3: true,
  serveClient: false,
  destroyUpgrade: false,
  pingInterval: Number(flags["ping-interval"]),
  pingTimeout: Number(flags["ping-timeout"]),
  cors: { origin: [flags.origin], credentials: true },
};
const servers = [
  new Server(http, base),
  new Server(http, { ...base, path: "/tight/", maxHttpBufferSize: 1000, connectTimeout: 1000 }),
  new Server(http, {
    ...base,
    path: "/recovery/",
    connectionStateRecovery: { maxDisconnectionDuration: 60_000, skipMiddlewares: true },
  }),
  new Server(http, {
    ...base,
    path: "/deflate/",
    perMessageDeflate: { threshold: 64 },
    httpCompression: { threshold: 64 },
  }),
  new Server(http, { ...base, path: "/msgpack/", parser: msgpack }),
  new Server(http, { ...base, path: "/sticky/" }),
];

for (const io of servers) application(io);

function application(io) {
  io.use((socket, next) => {
    socket.data.order = ["first"];
    next();
  });
  io.use(async (socket, next) => {
    await null;
    socket.data.order.push("second");
    next();
  });
  io.on("connection", (socket) => listen(io, socket));

  io.of("/admin").on("connection", (socket) => listen(io, socket));
  io.of(/^\/dyn-\d+$/).on("connection", (socket) => listen(io, socket));

  const guarded = io.of("/private");
  guarded.use((socket, next) => {
    if (socket.handshake.auth.token === "secret") return next();
    if (socket.handshake.auth.token === "expired") return next(new Error("token expired")); // in words alone
    const error = new Error("not authorized");
    error.data = { code: "E401", hint: ["token"] };
    next(error);
  });
  guarded.on("connection", (socket) => listen(io, socket));
}

// watched holds who asked for the end of a socket, and ended those already gone.
const watched = new Map();
const ended = new Map();

function listen(io, socket) {
  const nsp = socket.nsp;
  let answers = 0;
  let burst = { count: 0, next: 0, ordered: true };
  const seen = [];

  socket.emit("welcome", { id: socket.id, nsp: nsp.name, recovered: !!socket.recovered, order: socket.data.order });

  socket.use(([event], next) => (event === "blocked" ? next(new Error("blocked by middleware")) : next()));
  socket.on("error", (error) => socket.emit("refused", error.message));
  socket.onAny((event) => seen.push(event));

  // echo answers with its own arguments, by acknowledgement when asked for one.
  socket.on("echo", (...args) => {
    const ack = typeof args.at(-1) === "function" ? args.pop() : null;
    if (ack) ack(...args);
    else socket.emit("echo", ...args);
  });
  // typed is echo through the server language's own types.
  socket.on("typed", ({ n, s, b, list }, ack) =>
    ack({ n: n + 1, s: s + "!", b: Buffer.from(b).reverse(), list: list.map((x) => x * 2) }),
  );

  socket.on("question", (value, ack) => socket.emit("answer-me", value, (answer) => ack(answer)));
  socket.on("question-unanswered", (ms, ack) =>
    socket.timeout(ms).emit("never", (error) => ack(error ? error.message : null)),
  );
  socket.on("silent", (ack) => {});

  socket.on("join", (room, ack) => (socket.join(room), ack()));
  socket.on("leave", (room, ack) => (socket.leave(room), ack()));
  socket.on("rooms", (ack) => ack([...socket.rooms].sort()));
  // to sends to others, all to everyone; both take {rooms, except}.
  socket.on("to", ({ rooms = [], except = [] }, event, ...args) => {
    const ack = args.pop();
    socket.to(rooms).except(except).emit(event, ...args);
    ack();
  });
  socket.on("all", ({ rooms = [], except = [] }, event, ...args) => {
    const ack = args.pop();
    nsp.to(rooms).except(except).emit(event, ...args);
    ack();
  });
  socket.on("ask-room", (room, ms, event, arg, ack) =>
    nsp
      .to(room)
      .timeout(ms)
      .emit(event, arg, (error, responses) => ack(error ? error.message : null, responses.sort())),
  );
  socket.on("fetch", async (room, ack) => ack((await nsp.in(room).fetchSockets()).map((s) => s.id).sort()));
  socket.on("move", (from, to, ack) => (nsp.in(from).socketsJoin(to), nsp.in(from).socketsLeave(from), ack()));
  socket.on("clear", (room, close, ack) => (nsp.in(room).disconnectSockets(close), ack()));

  socket.on("volatile", (n, ack) => {
    for (let i = 0; i < n; i++) socket.volatile.emit("v", i);
    ack();
  });
  socket.on("count", (i) => {
    burst.ordered &&= i === burst.next;
    burst.next = i + 1;
    burst.count++;
  });
  socket.on("count-binary", (i, bytes) => {
    burst.ordered &&= i === burst.next && bytes.length === 8 && bytes.readUInt32BE(0) === i;
    burst.next = i + 1;
    burst.count++;
  });
  socket.on("counted", (ack) => (ack({ count: burst.count, ordered: burst.ordered }), (burst = { count: 0, next: 0, ordered: true })));
  socket.on("send", (n, binary) => {
    for (let i = 0; i < n; i++) {
      if (binary) {
        const bytes = Buffer.alloc(8);
        bytes.writeUInt32BE(i);
        socket.emit("b", i, bytes);
      } else socket.emit("b", i);
    }
    socket.emit("sent", n);
  });

  socket.on("large", (n, ack) => ack("x".repeat(n)));
  socket.on("large-binary", (n, ack) => ack(Buffer.alloc(n, 7)));
  socket.on("length", (value, ack) => ack(value.length));

  socket.on("leave-namespace", () => socket.disconnect());
  socket.on("kick", () => socket.disconnect(true));
  socket.on("drop", () => socket.conn.close());
  socket.on("last-words", () => {
    socket.emit("last", 1);
    socket.emit("last", 2);
    socket.disconnect();
  });
  socket.on("answer-late", (ack) => (answers++, ack(answers)));

  socket.on("handshake", (ack) => {
    const h = socket.handshake;
    ack({
      address: h.address.replace("::ffff:", ""),
      secure: h.secure,
      xdomain: h.xdomain,
      url: h.url,
      query: h.query,
      auth: h.auth,
      issued: typeof h.issued,
      custom: h.headers["x-custom"],
      origin: h.headers.origin,
    });
  });
  socket.on("transport", (...args) => args.at(-1)(socket.conn.transport.name));
  socket.on("seen", (ack) => ack(seen.filter((event) => event !== "seen")));
  socket.on("data", (value, ack) => {
    if (value !== null) socket.data.value = value;
    ack(socket.data.value ?? null);
  });

  // watch answers with the reason once the socket of that id has ended.
  socket.on("watch", (id, ack) => {
    if (ended.has(id)) ack(ended.get(id));
    else watched.set(id, [...(watched.get(id) ?? []), ack]);
  });
  socket.on("forget", (id, ack) => (ended.delete(id), ack()));
  socket.on("disconnecting", () => (socket.data.roomsAtEnd = [...socket.rooms].length));
  socket.on("disconnect", (reason) => {
    const end = { reason, roomsAtEnd: socket.data.roomsAtEnd };
    ended.set(socket.id, end);
    for (const ack of watched.get(socket.id) ?? []) ack(end);
    watched.delete(socket.id);
  });
}

// Everything HTTP passes the balancer's rule and /stats first.
for (const event of ["request", "upgrade"]) {
  const inner = http.listeners(event).slice();
  http.removeAllListeners(event);
  http.on(event, (req, res, head) => {
    const url = new URL(req.url, "http://localhost");
    if (event === "upgrade") res.on("error", () => {}); // res is the connection; a client may cut it
    if (event === "request" && url.pathname === "/stats") {
      const sessions = servers.reduce((n, io) => n + io.engine.clientsCount, 0);
      res.setHeader("content-type", "application/json");
      return res.end(JSON.stringify({ sessions, nodeVersion: process.version }));
    }
    if (url.pathname === "/sticky/") {
      if (event === "request") res.setHeader("set-cookie", ["AWSALB=node-1; Path=/", "AWSALBCORS=node-1; Path=/; SameSite=None; Secure"]);
      // Any node answers a preflight, which never has a cookie.
      if (req.method !== "OPTIONS" && url.searchParams.has("sid") && !/AWSALB=node-1/.test(req.headers.cookie ?? "")) {
        if (event === "upgrade") return res.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        res.writeHead(400, { "content-type": "application/json" });
        return res.end('{"code":1,"message":"Session ID unknown"}');
      }
    }
    if (!servers.some((io) => url.pathname === io.path() + "/")) {
      if (event === "upgrade") return res.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
      return res.writeHead(404).end();
    }
    for (const listener of inner) listener.call(http, req, res, head);
  });
}

http.listen(Number(flags.port), "127.0.0.1", () => {
  console.log(JSON.stringify({ port: http.address().port }));
});

// Whoever started the fixture holds its standard input open.
process.stdin.resume().on("end", () => process.exit(0));

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, () => {
    for (const io of servers) io.close();
    setTimeout(() => process.exit(0), 300); // the last answers leave
  });
}
