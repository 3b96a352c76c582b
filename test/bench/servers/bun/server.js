// The benchmark's server on Bun with @socket.io/bun-engine, default options. It tells its port and takes the
// order "gc" on its standard input; see servers/control.
import { Server as Engine } from "@socket.io/bun-engine";
import { Server } from "socket.io";

const io = new Server();
const engine = new Engine({ path: "/socket.io/" });
io.bind(engine);
io.on("connection", (socket) => {
  socket.on("echo", (text, ack) => ack(text));
  socket.on("size", (text, ack) => ack(text.length));
  socket.on("bin", (data, ack) => ack(data));
  socket.on("broadcast", (text) => io.emit("msg", text));
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack(1);
  });
  socket.on("room", (room, text) => io.to(room).emit("msg", text));
});
const server = Bun.serve({ hostname: "127.0.0.1", port: 0, ...engine.handler() });
console.log("port " + server.port);

for await (const order of console) {
  if (order === "") continue; // the end of its input
  Bun.gc(true);
  console.log(JSON.stringify({ heap: process.memoryUsage().heapUsed, sessions: io.sockets.sockets.size }));
}
process.exit(0);
