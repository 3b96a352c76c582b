// Prints, as JSON, what Node's adapters and emitters send for a list of operations, so that the codecs
// of adapter/redis can be tested against the very bytes:
//   node golden.js > ../../../adapter/redis/testdata/golden.json
"use strict";
const { createAdapter, createShardedAdapter } = require("@socket.io/redis-adapter");
const streams = require("@socket.io/redis-streams-adapter");
const { Emitter } = require("@socket.io/redis-emitter");
const { Encoder } = require("socket.io-parser");

const out = [];
let current = "";

function client() {
  const record = (op) => (channel, payload) => {
    out.push({ name: current, op, channel, payload: Buffer.from(payload).toString("base64") });
    return Promise.resolve(1);
  };
  const c = {
    options: {}, on() {}, off() {}, listenerCount: () => 2, psubscribe() {}, subscribe() {}, ssubscribe() {},
    publish: record("publish"), spublish: record("spublish"),
    // Two nodes, so that questions are asked.
    send_command: (_c, _a, cb) => (cb ? cb(null, ["x", "2"]) : Promise.resolve(["x", "2"])),
    xadd(args) {
      const fields = {};
      for (let i = 5; i < args.length; i += 2) fields[args[i]] = args[i + 1];
      out.push({ name: current, op: "xadd", channel: args[0], fields });
      return Promise.resolve("1-0");
    },
    xread: () => new Promise(() => {}),
    set(key, value) {
      out.push({ name: current, op: "set", channel: key, payload: Buffer.from(value).toString("base64") });
    },
  };
  c.duplicate = () => c;
  return c;
}

const socket = {
  id: "socket-00000000000-1", rooms: new Set(["socket-00000000000-1", "r"]), data: { user: "u", n: 1.5 },
  handshake: {
    headers: { "user-agent": "x", "set-cookie": ["a", "b"] }, time: "Thu", address: "::1", xdomain: false, secure: true,
    issued: 1700000000000, url: "/socket.io/", query: { EIO: "4", list: ["1", "2"] }, auth: { token: null },
  },
  join() {}, leave() {}, disconnect() {}, acks: new Map(), client: { writeToEngine() {} },
};

function namespace() {
  return {
    name: "/chat", sockets: new Map([[socket.id, socket]]), _ids: 0,
    server: { encoder: new Encoder(), opts: { connectionStateRecovery: { maxDisconnectionDuration: 1000 } } },
    _onServerSideEmit(args) { const cb = args[args.length - 1]; if (typeof cb === "function") cb({ pong: args[1] }); },
  };
}

const UID = "0123456789abcdef";
const opts = (rooms = [], except = [], flags = {}) => ({ rooms: new Set(rooms), except: new Set(except), flags });
const event = (...data) => ({ type: 2, data });

async function operations(a, binary) {
  const op = async (name, fn) => {
    current = a.label + " " + name;
    try { fn(); } catch (e) { console.error(current, e); }
    await new Promise((r) => setTimeout(r, 5));
  };
  await op("all", () => a.broadcast(event("hello", 1, "é☃😀", { a: [true, null, -1.5, 70000] }), opts()));
  await op("room", () => a.broadcast(event("hello"), opts(["r"])));
  await op("socket", () => a.broadcast(event("hello"), opts(["socket-00000000000-1"])));
  await op("rooms", () => a.broadcast(event("hello"), opts(["r", "s"], ["t"], { volatile: true, compress: false })));
  await op("binary", () => a.broadcast(event("bin", Buffer.from([0, 1, 255]), { x: [Buffer.from("abc")] }), opts()));
  await op("join", () => a.addSockets(opts(["r"], ["t"]), ["x", "y"]));
  await op("leave", () => a.delSockets(opts(["r"]), ["x"]));
  await op("disconnect", () => a.disconnectSockets(opts(["r"]), true));
  await op("serverSideEmit", () => a.serverSideEmit(["ping", 1]));
  await op("ask", () => a.broadcastWithAck(event("hello", Buffer.from([7])), opts([], [], { timeout: 1000 }), () => {}, () => {}));
  await op("fetch", () => { a.fetchSockets(opts(["r"])).catch(() => {}); });
  await op("serverSideEmitWithAck", () => a.serverSideEmit(["ping", 1, () => {}]));
}

async function main() {
  const classic = createAdapter(client(), client())(namespace());
  classic.label = "pubsub";
  classic.uid = UID;
  const sharded = createShardedAdapter(client(), client())(namespace());
  sharded.label = "sharded";
  sharded.uid = UID;
  const stream = streams.createAdapter(client())(namespace());
  stream.label = "streams";
  stream.uid = UID;
  for (const a of [classic, sharded, stream]) {
    a.addAll(socket.id, new Set([socket.id, "r"]));
    await operations(a);
  }

  // Answers.
  const ask = async (name, fn) => { current = name; fn(); await new Promise((r) => setTimeout(r, 5)); };
  const json = (o) => Buffer.from(JSON.stringify(o));
  const request = (o) => classic.onrequest("socket.io-request#/chat#", json({ uid: "other", requestId: "q1", ...o }));
  await ask("pubsub fetch answer", () => request({ type: 5, opts: { rooms: ["r"], except: [] } }));
  await ask("pubsub empty fetch answer", () => request({ type: 5, opts: { rooms: ["nobody"], except: [] } }));
  await ask("pubsub rooms answer", () => request({ type: 1 }));
  await ask("pubsub serverSideEmit answer", () => request({ type: 6, data: ["ping", 5] }));
  await ask("pubsub ask answer", () => {
    request({ type: 7, opts: { rooms: [], except: [] }, packet: { type: 2, data: ["x"], nsp: "/chat" } });
    setTimeout(() => [...socket.acks.values()].pop()(Buffer.from([9])), 1);
  });
  for (const a of [sharded, stream]) {
    const message = (type, data) => a.onMessage({ uid: "other", nsp: "/chat", type, data });
    const o = { rooms: [], except: [], flags: {} };
    await ask(a.label + " fetch answer", () => message(7, { opts: o, requestId: "q1" }));
    await ask(a.label + " serverSideEmit answer", () => message(9, { packet: ["ping", 5], requestId: "q1" }));
    await ask(a.label + " ask answer", () => {
      message(3, { opts: o, packet: { type: 2, data: ["x"], nsp: "/chat" }, requestId: "q1" });
      setTimeout(() => [...socket.acks.values()].pop()("yes"), 1);
    });
  }
  await ask("streams session", () => stream.persistSession({
    sid: "s1", pid: "p1", rooms: ["s1", "r"], data: { user: 7, list: ["a", null] },
  }));

  const e = new Emitter(client()).of("/chat");
  await ask("emitter all", () => e.emit("hello", 1, Buffer.from([1])));
  await ask("emitter room", () => e.to("r").except("t").volatile.emit("hello"));
  await ask("emitter join", () => e.in("r").socketsJoin("x"));
  await ask("emitter leave", () => e.in("r").socketsLeave(["x"]));
  await ask("emitter disconnect", () => e.in("r").disconnectSockets(true));
  await ask("emitter serverSideEmit", () => e.serverSideEmit("ping", 1));

  console.log(JSON.stringify(out, null, 1));
  process.exit(0);
}
main();
