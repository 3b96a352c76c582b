// The game's page: coming in, running, and what the server says.

import { Garden, trace } from "./draw.js";
import { $, el, open, palette, showNode, showState } from "./look.js";
import { Past, Prediction, readState, writeInput } from "./net.js";

/**
 * What the server and the page say to each other: beanpole types made events.ts of the server's handlers.
 * @import { ClientToServerEvents, Rules, Runner, ServerToClientEvents } from "../events"
 * @typedef {import("socket.io-client").Socket<ServerToClientEvents, ClientToServerEvents>} GameSocket
 */
/** @import { Moving, Place, Player } from "./net.js" */

const behind = 100; // milliseconds that others are drawn in the past
const names = ["Quick", "Green", "Busy", "Sunny", "Brave", "Mossy"];
const beetles = ["Weevil", "Beetle", "Cricket", "Hopper", "Ladybird", "Moth"];
const colours = palette("bean");

/** @type {GameSocket | undefined} */
let socket;
let me = 0;
/** @type {{ rules: Rules, garden: Garden, prediction: Prediction } | undefined} */
let game; // once we have joined
let past = new Past();
/** @type {Place[]} */
let beans = [];
/** @type {Player | undefined} */
let told; // what the server said last of our player
/** @type {Map<number, Runner>} */
let runners = new Map(); // by id
/** @type {Map<number, number>} */
let scores = new Map();
let states = 0;
/** @type {ReturnType<typeof setInterval> | undefined} */
let playing; // the timer that sends inputs
/** @type {number[]} */
const delays = [];

// ---- coming in

$("name").value = `${pick(names)} ${pick(beetles)}`;
$("name").select();

$("join").addEventListener("submit", async (/** @type {SubmitEvent} */ e) => {
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

const opened = open().then((/** @type {GameSocket | undefined} */ s) => {
  s?.on("connect", join);
  s?.on("state", (buffer) => later(() => buffer instanceof ArrayBuffer && see(buffer)));
  s?.on("runners", meet);
  s?.on("disconnect", () => clearInterval(playing));
  return s;
});

// join begins a run; after a lost connection it is a new one.
function join() {
  socket?.emit("join", $("name").value.trim(), (welcome) => {
    if ("error" in welcome) return void ($("refused").textContent = welcome.error);
    me = welcome.id;
    const { rules } = welcome;
    game = { rules, garden: game?.garden ?? new Garden($("garden"), rules), prediction: new Prediction(rules) };
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

/** @param {Runner[] | null} list */
function meet(list) {
  runners = new Map(list?.map((r) => [r.id, r]));
}

// ---- running

/** @type {Set<string>} */
const keys = new Set();
/** @type {Record<string, [number, number]>} */
const ways = {
  ArrowUp: [0, -1], KeyW: [0, -1], ArrowDown: [0, 1], KeyS: [0, 1],
  ArrowLeft: [-1, 0], KeyA: [-1, 0], ArrowRight: [1, 0], KeyD: [1, 0],
};
/** @type {Place | undefined} */
let pointer; // where it is held, on the canvas

addEventListener("keydown", (e) => {
  if (!ways[e.code] || !$("welcome").hidden || e.target instanceof HTMLSelectElement) return;
  e.preventDefault();
  keys.add(e.code);
});
addEventListener("keyup", (e) => keys.delete(e.code));
addEventListener("blur", () => keys.clear());
const place = (/** @type {PointerEvent} */ e) => ({ x: e.offsetX, y: e.offsetY });
$("garden").addEventListener("pointerdown", (/** @type {PointerEvent} */ e) => {
  $("garden").setPointerCapture(e.pointerId);
  $("garden").focus();
  pointer = place(e);
});
$("garden").addEventListener("pointermove", (/** @type {PointerEvent} */ e) => pointer && (pointer = place(e)));
for (const name of ["pointerup", "pointercancel"]) $("garden").addEventListener(name, () => (pointer = undefined));

// wanted is where to go: a direction whose length is at most 1.
function wanted() {
  let [x, y] = [0, 0];
  for (const key of keys) {
    x += ways[key][0];
    y += ways[key][1];
  }
  const at = mine();
  if (pointer && at && game) {
    const to = game.garden.toWorld(pointer.x, pointer.y);
    [x, y] = [(to.x - at.x) / 90, (to.y - at.y) / 90];
  }
  const far = Math.hypot(x, y);
  if (far > 0.1) $("hint").classList.add("over");
  return far > 1 ? [x / far, y / far] : [x, y];
}

// step is one step of ours, twenty times a second: it is sent, and made here at once.
function step() {
  if (!game) return;
  const [x, y] = wanted();
  const input = game.prediction.step(x, y);
  later(() => socket?.connected && socket.volatile.emit("input", writeInput(input)));
}

// ---- what the server says

/** @param {ArrayBuffer} buffer */
function see(buffer) {
  if (!game) return;
  const { rules, garden, prediction } = game;
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

/** @param {Place} bean @param {Place | undefined} p */
const near = (bean, p) => p !== undefined && Math.hypot(bean.x - p.x, bean.y - p.y) < 70;

/** later does something after half of the delay that was added. @param {() => void} fn */
function later(fn) {
  const added = Number($("added").value);
  if (added === 0) fn();
  else setTimeout(fn, added / 2);
}

setInterval(() => {
  if (!socket?.connected) return;
  const begun = performance.now();
  later(() => socket?.timeout(5000).emit("latency", (error) => error || later(() => {
    delays.push(performance.now() - begun);
    if (delays.length > 40) delays.shift();
    $("latency").textContent = Math.round(delays[delays.length - 1]);
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
    const { name, hue } = runners.get(id) ?? { name: "", hue: 0 };
    const li = el("li", id === me ? "me" : "");
    const dot = el("i");
    dot.style.setProperty("--hue", String(hue));
    li.append(dot, el("span", "", name), el("b", "", score));
    return li;
  }));
}, 250);

// ---- drawing

/** clear makes the panels that we run under see-through. @param {Place} at */
function clear(at) {
  for (const id of ["board", "net"]) {
    const { offsetLeft: left, offsetTop: top, offsetWidth: width, offsetHeight: height } = $(id);
    const near = 40;
    $(id).classList.toggle("away", at.x > left - near && at.x < left + width + near && at.y > top - near && at.y < top + height + near);
  }
}

/** mine is where our player is: predicted, or as the server said. @returns {Moving | undefined} */
function mine() {
  if (!$("predict").checked) return past.players(performance.now() - behind).get(me);
  return game?.prediction.at(performance.now());
}

function draw() {
  requestAnimationFrame(draw);
  if (!game) return;
  const { rules, garden, prediction } = game;
  prediction.settle();
  const places = past.players(performance.now() - behind);
  const at = mine();
  if (at) places.set(me, at);
  const players = new Map([...places].map(([id, p]) => {
    const { name, hue } = runners.get(id) ?? { name: "", hue: 0 };
    return [id, { ...p, name, hue }];
  }));
  const middle = at ?? { x: rules.width / 2, y: rules.height / 2 };
  garden.draw({ players, me, beans, middle, ghost: $("ghost").checked ? told : undefined });
  clear(garden.toCanvas(middle));
  document.body.dataset.at = at ? `${Math.round(at.x)},${Math.round(at.y)}` : ""; // for tests
  document.body.dataset.others = String(players.size - (at ? 1 : 0));
}
requestAnimationFrame(draw);

/** @param {string[]} list */
function pick(list) {
  return list[Math.floor(Math.random() * list.length)];
}
