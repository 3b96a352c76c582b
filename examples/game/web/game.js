// The game's page: coming in, running, and what the server says.

import { Garden, trace } from "./draw.js";
import { $, el, open, palette, showNode, showState } from "./look.js";
import { Past, Prediction, readState, writeInput } from "./net.js";

const behind = 100; // milliseconds that others are drawn in the past
const names = ["Quick", "Green", "Busy", "Sunny", "Brave", "Mossy"];
const beetles = ["Weevil", "Beetle", "Cricket", "Hopper", "Ladybird", "Moth"];
const colours = palette("bean");

let socket;
let me = 0;
let rules;
let garden;
let prediction;
let past = new Past();
let beans = [];
let told; // what the server said last of our player
let runners = new Map(); // by id: { name, hue }
let scores = new Map();
let states = 0;
let playing; // the timer that sends inputs
const delays = [];

// ---- coming in

$("name").value = `${pick(names)} ${pick(beetles)}`;
$("name").select();

$("join").addEventListener("submit", async (e) => {
  e.preventDefault();
  const name = $("name").value.trim();
  $("refused").textContent = name ? "" : "You need a name.";
  if (!name) return;
  socket = await opened;
  if (!socket) return;
  if (socket.connected) return join();
  showState("connecting");
  socket.connect();
});

const opened = open().then((s) => {
  s?.on("connect", join);
  s?.on("state", (buffer) => later(() => see(buffer)));
  s?.on("runners", meet);
  s?.on("disconnect", () => clearInterval(playing));
  return s;
});

// join begins a run; after a lost connection it is a new one.
function join() {
  socket.emit("join", $("name").value.trim(), (welcome) => {
    if (welcome.error) return void ($("refused").textContent = welcome.error);
    me = welcome.id;
    rules = welcome.rules;
    garden ??= new Garden($("garden"), rules);
    prediction = new Prediction(rules);
    past = new Past();
    told = undefined;
    meet(welcome.runners);
    showNode(welcome.node);
    for (const id of ["board", "net", "hint"]) $(id).hidden = false;
    $("welcome").hidden = true;
    $("garden").focus();
    clearInterval(playing);
    playing = setInterval(step, rules.dt * 1000);
  });
}

function meet(list) {
  runners = new Map(list.map((r) => [r.id, r]));
}

// ---- running

const keys = new Set();
const ways = {
  ArrowUp: [0, -1], KeyW: [0, -1], ArrowDown: [0, 1], KeyS: [0, 1],
  ArrowLeft: [-1, 0], KeyA: [-1, 0], ArrowRight: [1, 0], KeyD: [1, 0],
};
let pointer; // where it is held, on the canvas

addEventListener("keydown", (e) => {
  if (!ways[e.code] || !$("welcome").hidden || e.target.tagName === "SELECT") return;
  e.preventDefault();
  keys.add(e.code);
});
addEventListener("keyup", (e) => keys.delete(e.code));
addEventListener("blur", () => keys.clear());
const place = (e) => ({ x: e.offsetX, y: e.offsetY });
$("garden").addEventListener("pointerdown", (e) => {
  $("garden").setPointerCapture(e.pointerId);
  $("garden").focus();
  pointer = place(e);
});
$("garden").addEventListener("pointermove", (e) => pointer && (pointer = place(e)));
for (const name of ["pointerup", "pointercancel"]) $("garden").addEventListener(name, () => (pointer = undefined));

// wanted is where to go: a direction whose length is at most 1.
function wanted() {
  let [x, y] = [0, 0];
  for (const key of keys) {
    x += ways[key][0];
    y += ways[key][1];
  }
  const at = mine();
  if (pointer && at) {
    const to = garden.toWorld(pointer.x, pointer.y);
    [x, y] = [(to.x - at.x) / 90, (to.y - at.y) / 90];
  }
  const far = Math.hypot(x, y);
  if (far > 0.1) $("hint").classList.add("over");
  return far > 1 ? [x / far, y / far] : [x, y];
}

// step is one step of ours, twenty times a second: it is sent, and made here at once.
function step() {
  const input = prediction.step(...wanted());
  later(() => socket.connected && socket.volatile.emit("input", writeInput(input)));
}

// ---- what the server says

function see(buffer) {
  if (!rules) return;
  states++;
  $("bytes").textContent = buffer.byteLength;
  const state = readState(buffer, rules.scale);
  state.beans.forEach((b, i) => {
    const old = beans[i];
    if (old && Math.hypot(old.x - b.x, old.y - b.y) > 1) garden.pop(old, near(old, state.players.get(me)));
  });
  beans = state.beans;
  past.add(state.players);
  told = state.players.get(me);
  if (told) prediction.told(told);
  scores = new Map([...state.players].map(([id, p]) => [id, p.score]));
}

const near = (bean, p) => Boolean(p) && Math.hypot(bean.x - p.x, bean.y - p.y) < 70;

// later does something after half of the delay that was added.
function later(fn) {
  const added = Number($("added").value);
  if (added === 0) fn();
  else setTimeout(fn, added / 2);
}

setInterval(() => {
  if (!socket?.connected) return;
  const begun = performance.now();
  later(() => socket.timeout(5000).emit("latency", (error) => error || later(() => {
    delays.push(performance.now() - begun);
    if (delays.length > 40) delays.shift();
    $("latency").textContent = Math.round(delays.at(-1));
    trace($("trace"), delays, colours.bean);
  })));
}, 1000);

setInterval(() => {
  $("rate").textContent = states;
  states = 0;
}, 1000);

setInterval(() => {
  const best = [...scores].filter(([id]) => runners.has(id)).sort((a, b) => b[1] - a[1]);
  const shown = best.slice(0, 6);
  const own = best.find(([id]) => id === me);
  if (own && !shown.includes(own)) shown[5] = own;
  $("scores").replaceChildren(...shown.map(([id, score]) => {
    const { name, hue } = runners.get(id);
    const li = el("li", id === me ? "me" : "");
    const dot = el("i");
    dot.style.setProperty("--hue", hue);
    li.append(dot, el("span", "", name), el("b", "", score));
    return li;
  }));
}, 250);

// ---- drawing

// clear makes the panels that we run under see-through.
function clear(at) {
  for (const id of ["board", "net"]) {
    const { offsetLeft: left, offsetTop: top, offsetWidth: width, offsetHeight: height } = $(id);
    const near = 40;
    $(id).classList.toggle("away", at.x > left - near && at.x < left + width + near && at.y > top - near && at.y < top + height + near);
  }
}

// mine is where our player is: predicted, or as the server said.
function mine() {
  if (!$("predict").checked) return past.players(performance.now() - behind).get(me);
  return prediction?.at(performance.now());
}

function draw() {
  requestAnimationFrame(draw);
  if (!garden) return;
  prediction.settle();
  const players = past.players(performance.now() - behind);
  const at = mine();
  if (at) players.set(me, at);
  for (const [id, p] of players) {
    const { name = "", hue = 0 } = runners.get(id) ?? {};
    players.set(id, { ...p, name, hue });
  }
  const middle = at ?? { x: rules.width / 2, y: rules.height / 2 };
  garden.draw({ players, me, beans, middle, ghost: $("ghost").checked ? told : undefined });
  clear(garden.toCanvas(middle));
  document.body.dataset.at = at ? `${Math.round(at.x)},${Math.round(at.y)}` : ""; // for tests
  document.body.dataset.others = players.size - (at ? 1 : 0);
}
requestAnimationFrame(draw);

function pick(list) {
  return list[Math.floor(Math.random() * list.length)];
}
