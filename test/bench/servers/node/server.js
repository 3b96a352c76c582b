// The benchmark's server on Node's Socket.IO with ws, default options. It tells its port and takes the
// order "gc" on its standard input; see servers/control.
"use strict";

const { createServer } = require("node:http");
const readline = require("node:readline");
const { Server } = require("socket.io");
const register = require("./handlers.js");

async function main() {
  const http = createServer();
  const io = new Server(http, { serveClient: false });
  const redis = process.argv.indexOf("-redis");
  if (redis > 0) {
    const { createClient } = require("redis");
    const { createAdapter } = require("@socket.io/redis-adapter");
    const pub = createClient({ url: "redis://" + process.argv[redis + 1] });
    const sub = pub.duplicate();
    await Promise.all([pub.connect(), sub.connect()]);
    io.adapter(createAdapter(pub, sub));
  }
  register(io);
  http.listen(0, "127.0.0.1", () => console.log("port " + http.address().port));

  const orders = readline.createInterface({ input: process.stdin });
  orders.on("line", () => {
    global.gc();
    global.gc();
    console.log(JSON.stringify({
      heap: process.memoryUsage().heapUsed,
      sessions: io.engine.clientsCount,
    }));
  });
  orders.on("close", () => process.exit(0));
}

main();
