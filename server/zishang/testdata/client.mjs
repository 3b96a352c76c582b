// Talks to a server under test with socket.io-client, over each transport. Run by TestRealClient:
//   node client.mjs <folder of package.json> <url>
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const [folder, url] = process.argv.slice(2);
const { io } = createRequire(`${folder}/package.json`)("socket.io-client");
const once = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));

for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
  const s = io(url, { transports, auth: { token: "t" }, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 50 });
  const hello = once(s, "hello");
  await once(s, "connect");
  assert.deepEqual((await hello).slice(0, 2), [{ token: "t" }, false]);
  if (transports.length === 2 && s.io.engine.transport.name !== "websocket") await once(s.io.engine, "upgrade");

  assert.equal(await s.emitWithAck("echo", "x"), "x");
  const binary = await s.emitWithAck("echo", Buffer.from([1, 2, 3]));
  assert.deepEqual(Buffer.from(binary), Buffer.from([1, 2, 3]));
  assert.equal((await s.emitWithAck("large")).length, 500_000);
  s.on("question", (value, answer) => answer(value + 41));
  assert.equal(await s.emitWithAck("ask"), 42);

  const seen = [];
  const all = new Promise((resolve) => s.on("burst", (i) => seen.push(i) === 500 && resolve()));
  s.emit("burst");
  await all;
  assert.deepEqual(seen, Array.from({ length: 500 }, (_, i) => i));

  const admin = s.io.socket("/admin");
  await once(admin, "connect");
  assert.equal(await admin.emitWithAck("echo", "a"), "a");
  const closed = s.io.socket("/closed");
  assert.equal((await once(closed, "connect_error"))[0].message, "closed to all");

  const { id } = s; // a lost connection is recovered
  const again = once(s, "connect");
  s.io.engine.close();
  await again;
  assert.ok(s.recovered);
  assert.equal(s.id, id);
  assert.equal(await s.emitWithAck("echo", "back"), "back");

  const gone = once(s, "disconnect");
  s.emit("kick");
  assert.equal((await gone)[0], "io server disconnect");
  s.connect();
  await once(s, "connect");
  s.disconnect();
}
