// What the server's options do to clients: limits, compression, parser, CORS, and life behind a balancer.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { ask, askAll, connected, driver, feature, limit, newest, plain, suite, wait } from "./lib/clients.mjs";

const msgpack = createRequire(import.meta.url)("socket.io-msgpack-parser");

suite("limits", [], (fixture) => {
  const options = { path: "/tight/", reconnection: false };

  // text returns the argument that makes a first event with acknowledgement exactly size bytes long.
  function text(d, size) {
    const packet = (value) => `420["length",${JSON.stringify(value)}]`;
    let room = size - packet("").length;
    if (d.v2 && d.transport === "polling") room -= `${size - 4}:`.length; // protocol 3 tells the length first
    return "x".repeat(room);
  }

  feature("message at the limit", fixture, { options }, async (d) => {
    const socket = await d.connect();
    await d.settled(socket);
    const value = text(d, 1000);
    assert.equal(await ask(socket, "length", value), value.length);
    assert.equal((await ask(socket, "large", 5000)).length, 5000); // the limit is for what comes in
  });

  feature("message over the limit", fixture, { options }, async (d) => {
    const socket = await d.connect();
    await d.settled(socket);
    const { id } = socket;
    const gone = wait(socket, "disconnect");
    socket.emit("length", text(d, 1001), () => assert.fail("taken"));
    // The poll that waits and the body are answered on two connections: either may come first.
    assert.match((await gone)[0], d.transport === "polling" ? /^transport (error|close)$/ : /^transport close$/);
    const observer = await d.connect();
    const { reason } = await ask(observer, "watch", id);
    assert.match(reason, /^(transport error|transport close)$/);
    assert.equal(await ask(observer, "echo", "others live"), "others live");
  });

  feature("many small messages", fixture, { needs: ["maxPayload"], options }, async (d) => {
    // Together they are over the limit: clients that know maxPayload send them in several bodies.
    const socket = await d.connect();
    for (let i = 0; i < 500; i++) socket.emit("count", i);
    assert.deepEqual(await ask(socket, "counted"), { count: 500, ordered: true });
  });
});

suite("compression", [], (fixture) => {
  feature("compression", fixture, { options: { path: "/deflate/" } }, async (d) => {
    const socket = await d.connect();
    await d.settled(socket);
    if (d.transport !== "polling") assert.match(socket.io.engine.transport.ws.extensions, /permessage-deflate/);
    const values = ["é".repeat(5000), Buffer.alloc(3000, 5), "short", { a: "b".repeat(300) }];
    assert.deepEqual(plain(await askAll(socket, "echo", ...values)), plain(values));
    for (let i = 0; i < 200; i++) socket.emit("count", i);
    assert.deepEqual(await ask(socket, "counted"), { count: 200, ordered: true });
    assert.equal((await ask(socket, "large", 500_000)).length, 500_000);
  });

  test("polls are compressed as asked", async () => {
    for (const [accept, want] of [["gzip", "gzip"], ["deflate", "deflate"], ["gzip;q=0, deflate", "deflate"], ["identity", null]]) {
      const url = `${fixture.url}/deflate/?EIO=4&transport=polling`;
      const headers = { "accept-encoding": accept };
      const open = await fetch(url, { headers });
      const body = await open.text();
      assert.equal(open.headers.get("content-encoding"), want, accept);
      const { sid } = JSON.parse(body.slice(1));
      assert.equal(await (await fetch(`${url}&sid=${sid}`, { method: "POST", body: "1" })).text(), "ok");
    }
  });
});

suite("parser", [], (fixture) => {
  const options = { path: "/msgpack/", parser: msgpack };

  feature("msgpack", fixture, { needs: ["msgpack"], options }, async (d) => {
    const socket = d.open();
    const [hello] = await wait(socket, "welcome");
    assert.equal(hello.id, socket.id);
    const values = [
      1, -1, 127, 128, -129, 65536, 2 ** 40, -(2 ** 40), 1.5, 0.1, 1.7e-300, "", "é🎉", "x".repeat(70_000), null, true, false,
      [], {}, Array(20).fill([1]), Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, i])),
      Buffer.from([1, 2]), { deep: [Buffer.alloc(300, 3)] }, Buffer.alloc(0),
    ];
    assert.deepEqual(plain(await askAll(socket, "echo", ...values)), plain(values));
    const back = wait(socket, "echo");
    socket.emit("echo", ...values);
    assert.deepEqual(plain(await back), plain(values));
    await d.settled(socket);
    const answer = await ask(socket, "typed", { n: 41, s: "hé", b: Buffer.from([1, 2, 3]), list: [1, 2.5] });
    assert.deepEqual(plain(answer), { n: 42, s: "hé!", b: { bytes: [3, 2, 1] }, list: [2, 5] });
    socket.on("answer-me", (value, ack) => ack({ got: value }));
    assert.deepEqual(plain(await ask(socket, "question", Buffer.from([1]))), { got: { bytes: [1] } });
  });

  feature("msgpack burst", fixture, { needs: ["msgpack"], options }, async (d) => {
    const socket = await d.connect();
    const n = 2000;
    for (let i = 0; i < n; i++) socket.emit("count", i);
    assert.deepEqual(await ask(socket, "counted"), { count: n, ordered: true });
    const got = [];
    socket.on("b", (i) => got.push(i));
    const sent = wait(socket, "sent");
    socket.emit("send", n, true);
    await sent;
    assert.deepEqual(got, Array.from({ length: n }, (_, i) => i));
  });

  feature("msgpack auth", fixture, { needs: ["msgpack"], options }, async (d) => {
    const socket = d.open("/private", { auth: { token: "wrong" } });
    const [error] = await wait(socket, "connect_error");
    assert.equal(error.message, "not authorized");
    assert.deepEqual(error.data, { code: "E401", hint: ["token"] });
    socket.auth = { token: "secret" };
    socket.connect();
    await connected(socket);
    const gone = wait(socket, "disconnect");
    socket.emit("kick");
    assert.equal((await gone)[0], "io server disconnect");
  });

  test("wrong parser is refused", async (t) => {
    // The text of the default parser is no MessagePack: the session ends, the server lives.
    const d = driver(t, fixture, newest, "websocket", { path: "/msgpack/", reconnection: false });
    const socket = d.open();
    socket.on("connect", () => assert.fail("connected"));
    await wait(socket.io, "close");
  });
});

suite("origins", [], (fixture) => {
  feature("CORS with credentials", fixture, {}, async (d) => {
    const socket = await d.connect("/", { withCredentials: true, extraHeaders: { origin: "http://app.example" } });
    await d.settled(socket);
    const handshake = await ask(socket, "handshake");
    assert.equal(handshake.origin, "http://app.example");
    assert.equal(handshake.xdomain, true);
  });

  test("CORS headers", async () => {
    const url = `${fixture.url}/socket.io/?EIO=4&transport=polling`;
    const origin = "http://app.example";
    const get = await fetch(url, { headers: { origin } });
    const { sid } = JSON.parse((await get.text()).slice(1));
    assert.equal(get.headers.get("access-control-allow-origin"), origin);
    assert.equal(get.headers.get("access-control-allow-credentials"), "true");
    assert.match(get.headers.get("vary"), /Origin/i);

    // A preflight carries no cookie and so may come to a node that never heard of the session.
    for (const query of ["", "&sid=nobody-knows-this-sid"]) {
      const asks = { origin, "access-control-request-method": "POST", "access-control-request-headers": "x-custom" };
      const preflight = await fetch(url + query, { method: "OPTIONS", headers: asks });
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers.get("access-control-allow-origin"), origin);
      assert.equal(preflight.headers.get("access-control-allow-credentials"), "true");
      assert.match(preflight.headers.get("access-control-allow-methods"), /POST/);
      assert.match(preflight.headers.get("access-control-allow-headers"), /x-custom/i);
    }

    // Refusals are readable for the page too; another origin gets no leave to read anything.
    const unknown = await fetch(`${url}&sid=nobody-knows-this-sid`, { headers: { origin } });
    assert.deepEqual([unknown.status, (await unknown.json()).code], [400, 1]);
    assert.equal(unknown.headers.get("access-control-allow-origin"), origin);
    const foreign = await fetch(`${url}&sid=${sid}`, { method: "POST", body: "1", headers: { origin: "http://evil.example" } });
    assert.equal(foreign.headers.get("access-control-allow-origin"), null);
    await foreign.text();
    // Here the foreign POST was not served either, and the session is still there; Node closed it.
    await (await fetch(`${url}&sid=${sid}`, { method: "POST", body: "1", headers: { origin } })).text();
  });
});

// A short heartbeat: sessions whose client was sent to another node end by it alone.
suite("balancer", ["--ping-interval=500", "--ping-timeout=5000"], (fixture) => {
  const options = { path: "/sticky/", reconnection: false };
  const tells = (socket) => new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("neither connected nor closed")), limit);
    socket.on("connect", () => (clearTimeout(timer), resolve("connected")));
    socket.io.on("close", () => (clearTimeout(timer), resolve("closed")));
  });

  // docs/clients.md says what to set; these three hold it to be true.
  feature("sticky: no cookie fails", fixture, { over: ["polling", "upgrade"], options }, async (d) => {
    assert.equal(await tells(d.open()), "closed");
  });

  feature("sticky: websocket only", fixture, { over: ["websocket"], options }, async (d) => {
    const socket = await d.connect();
    assert.equal(await ask(socket, "echo", 1), 1);
  });

  feature("sticky: withCredentials", fixture, { needs: ["cookies"], over: ["polling", "upgrade"], options }, async (d) => {
    const socket = await d.connect("/", { withCredentials: true });
    await d.settled(socket);
    assert.equal(await ask(socket, "echo", 1), 1);
  });

  feature("sticky: cookie fetched before", fixture, { over: ["polling", "upgrade"], options }, async (d) => {
    const first = await fetch(`${fixture.url}/sticky/?EIO=4&transport=polling`);
    const cookie = /AWSALB=[^;]+/.exec(first.headers.get("set-cookie"))[0];
    const { sid } = JSON.parse((await first.text()).slice(1));
    const close = { method: "POST", body: "1", headers: { cookie } };
    await (await fetch(`${fixture.url}/sticky/?EIO=4&transport=polling&sid=${sid}`, close)).text();
    const socket = await d.connect("/", { extraHeaders: { cookie } });
    await d.settled(socket);
    assert.equal(await ask(socket, "echo", 1), 1);
  });
});
