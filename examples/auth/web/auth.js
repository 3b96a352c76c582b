// The page: a password for a token, the token for a socket, and a new token before the old one ends.

import { $, banner, open, showState } from "./look.js";

/**
 * What the server and the page say to each other: beanpole types made events.ts of the server's handlers.
 * @import { ClientToServerEvents, ServerToClientEvents, Session } from "../events"
 * @typedef {import("socket.io-client").Socket<ServerToClientEvents, ClientToServerEvents>} AuthSocket
 */

/** @type {string | undefined} */
let token; // in memory only: what is in localStorage can be read by any script of the page
/** @type {string | undefined} */
let password; // so that the page can renew; an application has a refresh token in an HttpOnly cookie
let expires = 0;
let begun = 0;

/** @param {string} name @param {string | undefined} secret */
async function login(name, secret) {
  const res = await fetch("login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name, password: secret }),
  }).catch(() => { throw new Error("the server cannot be reached"); });
  if (!res.ok) throw new Error((await res.text()).trim());
  return (await res.json()).token;
}

// auth is a function, so that a socket that comes back shows the newest token.
/** @type {AuthSocket | undefined} */
const socket = await open({ auth: (give) => give({ token }) });

$("login").addEventListener("submit", async (/** @type {SubmitEvent} */ e) => {
  e.preventDefault();
  $("refused").textContent = "";
  try {
    token = await login($("name").value, $("password").value);
  } catch (error) {
    $("refused").textContent = messageOf(error);
    return;
  }
  password = $("password").value;
  $("password").value = "";
  banner("");
  socket?.connect();
});

/** @param {Session} session */
function inside(session) {
  expires = Date.parse(session.expires);
  begun = Date.now();
  $("who").textContent = session.name;
  $("login").hidden = true;
  $("inside").hidden = false;
}

/** @param {string} why */
function outside(why) {
  $("login").hidden = false;
  $("inside").hidden = true;
  banner(why);
}

socket?.on("welcome", inside);
socket?.on("expired", () => { token = undefined; });
socket?.on("disconnect", (reason) => {
  if (reason !== "io server disconnect") return; // else the client comes back by itself
  showState("off");
  outside(token ? "You have left everywhere." : "Your token has expired.");
  token = password = undefined;
});

// refused: a server that has been restarted has another key, unless AUTH_KEY names it, and tokens end while one is
// away. Who has their token renewed in time gets a new one here too.
socket?.on("connect_error", async (error) => {
  if (socket?.active) return;
  if (error.message !== "not authorized") return outside(`The server says: ${error.message}.`);
  try {
    if (!$("keep").checked || !password) throw new Error("");
    token = await login($("who").textContent, password);
    socket?.connect();
  } catch {
    token = password = undefined;
    outside("The server does not take your token any more. Log in again.");
  }
});

$("everywhere").addEventListener("click", () => socket?.emit("leave everywhere"));

/** @param {unknown} error */
const messageOf = (error) => (error instanceof Error ? error.message : String(error));

let renewing = false;
/** @param {AuthSocket} socket */
async function renew(socket) {
  renewing = true;
  try {
    const fresh = await login($("who").textContent, password);
    const answer = await socket.timeout(3000).emitWithAck("renew", fresh);
    if ("error" in answer) throw new Error(answer.error);
    token = fresh;
    inside(answer);
  } catch (error) {
    banner(`The token could not be renewed: ${messageOf(error)}.`);
  }
  renewing = false;
}

setInterval(() => {
  const left = Math.max(0, expires - Date.now());
  $("left").textContent = `${(left / 1000).toFixed(1)} s`;
  $("meter").value = left / Math.max(1, expires - begun);
  if ($("keep").checked && !renewing && socket?.connected && left < (expires - begun) / 3) renew(socket);
}, 100);
