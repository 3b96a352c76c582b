// Connection state recovery: what a client finds again after its connection was cut.
import assert from "node:assert/strict";
import { ask, connected, feature, plain, suite, wait } from "./lib/clients.mjs";

suite("recovery", [], (fixture) => {
  const options = { path: "/recovery/", reconnection: false };

  // cut ends the session without a word of Socket.IO and waits until the server knows.
  async function cut(d, socket, observer) {
    const { id } = socket;
    const gone = wait(socket, "disconnect");
    socket.io.engine.close();
    await gone;
    const end = await ask(observer, "watch", id);
    assert.equal(end.reason, "transport close");
  }

  feature("recovery", fixture, { needs: ["recovery"], options }, async (d) => {
    const nsp = `/dyn-${Math.floor(Math.random() * 1e9)}`; // of its own, to send to everyone in it
    const room = d.unique("kept");
    const [socket, observer] = [await d.connect(nsp), await d.connect(nsp)];
    assert.equal(socket.recovered, false);
    const { id } = socket;
    const news = [];
    socket.on("news", (n, bytes) => news.push(n === 2 ? [n, plain(bytes)] : n));
    await ask(socket, "join", room);
    await ask(socket, "data", { name: "ann" });
    await ask(observer, "all", { rooms: [room] }, "news", 0); // gives the client its first offset
    await ask(socket, "echo", 0);
    await d.settled(socket);

    await cut(d, socket, observer);
    await ask(observer, "all", { rooms: [room] }, "news", 1);
    await ask(observer, "all", { rooms: [d.unique("elsewhere")] }, "news", 99);
    await ask(observer, "all", { rooms: [room], except: [id] }, "news", 98);
    await ask(observer, "all", { rooms: [room] }, "news", 2, Buffer.from([7, 8]));
    await ask(observer, "all", {}, "news", 3);
    socket.connect();
    await connected(socket);
    assert.equal(socket.recovered, true);
    assert.equal(socket.id, id);
    assert.equal(await ask(socket, "echo", 0), 0);
    assert.deepEqual(news, [0, 1, [2, { bytes: [7, 8] }], 3]);
    assert.deepEqual((await ask(socket, "rooms")).sort(), [id, room].sort());
    assert.deepEqual(await ask(socket, "data", null), { name: "ann" });
    const live = wait(socket, "live");
    await ask(observer, "all", { rooms: [room] }, "live", 4);
    assert.equal((await live)[0], 4);
  });

  feature("recovery twice", fixture, { needs: ["recovery"], options }, async (d) => {
    const room = d.unique("kept");
    const [socket, observer] = [await d.connect(), await d.connect()];
    const { id } = socket;
    await ask(socket, "join", room);
    await ask(observer, "all", { rooms: [room] }, "first");
    const got = [];
    socket.on("n", (n) => got.push(n));
    for (let round = 0; round < 3; round++) {
      await d.settled(socket);
      await cut(d, socket, observer);
      for (let i = 0; i < 5; i++) await ask(observer, "all", { rooms: [room] }, "n", 5 * round + i);
      socket.connect();
      await connected(socket);
      assert.equal(socket.recovered, true);
      assert.equal(socket.id, id);
      await ask(socket, "echo", 0);
      // A socket that was recovered can be watched for its end again.
      await ask(observer, "forget", id);
    }
    assert.deepEqual(got, Array.from({ length: 15 }, (_, i) => i));
  });

  feature("no recovery after goodbye", fixture, { needs: ["recovery"], options }, async (d) => {
    const [socket, observer] = [await d.connect(), await d.connect()];
    const { id } = socket;
    await ask(observer, "all", { rooms: [id] }, "first");
    socket.close();
    assert.equal((await ask(observer, "watch", id)).reason, "client namespace disconnect");
    socket.connect();
    await connected(socket);
    assert.equal(socket.recovered, false);
    assert.notEqual(socket.id, id);
  });

  feature("server without memory of it", fixture, { needs: ["recovery"], options }, async (d) => {
    // As after a restart: the client asks for a session this server never had.
    const socket = d.open();
    socket._pid = "0123456789abcdefghij";
    socket._lastOffset = "nowhere";
    const [hello] = await wait(socket, "welcome");
    assert.equal(hello.recovered, false);
    assert.equal(socket.recovered, false);
  });

  feature("offsets and old clients", fixture, { options }, async (d) => {
    // The offset behind the arguments must disturb nobody: acks, binary, clients that know nothing of it.
    const socket = await d.connect();
    const got = wait(socket, "hear");
    await ask(socket, "all", { rooms: [socket.id] }, "hear", "a", Buffer.from([1]));
    const args = await got;
    assert.deepEqual(plain(args.slice(0, 2)), ["a", { bytes: [1] }]);
    assert.deepEqual(plain(await ask(socket, "echo", { b: Buffer.from([2]) })), { b: { bytes: [2] } });
    if (!d.client.has.recovery && !d.v2) assert.ok(args.length <= 3);
  });
});
