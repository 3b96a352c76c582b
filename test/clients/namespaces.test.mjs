// Namespaces, authentication, middleware, rooms and catch-all listeners.
import assert from "node:assert/strict";
import { ask, connected, feature, plain, suite, wait } from "./lib/clients.mjs";

// refusal resolves with what the client is told when the server does not let it in.
const refusal = (d, socket) => wait(socket, d.v2 ? "error" : "connect_error").then(([error]) => error);

suite("namespaces", [], (fixture) => {
  feature("namespace", fixture, {}, async (d) => {
    const socket = d.open("/admin");
    const [hello] = await wait(socket, "welcome");
    assert.equal(hello.nsp, "/admin");
    assert.equal(hello.id, socket.id);
    assert.deepEqual(await ask(socket, "echo", 1), 1);
  });

  feature("namespaces on one connection", fixture, {}, async (d) => {
    const main = await d.connect();
    const admin = main.io.socket("/admin");
    const other = main.io.socket("/dyn-7");
    await Promise.all([connected(admin), connected(other)]);
    assert.equal(new Set([main.id, admin.id, other.id]).size, 3);
    const strays = [];
    for (const socket of [main, other]) socket.on("only-admin", () => strays.push(socket.id));
    const heard = wait(admin, "only-admin");
    admin.emit("all", {}, "only-admin", Buffer.from([1]), () => {});
    assert.deepEqual(plain(await heard), [{ bytes: [1] }]);
    assert.deepEqual(await Promise.all([main, admin, other].map((s, i) => ask(s, "echo", i))), [0, 1, 2]);
    assert.deepEqual(strays, []);
    // Leaving one namespace leaves the others open.
    const end = ask(main, "watch", admin.id);
    admin.close();
    if (!d.v2) assert.equal((await end).reason, "client namespace disconnect");
    assert.equal(await ask(other, "echo", "still"), "still");
    const again = wait(admin, "welcome");
    admin.connect();
    assert.equal((await again)[0].nsp, "/admin");
  });

  feature("dynamic namespace", fixture, {}, async (d) => {
    const n = Math.floor(Math.random() * 1e9);
    const socket = d.open(`/dyn-${n}`);
    const [hello] = await wait(socket, "welcome");
    assert.equal(hello.nsp, `/dyn-${n}`);
  });

  feature("unknown namespace", fixture, {}, async (d) => {
    const error = await refusal(d, d.open("/nowhere"));
    if (d.v2) assert.deepEqual(error, { message: "Invalid namespace" });
    else assert.equal(error.message, "Invalid namespace");
  });

  feature("auth accepted", fixture, {}, async (d) => {
    // v2 has no auth: the server takes the query of the namespace for it.
    const socket = d.v2 ? d.open("/private?token=secret") : d.open("/private", { auth: { token: "secret" } });
    assert.equal((await wait(socket, "welcome"))[0].nsp, "/private");
    assert.deepEqual((await ask(socket, "handshake")).auth, { token: "secret" });
  });

  feature("auth as a function", fixture, { needs: ["auth"] }, async (d) => {
    const socket = await d.connect("/private", { auth: (answer) => answer({ token: "secret" }) });
    assert.deepEqual((await ask(socket, "handshake")).auth, { token: "secret" });
  });

  feature("auth refused, then accepted", fixture, {}, async (d) => {
    const socket = d.v2 ? d.open("/private?token=wrong") : d.open("/private", { auth: { token: "wrong" } });
    const error = await refusal(d, socket);
    if (d.v2) {
      assert.deepEqual(error, { code: "E401", hint: ["token"] });
      return;
    }
    assert.equal(error.message, "not authorized");
    assert.deepEqual(error.data, { code: "E401", hint: ["token"] });
    assert.equal(socket.connected, false);
    socket.auth = { token: "secret" };
    socket.connect();
    await connected(socket);
  });

  feature("event middleware", fixture, {}, async (d) => {
    const socket = await d.connect();
    const refused = wait(socket, "refused");
    socket.emit("blocked", 1);
    assert.deepEqual(await refused, ["blocked by middleware"]);
    assert.equal(await ask(socket, "echo", "after"), "after");
  });

  feature("catch-all on server", fixture, {}, async (d) => {
    const socket = await d.connect();
    socket.emit("one", 1);
    socket.emit("two", Buffer.from([2]));
    assert.deepEqual(await ask(socket, "seen"), ["one", "two"]);
  });

  feature("catch-all on client", fixture, { needs: ["any"] }, async (d) => {
    const socket = d.open();
    const seen = [];
    socket.onAny((event) => seen.push(event));
    await connected(socket);
    await ask(socket, "all", { rooms: [socket.id] }, "whatever");
    assert.deepEqual(seen, ["welcome", "whatever"]);
  });

  feature("rooms", fixture, {}, async (d) => {
    const [room, other] = [d.unique("room"), d.unique("other")];
    const [a, b, c] = await Promise.all([d.connect(), d.connect(), d.connect()]);
    const log = [];
    for (const [name, socket] of Object.entries({ a, b, c })) socket.on("hear", (what) => log.push(`${name}:${what}`));
    await Promise.all([a, b].map((s) => ask(s, "join", room)));
    await Promise.all([b, c].map((s) => ask(s, "join", other)));
    assert.deepEqual(await ask(b, "rooms"), [b.id, room, other].sort());

    const heard = async (send) => {
      log.length = 0;
      await send;
      await Promise.all([a, b, c].map((s) => ask(s, "echo", 0))); // what was sent before has arrived
      return log.sort();
    };
    assert.deepEqual(await heard(ask(a, "to", { rooms: [room] }, "hear", 1)), ["b:1"]);
    assert.deepEqual(await heard(ask(a, "all", { rooms: [room] }, "hear", 2)), ["a:2", "b:2"]);
    assert.deepEqual(await heard(ask(a, "all", { rooms: [room, other] }, "hear", 3)), ["a:3", "b:3", "c:3"]);
    assert.deepEqual(await heard(ask(a, "all", { rooms: [room, other], except: [b.id] }, "hear", 4)), ["a:4", "c:4"]);
    assert.deepEqual(await heard(ask(a, "to", { rooms: [c.id] }, "hear", 5)), ["c:5"]);
    assert.deepEqual(await ask(a, "fetch", room), [a.id, b.id].sort());
    await ask(b, "leave", room);
    assert.deepEqual(await heard(ask(a, "all", { rooms: [room] }, "hear", 6)), ["a:6"]);
    const third = d.unique("third");
    await ask(a, "move", other, third);
    assert.deepEqual(await ask(a, "fetch", third), [b.id, c.id].sort());
    assert.deepEqual(await ask(a, "fetch", other), []);
    assert.deepEqual(await heard(ask(a, "all", { rooms: [third] }, "hear", 7)), ["b:7", "c:7"]);
  });

  feature("broadcast with acks", fixture, {}, async (d) => {
    const room = d.unique("asked");
    const [a, b, c] = await Promise.all([d.connect(), d.connect(), d.connect()]);
    await Promise.all([a, b, c].map((s) => ask(s, "join", room)));
    a.on("vote", (n, ack) => ack(`a${n}`));
    b.on("vote", (n, ack) => ack(`b${n}`));
    const silent = (error, answers) => [error, answers];
    const all = (ms) => new Promise((resolve) => a.emit("ask-room", room, ms, "vote", 1, (...got) => resolve(silent(...got))));
    assert.deepEqual(await all(1500), ["operation has timed out", ["a1", "b1"]]); // partial, with the error
    c.on("vote", (n, ack) => ack(`c${n}`));
    assert.deepEqual(await all(10_000), [null, ["a1", "b1", "c1"]]);
  });

  feature("socket data", fixture, {}, async (d) => {
    const socket = await d.connect();
    assert.equal(await ask(socket, "data", null), null);
    assert.deepEqual(await ask(socket, "data", { a: [1] }), { a: [1] });
    assert.deepEqual(await ask(socket, "data", null), { a: [1] });
  });
});
