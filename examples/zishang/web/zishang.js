// The page of the chat: one room, who is there, who is typing.

import { $, banner, el, open } from "./look.js";

const answerWithin = 8000; // milliseconds
const most = 500; // lines on the page
let me = "";
let people = []; // who is there: { id, name }
let typer; // timer that clears who is typing

$("name").focus();
$("join").addEventListener("submit", (e) => {
  e.preventDefault();
  me = $("name").value.trim();
  $("refused").textContent = me ? "" : "You need a name.";
  if (me) opened.then((s) => s?.connect());
});

let socket;
const opened = open({ auth: (use) => use({ name: me }) }).then((s) => {
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
  s?.on("message", put);
  s?.on("typing", (who) => {
    $("typing").textContent = `${called(who)} is typing…`;
    clearTimeout(typer);
    typer = setTimeout(() => ($("typing").textContent = ""), 2500);
  });
  return s;
});

$("compose").addEventListener("submit", (e) => {
  e.preventDefault();
  const text = $("text").value.trim();
  if (!text || !socket?.connected) return;
  $("text").value = "";
  socket.timeout(answerWithin).emit("message", text, (error, line) => {
    if (error || line.error) return banner(line?.error ?? "The message has not arrived.");
    put(line, true);
  });
});

let lastTyped = 0;
$("text").addEventListener("input", () => {
  if (!socket?.connected || Date.now() - lastTyped < 1500 || $("text").value === "") return;
  lastTyped = Date.now();
  socket.volatile.emit("typing");
});

// called is the name of somebody, with a part of the id if somebody else has that name.
function called({ id, name }) {
  return people.some((p) => p.name === name && p.id !== id) ? `${name} (${id.slice(0, 4)})` : name;
}

function put(line, mine) {
  const item = el("li", mine === true ? "line mine" : "line");
  item.append(el("b", "", called(line)), el("span", "", line.text));
  $("lines").append(item);
  if ($("lines").children.length > most) $("lines").firstElementChild.remove();
  $("scroll").scrollTop = $("scroll").scrollHeight;
  $("typing").textContent = "";
}

function show(part) {
  $("welcome").hidden = part !== "welcome";
  $("chat").hidden = part !== "chat";
  if (part === "chat") $("text").focus();
}
