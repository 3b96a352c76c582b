// The page of the chat: one room, who is there, who is typing.

import { $, banner, el, open } from "./look.js";

/**
 * What the server and the page say to each other. Handlers of the library have no types, so that nothing holds these
 * against them: chat.go has the events.
 * @typedef {{ id: string, name: string }} Person
 * @typedef {Person & { text: string }} Line
 * @typedef {{ people(list: Person[]): void, message(line: Line): void, typing(who: Person): void }} ServerToClientEvents
 * @typedef {{ message(text: string, ack: (line: Line | { error: string }) => void): void, typing(): void }} ClientToServerEvents
 * @typedef {import("socket.io-client").Socket<ServerToClientEvents, ClientToServerEvents>} ChatSocket
 */

const answerWithin = 8000; // milliseconds
const most = 500; // lines on the page
let me = "";
/** @type {Person[]} */
let people = []; // who is there
/** @type {ReturnType<typeof setTimeout> | undefined} */
let typer; // timer that clears who is typing

$("name").focus();
$("join").addEventListener("submit", (/** @type {SubmitEvent} */ e) => {
  e.preventDefault();
  me = $("name").value.trim();
  $("refused").textContent = me ? "" : "You need a name.";
  if (me) opened.then((s) => s?.connect());
});

/** @type {ChatSocket | undefined} */
let socket;
const opened = open({ auth: (use) => use({ name: me }) }).then((/** @type {ChatSocket | undefined} */ s) => {
  socket = s;
  s?.on("connect", () => show("chat"));
  s?.on("connect_error", (error) => {
    if (s.active) return;
    show("welcome");
    banner("");
    $("refused").textContent = error.message;
  });
  s?.on("people", (list) => {
    people = list;
    $("people").textContent = `Here now: ${list.map(called).join(", ")}`;
  });
  s?.on("message", (line) => put(line));
  s?.on("typing", (who) => {
    $("typing").textContent = `${called(who)} is typing…`;
    clearTimeout(typer);
    typer = setTimeout(() => ($("typing").textContent = ""), 2500);
  });
  return s;
});

$("compose").addEventListener("submit", (/** @type {SubmitEvent} */ e) => {
  e.preventDefault();
  const text = $("text").value.trim();
  if (!text || !socket?.connected) return;
  $("text").value = "";
  socket.timeout(answerWithin).emit("message", text, (error, line) => {
    if (error) return banner("The message has not arrived.");
    if ("error" in line) return banner(line.error);
    put(line, true);
  });
});

let lastTyped = 0;
$("text").addEventListener("input", () => {
  if (!socket?.connected || Date.now() - lastTyped < 1500 || $("text").value === "") return;
  lastTyped = Date.now();
  socket.volatile.emit("typing");
});

/**
 * called is the name of somebody, with a part of the id if somebody else has that name.
 * @param {Person} who
 */
function called({ id, name }) {
  return people.some((p) => p.name === name && p.id !== id) ? `${name} (${id.slice(0, 4)})` : name;
}

/** @param {Line} line */
function put(line, mine = false) {
  const item = el("li", mine ? "line mine" : "line");
  item.append(el("b", "", called(line)), el("span", "", line.text));
  $("lines").append(item);
  if ($("lines").children.length > most) $("lines").firstElementChild.remove();
  $("scroll").scrollTop = $("scroll").scrollHeight;
  $("typing").textContent = "";
}

/** @param {"welcome" | "chat"} part */
function show(part) {
  $("welcome").hidden = part !== "welcome";
  $("chat").hidden = part !== "chat";
  if (part === "chat") $("text").focus();
}
