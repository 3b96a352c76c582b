// What passes between a client and the server: events, acknowledgements, binary, order, size.
import assert from "node:assert/strict";
import { ask, askAll, connected, feature, limit, newest, plain, suite, wait } from "./lib/clients.mjs";

const sample = [1, -1.5, 1e21, "text", "", null, true, [], {}, [[1], { a: [{ b: null }] }], { __proto__x: 1, "a.b": "c" }];
const unicode = [
  "é ñ 漢字 עברית",
  "👩‍👩‍👧‍👦 🇩🇪 𝄞",
  "line\u2028and\u2029paragraph",
  "\u0000\u0001\u001e\u007f\ufeff\uffff",
  'quote " backslash \\ slash / newline \n return \r tab \t',
  { "ключ 🔑": "значение" },
];

suite("messages", [], (fixture) => {
  feature("connect", fixture, {}, async (d) => {
    const socket = d.open();
    const welcome = wait(socket, "welcome"); // emitted by the server's connection handler itself
    await connected(socket);
    const [hello] = await welcome;
    assert.deepEqual(hello, { id: socket.id, nsp: "/", recovered: false, order: ["first", "second"] });
    assert.match(socket.id, /^[A-Za-z0-9_-]{20}$/);
    assert.match(socket.io.engine.id, /^[A-Za-z0-9_-]{20}$/);
    assert.equal(socket.id === socket.io.engine.id, d.v2); // only v2 shows the session's own id
    await d.settled(socket);
    assert.equal(await ask(socket, "transport"), d.transport === "polling" ? "polling" : "websocket");
  });

  feature("handshake", fixture, {}, async (d) => {
    const socket = await d.connect("/", {
      query: { token: "a b&c=ü", n: "1" },
      auth: { token: "t", nested: { list: [1, 2] } },
      extraHeaders: { "x-custom": "head", origin: "http://app.example" },
    });
    const handshake = await ask(socket, "handshake");
    assert.equal(handshake.address, "127.0.0.1");
    assert.equal(handshake.secure, false);
    assert.equal(handshake.xdomain, true);
    assert.equal(handshake.issued, "number");
    assert.equal(handshake.custom, "head");
    assert.equal(handshake.origin, "http://app.example");
    assert.equal(handshake.query.token, "a b&c=ü");
    assert.equal(handshake.query.n, "1");
    assert.equal(handshake.query.EIO, String(d.client.eio));
    assert.match(handshake.url, /^\/socket\.io\/\?/);
    assert.deepEqual(handshake.auth, d.client.has.auth ? { token: "t", nested: { list: [1, 2] } } : {});
  });

  feature("echo", fixture, {}, async (d) => {
    const socket = await d.connect();
    const back = wait(socket, "echo");
    socket.emit("echo", ...sample);
    assert.deepEqual(await back, sample);
    const none = wait(socket, "echo");
    socket.emit("echo");
    assert.deepEqual(await none, []);
  });

  feature("unicode", fixture, {}, async (d) => {
    const socket = await d.connect();
    const early = wait(socket, "echo");
    socket.emit("echo", ...unicode);
    assert.deepEqual(await early, unicode);
    await d.settled(socket);
    assert.deepEqual(await askAll(socket, "echo", ...unicode), unicode);
    const named = wait(socket, "événement 🎉");
    await ask(socket, "join", d.unique("🎉"));
    socket.emit("all", { rooms: [socket.id] }, "événement 🎉", "ok", () => {});
    assert.deepEqual(await named, ["ok"]);
  });

  feature("lone surrogates", fixture, {}, async (d) => {
    const socket = await d.connect();
    const [back] = await askAll(socket, "echo", "a\ud83db\udc00c");
    // A Go string cannot hold half a character: a server may put U+FFFD in its place, no more.
    assert.ok(["a\ud83db\udc00c", "a\ufffdb\ufffdc"].includes(back), JSON.stringify(back));
    assert.deepEqual(await askAll(socket, "echo", "still here"), ["still here"]);
  });

  feature("ack from server", fixture, {}, async (d) => {
    const socket = await d.connect();
    assert.deepEqual(await askAll(socket, "echo", ...sample), sample);
    assert.deepEqual(await askAll(socket, "echo"), []);
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => ask(socket, "echo", i)));
    assert.deepEqual(answers, Array.from({ length: 100 }, (_, i) => i));
  });

  feature("ack from client", fixture, {}, async (d) => {
    const socket = await d.connect();
    socket.on("answer-me", (value, ack) => ack({ got: value }));
    assert.deepEqual(await ask(socket, "question", [1, "two"]), { got: [1, "two"] });
    assert.deepEqual(plain(await ask(socket, "question", Buffer.from([1, 2]))), { got: { bytes: [1, 2] } });
  });

  feature("ack typed", fixture, {}, async (d) => {
    const socket = await d.connect();
    const answer = await ask(socket, "typed", { n: 41, s: "hé", b: Buffer.from([1, 2, 3]), list: [1, 2.5] });
    assert.deepEqual(plain(answer), { n: 42, s: "hé!", b: { bytes: [3, 2, 1] }, list: [2, 5] });
  });

  feature("ack timeout on server", fixture, {}, async (d) => {
    const socket = await d.connect();
    assert.equal(await ask(socket, "question-unanswered", 60), "operation has timed out");
  });

  feature("timeout on client", fixture, { needs: ["timeout"] }, async (d) => {
    const socket = await d.connect();
    const error = await new Promise((resolve) => socket.timeout(50).emit("silent", resolve));
    assert.equal(error.message, "operation has timed out");
    const answer = await new Promise((resolve) => socket.timeout(limit).emit("echo", 7, (...args) => resolve(args)));
    assert.deepEqual(answer, [null, 7]);
  });

  feature("emitWithAck", fixture, { needs: ["promises"] }, async (d) => {
    const socket = await d.connect();
    assert.deepEqual(plain(await socket.emitWithAck("echo", { b: Buffer.from("x") })), { b: { bytes: [120] } });
    await assert.rejects(socket.timeout(50).emitWithAck("silent"), /operation has timed out/);
  });

  feature("retries", fixture, { needs: ["promises"] }, async (d) => {
    // The client's own at-least-once queue: packets leave one by one, each after the last one's ack.
    const socket = await d.connect("/", { retries: 3, ackTimeout: limit });
    const answers = [];
    await new Promise((resolve) => {
      for (let i = 0; i < 20; i++) socket.emit("echo", i, (error, value) => (answers.push(value), i === 19 && resolve()));
    });
    assert.deepEqual(answers, Array.from({ length: 20 }, (_, i) => i));
  });

  feature("binary", fixture, {}, async (d) => {
    const socket = await d.connect();
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const values = [
      Buffer.from(bytes),
      bytes.buffer.slice(0),
      new Uint8Array([1, 2, 3]),
      Buffer.alloc(0),
      "text between",
      { deep: [{ er: Buffer.from([9]) }, "x", [Buffer.from([8])]], same: 1 },
    ];
    const back = wait(socket, "echo");
    socket.emit("echo", ...values);
    assert.deepEqual(plain(await back), plain(values));
    await d.settled(socket);
    assert.deepEqual(plain(await askAll(socket, "echo", ...values)), plain(values));
  });

  feature("binary burst", fixture, {}, async (d) => {
    const socket = await d.connect();
    const n = 1000;
    for (let i = 0; i < n; i++) {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32BE(i);
      socket.emit("count-binary", i, bytes);
    }
    assert.deepEqual(await ask(socket, "counted"), { count: n, ordered: true });
    const got = [];
    socket.on("b", (i, bytes) => got.push(i === Buffer.from(plain(bytes).bytes).readUInt32BE(0) ? i : -1));
    const sent = wait(socket, "sent");
    socket.emit("send", n, true);
    await sent;
    assert.deepEqual(got, Array.from({ length: n }, (_, i) => i));
  });

  feature("10,000 events in", fixture, {}, async (d) => {
    const socket = await d.connect(); // over "upgrade", the burst crosses the upgrade
    const n = 10_000;
    for (let i = 0; i < n; i++) socket.emit("count", i);
    assert.deepEqual(await ask(socket, "counted"), { count: n, ordered: true });
    await d.settled(socket);
  });

  feature("10,000 events out", fixture, {}, async (d) => {
    const socket = await d.connect();
    const n = 10_000;
    const got = [];
    socket.on("b", (i) => got.push(i));
    const sent = wait(socket, "sent");
    socket.emit("send", n, false);
    await sent;
    assert.equal(got.length, n);
    assert.ok(got.every((value, i) => value === i), "out of order");
    await d.settled(socket);
  });

  feature("events across upgrade", fixture, { over: ["upgrade"] }, async (d) => {
    // Both ways in small portions while the transport changes under them.
    const socket = await d.connect();
    const got = [];
    socket.on("b", (i) => got.push(i));
    let sent = 0;
    let portions = 0;
    while (portions < 10 || socket.io.engine.transport.name !== "websocket") {
      for (let i = 0; i < 20; i++) socket.emit("count", sent++);
      const done = wait(socket, "sent");
      socket.emit("send", 20, false);
      await done;
      assert.deepEqual(got.splice(0), Array.from({ length: 20 }, (_, i) => i));
      portions++;
    }
    assert.deepEqual(await ask(socket, "counted"), { count: sent, ordered: true });
  });

  feature("emit before connect", fixture, {}, async (d) => {
    const socket = d.open();
    for (let i = 0; i < 50; i++) socket.emit("count", i);
    assert.deepEqual(await ask(socket, "counted"), { count: 50, ordered: true });
  });

  feature("large messages", fixture, {}, async (d) => {
    const socket = await d.connect();
    await d.settled(socket);
    const text = "é".repeat(300_000);
    assert.equal(await ask(socket, "length", text), text.length);
    assert.equal(await ask(socket, "length", Buffer.alloc(700_000, 1)), 700_000);
    assert.equal((await ask(socket, "large", 2_000_000)).length, 2_000_000);
    const bytes = plain(await ask(socket, "large-binary", 1_000_000)).bytes;
    assert.ok(bytes.length === 1_000_000 && bytes.every((b) => b === 7));
  });

  feature("volatile", fixture, {}, async (d) => {
    const socket = await d.connect();
    await d.settled(socket);
    const got = [];
    socket.on("v", (i) => got.push(i));
    await ask(socket, "volatile", 50); // as many as the transport could take at once, in order
    assert.deepEqual(got, [...new Set(got)].sort((a, b) => a - b));
    // A single one on a transport that is ready arrives; between two polls it may be lost.
    for (let tries = 0; got.at(-1) !== 0 || tries === 0; tries++) {
      assert.ok(tries < 100, "100 volatile events lost");
      got.length = 0;
      await ask(socket, "volatile", 1);
    }
  });

  feature("volatile on client", fixture, { needs: ["auth"] }, async (d) => {
    const socket = d.open();
    socket.volatile.emit("count", 0); // not connected: dropped, not kept
    await connected(socket);
    await d.settled(socket);
    assert.deepEqual(await ask(socket, "counted"), { count: 0, ordered: true });
  });

  feature("mixed room", fixture, { over: ["upgrade"] }, async (d, t) => {
    // Every transport of this client in one room: each hears all, in each sender's order.
    const room = d.unique("mixed");
    const { driver, transports } = await import("./lib/clients.mjs");
    const members = [];
    for (const client of new Set([d.client, newest]))
      for (const transport of Object.keys(transports)) members.push(await driver(t, fixture, client, transport).connect());
    const n = 30;
    const heard = members.map((member, i) => {
      const got = members.map(() => []);
      member.on("say", (from, k, bytes) => got[from].push(plain(bytes).bytes[0] === k ? k : -1));
      return { got, all: new Promise((resolve) => member.on("say", () => got.flat().length === n * members.length && resolve())) };
    });
    await Promise.all(members.map((member) => ask(member, "join", room)));
    for (let k = 0; k < n; k++)
      members.forEach((member, from) => member.emit("all", { rooms: [room] }, "say", from, k, Buffer.from([k]), () => {}));
    await Promise.all(heard.map(({ all }) => all));
    const want = Array.from({ length: n }, (_, k) => k);
    for (const { got } of heard) for (const from of got) assert.deepEqual(from, want);
  });
});
