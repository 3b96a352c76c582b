// Polling clients without cookies behind a balancer that sends each request to another server.
//   URL=http://... CLIENTS=200 EVENTS=100 node polling.js
// Prints READY when all events have gone both ways, waits for a line that names a server that was
// killed, and prints PASS when its clients are back.
"use strict";
const { io } = require("socket.io-client");
const readline = require("readline");
const { URL: url, CLIENTS, EVENTS } = process.env;
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const fail = (text) => { console.log("FAIL " + text); process.exit(1); };

async function main() {
  const list = [];
  for (let i = 0; i < Number(CLIENTS); i++) {
    const s = io(url, { forceNew: true, transports: ["polling"], reconnectionDelay: 100, reconnectionDelayMax: 1000 });
    s.echoes = 0; s.down = 0; s.homes = [];
    s.on("home", (name) => s.homes.push(name));
    s.on("echo", (n) => { if (n !== s.echoes++) fail(`echo ${n} where ${s.echoes - 1} was due`); });
    s.on("disconnect", () => s.down++);
    s.on("connect_error", (e) => { if (!s.homes.length) fail("connect: " + e.message); });
    list.push(s);
    if (i % 20 === 19) await sleep(50);
  }
  // Fails when nothing has gone on for 30 s, however long all of it takes.
  const until = async (what, fn) => {
    for (let i = 0, before = ""; i < 600; i++) {
      if (list.every(fn)) return;
      const now = list.map((s) => s.echoes + "/" + s.homes.length).join();
      if (now !== before) [before, i] = [now, 0];
      await sleep(50);
    }
    fail(what + " " + list.filter((s) => !fn(s)).length + " clients are not");
  };
  await until("connected", (s) => s.homes.length === 1);
  for (let n = 0; n < Number(EVENTS); n++) {
    for (const s of list) s.emit("echo", n);
    if (n % 5 === 4) await sleep(10);
  }
  await until("echoed", (s) => s.echoes === Number(EVENTS));
  if (list.some((s) => s.down)) fail("disconnected");
  console.log("READY");
  const dead = await new Promise((r) => readline.createInterface({ input: process.stdin }).once("line", r));
  const victims = list.filter((s) => s.homes[0] === dead);
  if (!victims.length || victims.length === list.length) fail("victims " + victims.length);
  await until("back", (s) => s.connected && (s.homes[0] !== dead || (s.down >= 1 && s.homes.length > 1 && s.homes[s.homes.length - 1] !== dead)));
  // A poll that was under way through the dead server is lost with it, and then its session is: that
  // hits one in three of the others, behind a balancer that knows no sessions at all.
  await sleep(300);
  await until("back", (s) => s.connected);
  const others = list.filter((s) => s.homes[0] !== dead);
  const hit = others.filter((s) => s.down).length;
  if (hit > others.length * 0.6) fail(hit + " of " + others.length + " clients of other servers were disconnected");
  console.log(hit + " of " + others.length + " clients of other servers had to come back");
  for (const s of list) { s.echoes = 0; s.emit("echo", 0); }
  await until("echoed again", (s) => s.echoes === 1);
  console.log("PASS");
  process.exit(0);
}
main();
