// The chat's page: what people do and what the server says.

import { $, loadClient, showNode, showState, transports } from "./look.js";
import { Log, Typing, showPeople, showRooms } from "./view.js";

/**
 * What the server and the page say to each other: beanpole types made events.ts of the server's handlers.
 * @import { ClientToServerEvents, Message, ServerToClientEvents } from "../events"
 * @import { Line } from "./view.js"
 * @typedef {import("socket.io-client").Socket<ServerToClientEvents, ClientToServerEvents>} ChatSocket
 */

const answerWithin = 8000; // milliseconds
const rooms = ["Lobby", "Coffee", "Help"];

const log = new Log();
const typing = new Typing();
/** @type {Map<string, Line>} */
const drafts = new Map(); // messages that the server does not have yet, by id

// key shows that we are who we were. The server makes a name of it that nobody else can have.
const key = remembered("key") || newID();
remember("key", key);

/** @type {ChatSocket} */
let socket; // once somebody has joined
let me = "";
let you = ""; // who we are to the server, by our key
let room = "";
let entered = false; // the server has let us into the room, so that messages may go
let peopleAt = 0;
let unread = 0;

// ---- coming in

$("name").value = remembered("name");
$("room").value = roomOfAddress() || remembered("room") || rooms[0];
showRooms(rooms, "");
($("name").value ? $("room") : $("name")).focus();

$("join").addEventListener("submit", async (/** @type {SubmitEvent} */ e) => {
  e.preventDefault();
  const [name, to] = [tidy($("name").value), tidy($("room").value)];
  $("refused").textContent = !name ? "You need a name." : !to ? "Which room?" : "";
  if (!name || !to) return (!name ? $("name") : $("room")).focus();
  me = name;
  remember("name", me);
  showState("connecting");
  socket = await opened;
  choose(to);
  socket.connect();
});

$("leave").addEventListener("click", () => {
  leave();
  show("welcome");
  $("name").focus();
});

function leave() {
  socket.disconnect();
  entered = false;
  room = "";
  history.replaceState(null, "", location.pathname + location.search);
  document.title = "Beanpole chat";
  showState("off");
}

// ---- the connection

// The client is loaded with the page, and not when somebody joins: with the server gone by then, it says so and
// goes on trying.
const opened = loadClient().then((io) => {
  /** @type {ChatSocket} */
  const s = io({
    auth: (use) => use({ name: me, key }),
    transports: transports(),
    reconnectionDelay: 300,
    reconnectionDelayMax: 3000,
    autoConnect: false,
  });
  s.on("connect", () => {
    showState("online", s.io.engine.transport.name);
    s.io.engine.on("upgrade", (t) => showState("online", t.name));
    banner("");
    enter();
  });
  s.on("you", (by) => (you = by));
  s.on("connect_error", (error) => {
    if (s.active) return lost("The server cannot be reached. Trying again…");
    showState("off");
    refused(error.message);
  });
  s.on("disconnect", (reason) => {
    entered = false;
    typing.clear();
    if (reason === "io client disconnect") return;
    if (s.active) return lost("Connection lost. Reconnecting… What you write is kept and sent later.");
    showState("off");
    banner("The server has ended the connection.", true);
  });
  s.io.on("reconnect_attempt", () => showState("lost"));
  s.on("message", (where, m) => {
    if (!isHere(where)) return;
    typing.over(m.name);
    put(m);
    if (document.hidden) document.title = `(${++unread}) ${room}`;
  });
  s.on("typing", (where, who) => isHere(where) && who.by !== you && typing.heard(who.name));
  s.on("people", (p) => {
    if (!isHere(p.room) || p.at < peopleAt) return;
    peopleAt = p.at;
    showPeople(p.people ?? [], you, p.count);
  });
  return s;
});

/** refused goes back to where a name and a room are chosen. @param {string} why */
function refused(why) {
  show("welcome");
  $("refused").textContent = sentence(why);
}

/** @param {string} why */
function lost(why) {
  showState("lost");
  banner(why);
}

/** @param {string} why */
function banner(why, again = false) {
  $("banner").hidden = why === "";
  $("why").textContent = why;
  $("again").hidden = !again;
}

$("again").addEventListener("click", () => {
  showState("connecting");
  socket.connect();
});

// ---- rooms

/** choose moves the page to a room; the server hears of it when there is a connection. @param {string} to */
function choose(to) {
  const known = rooms.find((r) => r.toLowerCase() === to.toLowerCase());
  if (!known) rooms.push(to);
  room = known ?? to;
  entered = false;
  peopleAt = 0;
  drafts.clear();
  log.clear();
  typing.clear();
  remember("room", room);
  history.replaceState(null, "", `${location.pathname}${location.search}#${encodeURIComponent(room)}`);
  document.title = `${room} · Beanpole chat`;
  $("title").textContent = room;
  $("me").textContent = me;
  showRooms(rooms, room);
  showPeople([{ by: you, name: me }], you, 1);
  show("chat");
  side(false);
  enter();
}

// enter asks the server into the room, takes its history, and sends what has waited.
function enter() {
  if (!socket?.connected || room === "") return;
  const to = room;
  socket.timeout(answerWithin).emit("enter", to, (error, entry) => {
    if (to !== room) return;
    if (error) return void (socket.connected && enter());
    if ("error" in entry) {
      leave();
      return refused(entry.error);
    }
    entered = true;
    showNode(entry.node);
    for (const m of entry.history ?? []) put(m);
    for (const m of drafts.values()) transmit(m);
  });
}

addEventListener("hashchange", () => {
  const to = roomOfAddress();
  if (to && room && to.toLowerCase() !== room.toLowerCase()) choose(to);
});

$("open").addEventListener("submit", (/** @type {SubmitEvent} */ e) => {
  e.preventDefault();
  const to = tidy($("other").value);
  $("other").value = "";
  if (to) choose(to);
});

$("menu").addEventListener("click", () => side(!document.body.classList.contains("side")));
$("shade").addEventListener("click", () => side(false));
addEventListener("keydown", (e) => e.key === "Escape" && side(false));

/** side opens or closes the drawer that the rooms and people are in on a phone. @param {boolean} open */
function side(open) {
  const wasOpen = document.body.classList.contains("side");
  document.body.classList.toggle("side", open);
  $("menu").setAttribute("aria-expanded", open);
  if (open) $("rooms").querySelector("a").focus();
  else if (wasOpen) $("menu").focus();
}

// ---- messages

$("compose").addEventListener("submit", (/** @type {SubmitEvent} */ e) => {
  e.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  /** @type {Line} */
  const m = { id: newID(), by: you, name: me, text, time: Date.now(), mine: true, state: "sending" };
  drafts.set(m.id, m);
  log.put(m);
  transmit(m);
  $("text").value = "";
  grow();
  lastTyped = 0;
  $("text").focus();
});

/**
 * transmit sends a draft if it can now; enter does so later otherwise. The server knows a message of ours
 * that it gets a second time by its id.
 * @param {Line} m
 */
function transmit(m) {
  if (!entered) return;
  socket.timeout(answerWithin).emit("message", { id: m.id, text: m.text }, (error, answer) => {
    if (!drafts.has(m.id)) return;
    if (error) return void (socket.connected && transmit(m));
    drafts.delete(m.id);
    if ("error" in answer) return log.put({ ...m, state: "failed", why: sentence(answer.error) });
    put(answer);
  });
}

/**
 * put shows what the server says. Ids are the authors' own: another's message is never taken for one of ours,
 * whatever its id.
 * @param {Message} m
 */
function put(m) {
  const mine = m.by === you;
  const id = mine ? m.id : `${m.by}/${m.id}`;
  log.put({ ...m, id, time: Date.parse(m.time), mine, state: mine ? "sent" : undefined });
}

let lastTyped = 0;
$("text").addEventListener("input", () => {
  grow();
  if (!entered || Date.now() - lastTyped < 1500 || $("text").value === "") return;
  lastTyped = Date.now();
  socket.volatile.emit("typing");
});
$("text").addEventListener("keydown", (/** @type {KeyboardEvent} */ e) => {
  if (e.key !== "Enter" || e.shiftKey || e.isComposing) return; // a phone's Send is Enter too
  e.preventDefault();
  $("compose").requestSubmit();
});

// grow fits the field to what is written.
function grow() {
  $("text").style.height = "auto";
  $("text").style.height = `${$("text").scrollHeight}px`;
}

document.addEventListener("visibilitychange", () => {
  unread = 0;
  if (!document.hidden && room) document.title = `${room} · Beanpole chat`;
});

// ---- odds and ends

/** @param {"welcome" | "chat"} part */
function show(part) {
  $("welcome").hidden = part !== "welcome";
  $("chat").hidden = part !== "chat";
  document.body.classList.toggle("in", part === "chat");
  if (part === "chat" && matchMedia("(pointer: fine)").matches) $("text").focus();
}

/** @param {string} where */
function isHere(where) {
  return where.toLowerCase() === room.toLowerCase();
}

/** @param {string} text */
function tidy(text) {
  return text.replace(/\s+/g, " ").trim();
}

/** @param {string} text */
function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

function roomOfAddress() {
  try {
    return tidy(decodeURIComponent(location.hash.slice(1))).slice(0, 24);
  } catch {
    return "";
  }
}

// newID works on pages without TLS too, unlike crypto.randomUUID.
function newID() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/** Browsers may forbid storage; then nothing is remembered. @param {string} key */
function remembered(key) {
  try {
    return localStorage.getItem(`beanpole.${key}`) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} key @param {string} value */
function remember(key, value) {
  try {
    localStorage.setItem(`beanpole.${key}`, value);
  } catch {
    // as said above
  }
}
