// The benchmark's server on Bun with @socket.io/bun-engine, default options. It tells its port and takes the
// order "gc" on its standard input; see servers/control.
import { Server as Engine } from "@socket.io/bun-engine";
import { Server } from "socket.io";
import register from "../node/handlers.js";

const io = new Server();
const engine = new Engine({ path: "/socket.io/" });
io.bind(engine);
register(io);
const server = Bun.serve({ hostname: "127.0.0.1", port: 0, ...engine.handler() });
console.log("port " + server.port);

for await (const order of console) {
  if (order === "") continue; // the end of its input
  Bun.gc(true);
  console.log(JSON.stringify({ heap: process.memoryUsage().heapUsed, sessions: io.sockets.sockets.size }));
}
process.exit(0);
