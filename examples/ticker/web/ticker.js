// The ticker's page: what is followed, and what the server says.

import { Chart, spark } from "./chart.js";
import { $, el, open, palette, showNode, showState } from "./look.js";
import { Series } from "./series.js";

/**
 * What the server and the page say to each other: beanpole types made events.ts of the server's handlers.
 * @import { ClientToServerEvents, Listing, ServerToClientEvents } from "../events"
 * @typedef {import("socket.io-client").Socket<ServerToClientEvents, ClientToServerEvents>} TickerSocket
 */

const keep = 320_000; // milliseconds of each series
const minute = 60_000;
const atFirst = ["BEAN", "MOSS", "HIVE", "FERN"];
const star = "M12 3.500l2.600 5.300 5.900.9-4.300 4.100 1 5.800L12 16.900l-5.200 2.700 1-5.800L3.500 9.700l5.900-.9z";

/**
 * @typedef {{ listing: Listing, series: Series, followed: boolean, tick: number, still: number, element: HTMLElement,
 *   pick: HTMLButtonElement, spark: HTMLCanvasElement, last: HTMLElement, price: HTMLElement, change: HTMLElement,
 *   toggle: HTMLButtonElement }} Row
 */
/** @type {Map<string, Row>} */
const rows = new Map(); // by symbol
const chart = new Chart($("chart"));
const colours = palette("up", "down");

let current = "BEAN";
let span = minute;
let interval = 20;
let ahead = -Infinity; // how far the server's clock is ahead of ours, less the way, in milliseconds
let received = 0;
/** @type {{ at: number, count: number }[]} */
const skips = [];

showState("connecting");
/** @type {TickerSocket | undefined} */
const socket = await open();
socket?.on("welcome", (w) => {
  interval = w.interval;
  showNode(w.node);
  for (const listing of w.listings ?? []) {
    const row = rows.get(listing.symbol) ?? make(listing);
    row.listing = listing;
    row.series.clear();
    show(row, listing.price);
    if (row.followed) follow(row);
  }
  choose(current);
});
socket?.on("tick", (symbol, time, price) => {
  const row = rows.get(symbol);
  if (!row?.followed) return;
  received++;
  ahead = Math.max(ahead - 0.02, time - Date.now());
  const missing = Math.round((time - row.tick) / interval) - 1;
  if (row.tick && missing > 0) skips.push({ at: Date.now(), count: missing });
  row.tick = time;
  row.series.add(time, price);
});
socket?.connect();

// ---- following

/** follow asks for the ticks of a symbol, which the server puts us into a room for. @param {Row} row */
function follow(row) {
  row.followed = true;
  row.tick = 0;
  mark(row);
  socket?.emit("follow", row.listing.symbol, (past) => {
    if (row.followed && !("error" in past)) row.series.before({ ...past, prices: past.prices ?? [] });
  });
}

/** @param {Row} row */
function unfollow(row) {
  row.followed = false;
  mark(row);
  socket?.emit("unfollow", row.listing.symbol);
}

/** @param {Listing} listing */
function make(listing) {
  /** @type {Row} */
  const row = {
    listing, series: new Series(keep), followed: atFirst.includes(listing.symbol), tick: 0, still: listing.price,
    element: el("li", "row"), pick: el("button", "pick"), spark: el("canvas", "spark"), last: el("p", "last number"),
    price: el("b"), change: el("span"), toggle: el("button", "toggle"),
  };
  row.element.id = listing.symbol;
  row.pick.type = "button";
  row.pick.append(el("b", "", listing.symbol), el("span", "", listing.name));
  row.pick.addEventListener("click", () => {
    if (!row.followed) follow(row);
    choose(listing.symbol);
  });
  row.spark.ariaHidden = "true"; // the numbers beside it say the same
  row.last.append(row.price, row.change);
  row.toggle.type = "button";
  row.toggle.append(icon(star));
  row.toggle.addEventListener("click", () => (row.followed ? unfollow(row) : follow(row)));
  row.element.append(row.pick, row.spark, row.last, row.toggle);
  $("list").append(row.element);
  rows.set(listing.symbol, row);
  mark(row);
  return row;
}

/** @param {Row} row */
function mark(row) {
  row.element.classList.toggle("on", row.followed);
  row.toggle.setAttribute("aria-pressed", String(row.followed));
  row.toggle.setAttribute("aria-label", `Follow ${row.listing.symbol}`);
  row.toggle.title = row.followed ? "Following" : "Follow";
  $("followed").textContent = [...rows.values()].filter((r) => r.followed).length;
}

/** @param {string} symbol */
function choose(symbol) {
  current = symbol;
  for (const [name, row] of rows) row.element.setAttribute("aria-current", String(name === symbol));
  $("symbol").textContent = symbol;
  $("name").textContent = rows.get(symbol)?.listing.name ?? "";
  document.title = `${symbol} · Beanpole ticker`;
  chart.reset();
  frame();
}

/** @type {NodeListOf<HTMLButtonElement>} */
const spans = document.querySelectorAll("[data-span]");
for (const button of spans) {
  button.addEventListener("click", () => {
    span = Number(button.dataset.span);
    for (const b of spans) b.setAttribute("aria-pressed", String(b === button));
    chart.reset();
  });
}

// ---- drawing

let frames = 0;
function draw() {
  requestAnimationFrame(draw);
  if (socket?.connected || frames === 0) frame();
}

function frame() {
  const row = rows.get(current);
  if (!row) return;
  const now = ahead === -Infinity ? row.series.end : Date.now() + ahead;
  const end = row.followed ? now : row.series.end; // a series that is not followed stands still
  const { low, high } = chart.draw(row.series, { end, span, open: row.listing.open });
  if (frames++ % 6 !== 0) return; // the rest is for reading, ten times a second
  $("low").textContent = low?.toFixed(2) ?? "–";
  $("high").textContent = high?.toFixed(2) ?? "–";
  price(row, $("price"), $("change"));
  for (const r of rows.values()) {
    if (!r.followed) continue;
    price(r, r.price, r.change);
    if (frames % 3 === 0) continue;
    spark(r.spark, r.series, { end: now, span: minute, colour: (r.series.last ?? r.still) >= r.listing.open ? colours.up : colours.down });
  }
}

/** show fills a row that is not followed with the price at the time we connected. @param {Row} row @param {number} at */
function show(row, at) {
  row.still = at;
  price(row, row.price, row.change);
}

/** @param {Row} row @param {HTMLElement} whole @param {HTMLElement} change */
function price(row, whole, change) {
  const at = row.series.last ?? row.still;
  const percent = (at / row.listing.open - 1) * 100;
  whole.textContent = at.toFixed(2);
  change.textContent = `${percent >= 0 ? "+" : "−"}${Math.abs(percent).toFixed(2)} %`;
  change.classList.toggle("up", percent >= 0);
  change.classList.toggle("down", percent < 0);
}

setInterval(() => {
  $("rate").textContent = received;
  received = 0;
  while (skips.length > 0 && skips[0].at < Date.now() - minute) skips.shift();
  $("skipped").textContent = skips.reduce((sum, s) => sum + s.count, 0);
}, 1000);

requestAnimationFrame(draw);

/** @param {string} path */
function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const p = document.createElementNS("http://www.w3.org/2000/svg", "path");
  p.setAttribute("d", path);
  svg.append(p);
  return svg;
}
