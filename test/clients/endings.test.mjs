// How connections end, what each side is told, and how clients come back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, clients, connected, driver, feature, limit, suite, transports, wait } from "./lib/clients.mjs";
import { againstNode, start } from "./lib/fixture.mjs";

// ended resolves with the server's account of how the socket of that id ended.
async function ended(d, id, nsp = "/") {
  const observer = await d.connect(nsp);
  const end = await ask(observer, "watch", id);
  observer.close();
  return end;
}

// slowPolls is a proxy whose WebSockets wait for upgrade, and whose answers to polls wait between hold, which
// resolves with the first, and release.
async function slowPolls(fixture) {
  const { connect, createServer } = await import("node:net");
  const held = [];
  let holding = false, first, upgrade;
  const upgrades = new Promise((resolve) => (upgrade = resolve));
  const server = createServer((client) => {
    const upstream = connect(fixture.port, "127.0.0.1");
    let websocket = false;
    client.on("data", (data) => {
      websocket ||= data.includes("transport=websocket");
      if (websocket) upgrades.then(() => upstream.write(data));
      else upstream.write(data);
    });
    const answer = (act) => {
      if (websocket || !holding) return act();
      held.push(act);
      first();
    };
    upstream.on("data", (data) => answer(() => client.write(data))).on("end", () => answer(() => client.end()));
    client.on("close", () => upstream.destroy()).on("error", () => {});
    upstream.on("error", () => client.destroy());
  }).listen(0, "127.0.0.1");
  await wait(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    upgrade,
    hold: () => ((holding = true), new Promise((resolve) => (first = resolve))),
    release: () => ((holding = false), held.forEach((act) => act())),
    close: () => server.close(),
  };
}

suite("endings", [], (fixture) => {
  feature("server leaves namespace", fixture, {}, async (d) => {
    const socket = await d.connect();
    const admin = socket.io.socket("/admin");
    await connected(admin);
    const id = admin.id;
    const reason = wait(admin, "disconnect");
    admin.emit("leave-namespace");
    assert.equal((await reason)[0], "io server disconnect");
    assert.deepEqual(await ended(d, id, "/admin"), { reason: "server namespace disconnect", roomsAtEnd: 1 });
    assert.equal(await ask(socket, "echo", "open"), "open"); // the connection stays
  });

  feature("server disconnects client", fixture, {}, async (d) => {
    const socket = await d.connect();
    const admin = socket.io.socket("/admin");
    await connected(admin);
    const id = socket.id;
    const reasons = Promise.all([wait(socket, "disconnect"), wait(admin, "disconnect")]);
    socket.emit("kick");
    assert.deepEqual((await reasons).map(([reason]) => reason), ["io server disconnect", "io server disconnect"]);
    assert.equal((await ended(d, id)).reason, "server namespace disconnect");
    // The client does not come back by itself, but when asked.
    assert.equal(socket.connected, false);
    socket.connect();
    await connected(socket);
  });

  feature("emits before disconnect", fixture, {}, async (d) => {
    const socket = await d.connect();
    const got = [];
    socket.on("last", (n) => got.push(n));
    const gone = wait(socket, "disconnect");
    socket.emit("last-words");
    await gone;
    assert.deepEqual(got, [1, 2]);
  });

  feature("client disconnects", fixture, {}, async (d) => {
    const socket = await d.connect();
    await d.settled(socket);
    const { id } = socket;
    const reason = wait(socket, "disconnect");
    for (let i = 0; i < 10; i++) socket.emit("count", i);
    socket.close();
    assert.equal((await reason)[0], "io client disconnect");
    assert.deepEqual(await ended(d, id), { reason: "client namespace disconnect", roomsAtEnd: 1 });
  });

  feature("client disconnects during upgrade", fixture, { over: ["upgrade"] }, async (d) => {
    const socket = await d.connect();
    const { id } = socket;
    socket.close();
    assert.equal((await ended(d, id)).reason, "client namespace disconnect");
  });

  feature("client closes session", fixture, {}, async (d) => {
    const socket = await d.connect("/", { reconnection: false });
    await d.settled(socket);
    const { id } = socket;
    const reason = wait(socket, "disconnect");
    socket.io.engine.close();
    assert.equal((await reason)[0], "forced close");
    assert.equal((await ended(d, id)).reason, "transport close");
  });

  feature("connection cut", fixture, { over: ["websocket", "upgrade"] }, async (d) => {
    const socket = await d.connect();
    await d.settled(socket);
    const { id } = socket;
    const reason = wait(socket, "disconnect");
    const back = wait(socket, "connect");
    socket.io.engine.transport.ws.terminate(); // no close frame, as when a network goes away
    assert.equal((await reason)[0], "transport close");
    assert.equal((await ended(d, id)).reason, "transport close");
    await back;
    assert.notEqual(socket.id, id);
  });

  feature("server drops session", fixture, {}, async (d) => {
    const socket = await d.connect();
    await d.settled(socket);
    const { id } = socket;
    const reason = wait(socket, "disconnect");
    const back = wait(socket, "connect");
    socket.emit("drop");
    assert.equal((await reason)[0], "transport close");
    for (let i = 0; i < 5; i++) socket.emit("count", i); // kept by the client until it is back
    assert.match((await ended(d, id)).reason, /^(forced close|transport close)$/);
    await back;
    assert.notEqual(socket.id, id);
    assert.deepEqual(await ask(socket, "counted"), { count: 5, ordered: true });
  });

  feature("server ends session while polling is paused", fixture, { over: ["upgrade"] }, async (d, t) => {
    if (againstNode) return t.skip("Node ends none so");
    const link = await slowPolls(fixture);
    t.after(() => link.close());
    const observer = await d.connect("/", { transports: ["polling"] });
    const socket = d.open("/", { url: link.url, reconnection: false });
    const engine = socket.io.engine;
    const upgrading = new Promise((resolve) => engine.once("upgrading", resolve));
    await connected(socket);
    const { id } = socket;
    const reason = wait(socket, "disconnect", limit / 3); // well before the heartbeat
    const failed = new Promise((resolve) => engine.once("upgradeError", resolve));
    const held = link.hold(); // before the probe, or the answer may be at the client already
    link.upgrade();
    await Promise.all([upgrading, held]); // the answer that ends the client's polling is on its way
    observer.emit("abort", id);
    assert.equal((await ended(d, id)).reason, "slow consumer");
    await Promise.race([failed, new Promise((next) => setTimeout(next, 100))]); // what the WebSocket says overtakes
    link.release();
    assert.match((await reason)[0], /^transport (close|error)$/);
  });

  feature("disconnectSockets", fixture, {}, async (d) => {
    const room = d.unique("cleared");
    const [a, b, c] = await Promise.all([d.connect(), d.connect(), d.connect()]);
    await Promise.all([b, c].map((s) => ask(s, "join", room)));
    const gone = Promise.all([b, c].map((s) => wait(s, "disconnect")));
    await ask(a, "clear", room, true);
    assert.deepEqual((await gone).map(([reason]) => reason), ["io server disconnect", "io server disconnect"]);
    assert.equal(a.connected, true);
  });

  feature("connect again", fixture, {}, async (d) => {
    const socket = await d.connect();
    const ids = new Set([socket.id]);
    for (let i = 0; i < 5; i++) {
      // Old clients mistake the late close of the former session for that of the new one.
      const gone = wait(socket.io.engine, "close");
      socket.close();
      await gone;
      socket.connect();
      await connected(socket);
      ids.add(socket.id);
    }
    assert.equal(ids.size, 6);
    assert.equal(await ask(socket, "echo", 1), 1);
  });

  feature("connect_error", fixture, {}, async (d) => {
    const nobody = d.open("/", { url: "http://127.0.0.1:9", reconnection: false });
    const [error] = await wait(nobody, "connect_error");
    assert.ok(error instanceof Error);
    const wrong = d.open("/", { path: "/nothing/here/", reconnection: false });
    const [refused] = await wait(wrong, "connect_error");
    assert.ok(refused instanceof Error);
    assert.match(refused.message, /^(xhr poll error|websocket error)$/);
  });

  feature("connect timeout on client", fixture, {}, async (d, t) => {
    const { createServer } = await import("node:net");
    const held = [];
    const mute = createServer((c) => held.push(c.on("error", () => {}))).listen(0, "127.0.0.1"); // says nothing
    await wait(mute, "listening");
    t.after(() => (held.forEach((c) => c.destroy()), mute.close()));
    const socket = d.open("/", { url: `http://127.0.0.1:${mute.address().port}`, timeout: 50, reconnection: false });
    const event = d.v2 ? "connect_timeout" : "connect_error";
    await wait(socket, event);
  });

  feature("no namespace in time", fixture, { options: { path: "/tight/" } }, async (d) => {
    // A manager without a socket opens a session and never joins a namespace. v2 always has "/".
    if (d.v2) return;
    const manager = new d.client.io.Manager(fixture.url, { reconnection: false, path: "/tight/", ...transports[d.transport] });
    const [reason] = await wait(manager, "close");
    assert.equal(reason, "transport close");
  });
});

// A short heartbeat, for these tests only: a busy machine must not fail the others by it. The patience is what a
// slow machine needs: a client that is late is as good as dead.
const beat = ["--ping-interval=500", "--ping-timeout=5000"];

suite("heartbeat", beat, (fixture) => {
  feature("heartbeat", fixture, {}, async (d) => {
    const socket = await d.connect();
    await d.settled(socket);
    let reason;
    socket.on("disconnect", (why) => (reason = why));
    let beats = 0;
    await new Promise((resolve) => {
      // Up to protocol 3 the client pings and the server answers, since then the other way round.
      socket.io.engine.on("packet", ({ type }) => type === (d.v2 ? "pong" : "ping") && ++beats === 4 && resolve());
      socket.on("disconnect", resolve);
    });
    assert.equal(reason, undefined);
    assert.equal(await ask(socket, "echo", "alive"), "alive");
  });

  feature("client falls silent", fixture, {}, async (d, t) => {
    // Node stops the heartbeat's timer when a session of protocol 3 upgrades and starts it at the next ping.
    if (againstNode && d.v2 && d.transport === "upgrade") return t.skip("Node never ends it");
    const socket = await d.connect("/", { reconnection: false });
    await d.settled(socket);
    await ask(socket, "echo", 0);
    const engine = socket.io.engine;
    engine.transport.send = () => {}; // nothing leaves the client any more
    if (d.v2) for (const timer of [engine.pingIntervalTimer, engine.pingTimeoutTimer]) clearTimeout(timer);
    assert.equal((await ended(d, socket.id)).reason, "ping timeout");
  });
}, 12);

// What happens to all clients at once when the server itself stops.
test("server stops", { timeout: 8 * limit }, async (t) => {
  let fixture = await start(...beat);
  const { port, url } = fixture;
  const all = await Promise.all(
    clients.flatMap((client) =>
      Object.keys(transports).map(async (transport) => {
        const d = driver(t, { url }, client, transport);
        const socket = await d.connect("/", { timeout: 2000 });
        await d.settled(socket);
        return { name: `${client.name} | ${transport}`, socket };
      }),
    ),
  );

  // Each client loses its connection for one of the reasons while stop runs, and is back after begin.
  async function round(feature, reasons, stop, begin) {
    const lost = all.map(({ socket }) => wait(socket, "disconnect", 2 * limit));
    lost.forEach((promise) => promise.catch(() => {}));
    await stop();
    const before = await Promise.allSettled(lost);
    const after = Promise.allSettled(all.map(({ socket }) => socket.connected || wait(socket, "connect")));
    await begin();
    await after;
    for (const [i, { name, socket }] of all.entries()) {
      await t.test(`${feature} | ${name}`, async () => {
        if (before[i].reason) throw before[i].reason;
        assert.ok(reasons.includes(before[i].value[0]), before[i].value[0]);
        assert.equal(socket.connected, true);
        assert.equal(await ask(socket, "echo", "back"), "back");
      });
    }
  }

  await round("server killed, restarted", ["transport close", "transport error"],
    () => fixture.stop("SIGKILL"),
    async () => (fixture = await start(...beat, `--port=${port}`)));

  let exit;
  await round("server shut down, restarted", ["transport close"],
    async () => (exit = await fixture.stop("SIGTERM")),
    async () => (fixture = await start(...beat, `--port=${port}`)));
  assert.deepEqual(exit, { code: 0, signal: null });

  await round("server frozen, thawed", ["ping timeout"],
    async () => fixture.kill("SIGSTOP"),
    async () => fixture.kill("SIGCONT"));

  for (const { socket } of all) socket.close();
  await fixture.stop();
});
