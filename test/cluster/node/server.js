// A Socket.IO server of Node for a mixed cluster: does what clients ask it to do to the whole cluster,
// as the Go server of cluster_test.go does.
"use strict";
const { Server } = require("socket.io");
const { createAdapter, createShardedAdapter } = require("@socket.io/redis-adapter");
const streams = require("@socket.io/redis-streams-adapter");
const { createClient } = require("redis");
const http = require("http");

async function start({ mode, redis, prefix }) {
  const pub = createClient({ url: redis });
  const sub = pub.duplicate();
  await Promise.all([pub.connect(), sub.connect()]);
  const http_ = http.createServer();
  const adapter = {
    pubsub: () => createAdapter(pub, sub, { key: prefix }),
    sharded: () => createShardedAdapter(pub, sub, { channelPrefix: prefix }),
    streams: () => streams.createAdapter(pub, { streamName: prefix, channelPrefix: prefix, sessionKeyPrefix: prefix + ":s:" }),
  }[mode]();
  const io = new Server(http_, { adapter, ...(mode === "streams" ? { connectionStateRecovery: {} } : {}) });
  io.on("server event", (...args) => {
    const cb = args[args.length - 1];
    if (typeof cb === "function") cb("node"); else io.local.emit("seen", "node", ...args);
  });
  io.on("connection", (s) => {
    s.data.home = "node";
    s.join(["everyone", "node"]);
    s.on("do", async (op, o, cb) => {
      let t = io.in(o.rooms || []).except(o.except || []);
      if (o.volatile) t = t.volatile;
      if (o.local) t = t.local;
      const args = o.binary ? [Buffer.from([0, 1, 255]), ...(o.args || [])] : o.args || [];
      try {
        switch (op) {
          case "emit": t.emit(o.event, ...args); return cb("ok");
          case "ask": return cb(await t.timeout(4000).emitWithAck(o.event, ...args));
          case "fetch": return cb((await t.fetchSockets()).map((x) => [x.id, x.data.home, x.handshake.url.slice(0, 11), [...x.rooms].includes("everyone")]));
          case "join": t.socketsJoin(o.join); return cb("ok");
          case "leave": t.socketsLeave(o.join); return cb("ok");
          case "disconnect": t.disconnectSockets(!!o.close); return cb("ok");
          case "server": io.serverSideEmit("server event", ...args); return cb("ok");
          case "serverAck": return cb(await io.serverSideEmitWithAck("server event", ...args));
          case "servers": return cb(await io.of("/").adapter.serverCount());
          default: return cb("unknown " + op);
        }
      } catch (e) { cb("error: " + e.message); }
    });
  });
  await new Promise((r) => http_.listen(0, "127.0.0.1", r));
  return { url: "http://127.0.0.1:" + http_.address().port, io };
}
module.exports = { start };
