// The scores' page: what the server says, what was missed, and losing the connection on purpose.

import { $, banner, open, showNode, showState } from "./look.js";
import { addEvent, clearFeed, showMatch, showMatches } from "./view.js";

/**
 * What the server and the page say to each other: beanpole types made events.ts of the server's handlers.
 * @import { ClientToServerEvents, Event, ServerToClientEvents } from "../events"
 * @typedef {import("socket.io-client").Socket<ServerToClientEvents, ClientToServerEvents>} ScoresSocket
 */

const away = 8; // seconds

showState("connecting");
/** @type {ScoresSocket | undefined} */
const socket = await open();
const seen = new Set(); // ids of events
/** @type {number | undefined} */
let missed; // how many events have come again so far, while they do; undefined otherwise
/** @type {number | undefined} */
let lostAt;

// Of a recovered connection the missed events come first, then "live". Of any other comes the board.
socket?.on("connect", () => {
  missed = socket?.recovered ? 0 : undefined;
});
socket?.on("live", () => {
  if (missed === undefined) return;
  const seconds = lostAt ? ` after ${Math.round((Date.now() - lostAt) / 1000)} s away` : "";
  tell(missed === 0 ? `Back${seconds}. Nothing was missed.`
    : `Back${seconds}. ${missed} missed ${missed === 1 ? "event" : "events"} recovered.`);
  missed = undefined;
});
socket?.on("board", (board) => {
  missed = undefined;
  seen.clear();
  clearFeed();
  const { matches, events } = { matches: board.matches ?? [], events: board.events ?? [] };
  showMatches(matches);
  $("empty").hidden = matches.length + events.length > 0;
  for (const e of events) take(e);
  showNode(board.node);
  if (lostAt) tell("Back, but away for too long: everything was loaded anew.");
});
socket?.on("event", (e) => {
  $("empty").hidden = true;
  for (const m of e.clock ?? []) showMatch(m);
  if (e.match) showMatch(e.match, e.kind === "goal" && !seen.has(e.id));
  if (e.kind !== "clock") take(e, true);
});
socket?.on("disconnect", () => {
  lostAt = Date.now();
  $("recovery").hidden = true;
});

/** take puts an event into the list, unless it is there. @param {Event} e */
function take(e, isNew = false) {
  if (seen.has(e.id)) return;
  seen.add(e.id);
  const recovered = missed !== undefined;
  if (missed !== undefined) missed++;
  addEvent(e, { recovered, isNew });
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let telling;
/** @param {string} words */
function tell(words) {
  $("recovery").textContent = words;
  $("recovery").hidden = false;
  clearTimeout(telling);
  telling = setTimeout(() => ($("recovery").hidden = true), 20_000);
}

// ---- losing the connection

// The connection is cut as a tunnel would cut it: nobody says goodbye. Then the client waits longer than
// it usually does until it tries again.
$("lose").addEventListener("click", () => {
  if (!socket) return;
  const usual = socket.io.reconnectionDelay();
  const most = socket.io.reconnectionDelayMax();
  const spread = socket.io.randomizationFactor();
  socket.io.reconnectionDelayMax(away * 1000).reconnectionDelay(away * 1000).randomizationFactor(0);
  socket.io.engine.close();
  socket.io.reconnectionDelay(usual).reconnectionDelayMax(most).randomizationFactor(spread);
  $("lose").disabled = true;
  let left = away;
  const count = () => {
    if (socket.connected) {
      clearInterval(timer);
      $("lose").disabled = false;
      $("lose").textContent = `Lose the connection for ${away} s`;
      return;
    }
    $("lose").textContent = left > 0 ? `Back in ${left} s` : "Coming back…";
    banner("The connection is lost. Meanwhile the matches go on…");
    left--;
  };
  const timer = setInterval(count, 1000);
  count();
});

socket?.connect();
