// Drives a cluster of two Go servers and one Node server with socket.io-client, and says what failed.
//   MODE=pubsub REDIS=redis://... PREFIX=... GO=http://...,http://... node mixed.js
"use strict";
const { io } = require("socket.io-client");
const { createClient } = require("redis");
const { Emitter } = require("@socket.io/redis-emitter");
const net = require("net");
const assert = require("assert");
const { start } = require("./server.js");

const { MODE: mode, REDIS: redis, PREFIX: prefix } = process.env;
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
let failures = 0;

async function check(name, fn) {
  try {
    await fn();
  } catch (e) {
    failures++;
    console.log(`FAIL ${mode} ${name}: ${e.message}`);
  }
}

// until fn throws no more.
async function eventually(fn, ms = 5000) {
  const end = Date.now() + ms;
  for (;;) {
    try { return fn(); } catch (e) { if (Date.now() > end) throw e; }
    await sleep(10);
  }
}

async function client(name, url, options = {}) {
  const s = io(url, { forceNew: true, reconnectionDelay: 50, ...options });
  s.got = [];
  s.name = name;
  s.onAny((event, ...args) => {
    if (typeof args[args.length - 1] === "function") setTimeout(args.pop(), event === "late" ? 2000 : 0, name);
    s.got.push([event, ...args]);
  });
  await new Promise((r, j) => { s.once("connect", r); s.once("connect_error", j); });
  s.do = (op, o = {}) => s.timeout(8000).emitWithAck("do", op, o);
  return s;
}

async function main() {
  const node = await start({ mode, redis, prefix });
  const urls = { node: node.url };
  process.env.GO.split(",").forEach((u, i) => (urls["go" + (i + 1)] = u));
  const names = Object.keys(urls);
  const clients = {};
  for (const n of names) clients[n] = await client(n, urls[n], n === "go2" ? { transports: ["polling"] } : {});
  const list = Object.values(clients);
  // Everyone is known to everyone.
  for (const c of list) {
    await eventually2(async () => assert.strictEqual(await c.do("servers"), 3, "servers"));
    await eventually2(async () => assert.strictEqual((await c.do("fetch")).length, 3, "sockets"));
  }
  await sleep(300);
  let n = 0;
  // sends an event from one server and checks that just the clients named get it, once.
  async function reaches(from, o, want, show) {
    const event = "e" + n++;
    assert.strictEqual(await clients[from].do("emit", { event, ...o }), "ok");
    await eventually(() => {
      for (const w of want) assert(clients[w].got.some((g) => g[0] === event), `${w} did not get ${JSON.stringify(o)} from ${from}`);
    });
    await sleep(30);
    for (const c of list) {
      const times = c.got.filter((g) => g[0] === event);
      assert.strictEqual(times.length, want.includes(c.name) ? 1 : 0, `${c.name} got ${JSON.stringify(o)} from ${from} ${times.length} times`);
      if (times.length && show) show(times[0].slice(1));
    }
  }
  const strip = (a) => (mode === "streams" && typeof a[a.length - 1] === "string" && /^\d+-\d+(~[0-9a-z]+\.[0-9a-f]+)*$/.test(a[a.length - 1]) ? a.slice(0, -1) : a);

  for (const from of names) {
    const others = names.filter((x) => x !== from);
    await check(`emit from ${from}`, () => reaches(from, { args: [1, "é☃😀", { a: [null, true, -1.5, 2 ** 40] }] }, names,
      (a) => assert.deepStrictEqual(strip(a), [1, "é☃😀", { a: [null, true, -1.5, 2 ** 40] }])));
    await check(`binary from ${from}`, () => reaches(from, { binary: true, args: [{ x: 1 }] }, names,
      (a) => { assert.deepStrictEqual([...Buffer.from(a[0])], [0, 1, 255]); assert.deepStrictEqual(a[1], { x: 1 }); }));
    await check(`room from ${from}`, () => reaches(from, { rooms: ["everyone"] }, names));
    for (const to of names) {
      await check(`room ${to} from ${from}`, () => reaches(from, { rooms: [to] }, [to]));
      await check(`socket of ${to} from ${from}`, () => reaches(from, { rooms: [clients[to].id] }, [to]));
      await check(`except ${to} from ${from}`, () => reaches(from, { except: [to] }, names.filter((x) => x !== to)));
    }
    await check(`two rooms from ${from}`, () => reaches(from, { rooms: [others[0], from, "nobody"], except: ["nobody"] }, [others[0], from]));
    await check(`volatile from ${from}`, async () => {
      // A poll may be under way, and then a volatile event is dropped.
      const event = "v" + n++;
      for (let i = 0; i < 20; i++) { await clients[from].do("emit", { event, volatile: true }); await sleep(10); }
      const some = list.filter((c) => c.name !== from); // its own poll has just been answered
      await eventually(() => some.forEach((c) => assert(c.got.some((g) => g[0] === event), `${c.name} got no volatile event`)));
    });
    await check(`local from ${from}`, () => reaches(from, { local: true }, [from]));
    await check(`ask from ${from}`, async () => assert.deepStrictEqual([...(await clients[from].do("ask", { event: "q", binary: true }))].sort(), [...names].sort()));
    await check(`ask a room from ${from}`, async () => assert.deepStrictEqual(await clients[from].do("ask", { event: "q", rooms: [others[1]] }), [others[1]]));
    await check(`fetch from ${from}`, async () => {
      const got = await clients[from].do("fetch");
      assert.deepStrictEqual(got.map((x) => x[1]).sort(), names.map((x) => (x === "node" ? "node" : x)).sort(), JSON.stringify(got));
      for (const x of got) { assert.strictEqual(x[2], "/socket.io/"); assert(x[3], "rooms"); }
    });
    await check(`fetch a room from ${from}`, async () => {
      const got = await clients[from].do("fetch", { rooms: [others[0]] });
      assert.deepStrictEqual(got.map((x) => x[0]), [clients[others[0]].id]);
    });
    await check(`join and leave from ${from}`, async () => {
      const room = "joined by " + from;
      assert.strictEqual(await clients[from].do("join", { except: [others[0]], join: [room, room + "2"] }), "ok");
      await sleep(150);
      await reaches(from, { rooms: [room] }, [from, others[1]]);
      await clients[from].do("leave", { rooms: [others[1]], join: [room] });
      await sleep(150);
      await reaches(others[0], { rooms: [room] }, [from]);
    });
    await check(`server side emit from ${from}`, async () => {
      await clients[from].do("server", { args: ["x" + from] });
      await eventually(() => {
        for (const o of others) assert(clients[o].got.some((g) => g[0] === "seen" && g[1] === o && g[2] === "x" + from), `${o} saw nothing`);
      });
      assert(!clients[from].got.some((g) => g[0] === "seen" && g[2] === "x" + from), "seen by its sender");
    });
    await check(`server side emit with ack from ${from}`, async () =>
      assert.deepStrictEqual([...(await clients[from].do("serverAck", { args: [1] }))].sort(), others.sort()));
  }

  // Who takes its time is waited for, wherever it is.
  await Promise.all(names.map((from) => check(`ask from ${from} who answers late`, async () =>
    assert.deepStrictEqual([...(await clients[from].do("ask", { event: "late" }))].sort(), [...names].sort()))));

  if (mode !== "sharded") await check("emitter", () => emitter(clients, names, eventually));
  if (mode === "streams") {
    for (const [from, to] of [["node", "go1"], ["go1", "node"], ["go1", "go2"]]) {
      await check(`recovery from ${from} to ${to}`, () => recovery(from, to, urls, clients));
    }
  }
  await check("disconnect", async () => {
    for (const [from, to] of [["node", "go1"], ["go1", "node"], ["go1", "go2"]]) {
      const x = await client("x", urls[to], { reconnection: false });
      const gone = new Promise((r) => x.once("disconnect", r));
      await clients[from].do("disconnect", { rooms: [x.id], close: false });
      assert.strictEqual(await Promise.race([gone, sleep(3000)]), "io server disconnect", `${from} disconnects at ${to}`);
      x.close();
    }
  });
  if (failures === 0) console.log("PASS");
  process.exit(failures ? 1 : 0);
}

async function eventually2(fn, ms = 8000) {
  const end = Date.now() + ms;
  for (;;) {
    try { return await fn(); } catch (e) { if (Date.now() > end) throw e; }
    await sleep(50);
  }
}

async function emitter(clients, names, eventually) {
  const c = createClient({ url: redis });
  await c.connect();
  const has = (event, want) => eventually(() => {
    for (const x of names) {
      assert.strictEqual(clients[x].got.filter((g) => g[0] === event).length, want.includes(x) ? 1 : 0, `${x} and ${event} of the emitter`);
    }
  });
  if (mode === "pubsub") {
    const e = new Emitter(c, { key: prefix });
    e.emit("from emitter", Buffer.from([1]), 2);
    e.to("go2").emit("to go2");
    e.to(["go1", "node"]).except("node").emit("to go1");
    e.in("go1").socketsJoin("emitted");
    await sleep(200);
    e.to("emitted").emit("to emitted");
    e.serverSideEmit("server event", "by emitter");
    await has("to emitted", ["go1"]);
  } else {
    // What @socket.io/redis-streams-emitter 0.1 sends; not every registry has it.
    const add = (type, data) => c.xAdd(prefix, "*", { uid: "emitter", nsp: "/", type: String(type), data: JSON.stringify(data) });
    const opts = (rooms, except = []) => ({ rooms, except, flags: {} });
    await add(3, { packet: { type: 2, data: ["from emitter"], nsp: "/" }, opts: opts([]) });
    await add(3, { packet: { type: 2, data: ["to go2"], nsp: "/" }, opts: opts(["go2"]) });
    await add(3, { packet: { type: 2, data: ["to go1"], nsp: "/" }, opts: opts(["go1", "node"], ["node"]) });
    await add(9, { packet: ["server event", "by emitter"] });
  }
  await has("from emitter", names);
  await has("to go2", ["go2"]);
  await has("to go1", ["go1"]);
  await eventually(() => names.forEach((x) => assert(clients[x].got.some((g) => g[0] === "seen" && g[2] === "by emitter"), `${x} saw nothing of the emitter`)));
  await c.quit();
}

// A way to a server that can be led to another one.
async function way(url) {
  const w = { target: new URL(url).port, sockets: new Set() };
  const server = net.createServer((a) => {
    const b = net.connect(w.target, "127.0.0.1");
    w.sockets.add(a);
    a.pipe(b); b.pipe(a);
    for (const x of [a, b]) x.on("error", () => {}).on("close", () => { a.destroy(); b.destroy(); w.sockets.delete(a); });
  });
  await new Promise((r) => server.listen(0, "127.0.0.1", r));
  w.url = "http://127.0.0.1:" + server.address().port;
  w.lead = (url) => { w.target = new URL(url).port; for (const s of w.sockets) s.destroy(); };
  return w;
}

async function recovery(from, to, urls, clients) {
  const w = await way(urls[from]);
  const x = await client("x", w.url, { transports: ["websocket"], reconnectionDelay: 700, reconnectionDelayMax: 700 });
  const id = x.id;
  await clients[from].do("join", { rooms: [id], join: ["kept"] });
  await sleep(200);
  await clients[from].do("emit", { event: "before" });
  await eventually(() => assert(x.got.some((g) => g[0] === "before")));
  const again = new Promise((r) => x.once("connect", r));
  const down = new Promise((r) => x.once("disconnect", r));
  w.lead(urls[to]);
  await down;
  await sleep(100);
  const events = ["m0", "m1", "m2", "m3"];
  await clients.node.do("emit", { event: "m0", args: ["a"] });
  await sleep(20);
  await clients.go1.do("emit", { event: "m1", binary: true });
  await sleep(20);
  await clients.go2.do("emit", { event: "m2", rooms: ["kept"] });
  await clients.go2.do("emit", { event: "not for x", rooms: ["another"] });
  await clients.go1.do("emit", { event: "not for x either", except: ["kept"] });
  await sleep(20);
  await clients.node.do("emit", { event: "m3", rooms: [id] });
  await Promise.race([again, sleep(5000)]);
  assert(x.connected, "not connected again");
  if (to === "node") {
    // Its client has an event of Beanpole's that came ahead of the stream, which Node's servers do not know: it
    // is told that it begins anew (docs/adapters.md).
    assert(!x.recovered && x.id !== id, "half recovered");
    x.close();
    return;
  }
  assert(x.recovered, "not recovered");
  assert.strictEqual(x.id, id);
  await clients[from].do("emit", { event: "after", rooms: ["kept"] });
  await eventually(() => assert(x.got.some((g) => g[0] === "after"), "no event after"));
  assert.deepStrictEqual(x.got.map((g) => g[0]).filter((e) => e !== "before" && e !== "after"), events);
  x.close();
}

main().catch((e) => { console.log("FAIL " + e.stack); process.exit(1); });
