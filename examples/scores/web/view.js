// What is on the page: matches and events. Nothing here knows of the network.

import { $, el } from "./look.js";

// The signs of the kinds of events: paths in a square of 24.
const signs = {
  goal: "M12 3a9 9 0 1 0 .01 0M12 8l3.800 2.800-1.500 4.400h-4.600l-1.500-4.400zM12 3v5M20.500 9.500l-4.700 1.300M17.300 19.300l-3-4.100M6.700 19.300l3-4.100M3.500 9.500l4.700 1.300",
  booked: "M8 4h8a1 1 0 0 1 1 1v14a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1z",
  chance: "M12 3v5M12 16v5M3 12h5M16 12h5M5.600 5.600l3.200 3.200M15.200 15.200l3.200 3.200M18.400 5.600l-3.200 3.200M8.800 15.200l-3.200 3.200",
  begins: "M8 5l11 7-11 7z",
  whistle: "M9 5v14M15 5v14",
  news: "M4 10v4h3l8 5V5l-8 5zM18.500 9a4 4 0 0 1 0 6",
};
/** @type {Record<string, keyof typeof signs>} */
const names = { goal: "goal", card: "booked", chance: "chance", "kick-off": "begins", whistle: "whistle", news: "news" };
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const most = 60; // events on the page

/** @import { Event, Match, Team } from "../events" */
/** @type {Map<string, { element: HTMLElement, seq: number }>} */
const matches = new Map(); // by id

/** @param {Match[]} list */
export function showMatches(list) {
  matches.clear();
  $("matches").replaceChildren();
  for (const m of list) showMatch(m);
}

/** showMatch brings a match up to date; cheer says that a goal has been scored. @param {Match} m */
export function showMatch(m, cheer = false) {
  let known = matches.get(m.id);
  if (known && m.seq < known.seq && m.seq !== 1) return;
  if (!known) {
    known = { element: el("li", "match"), seq: m.seq };
    known.element.id = m.id;
    matches.set(m.id, known);
    const next = [...matches.keys()].sort().find((id) => id > m.id);
    $("matches").insertBefore(known.element, next ? matches.get(next)?.element : null);
  }
  const { element } = known;
  const sides = el("div", "sides");
  const result = el("p", "result");
  result.append(el("span", "", m.score[0]), el("i", "", ":"), el("span", "", m.score[1]));
  sides.append(team(m.teams[0]), result, team(m.teams[1]));
  const when = el("p", "when");
  when.append(el("i"), el("b", "", m.phase || `${m.minute}′`));
  if (m.cards[0] + m.cards[1] > 0) {
    const cards = el("span", "booked", `${m.cards[0]} : ${m.cards[1]}`);
    cards.prepend(icon(signs.booked));
    cards.title = "Yellow cards";
    when.append(cards);
  }
  element.replaceChildren(when, sides, ...(m.goals?.length ? [goals(m.goals)] : []));
  element.classList.toggle("still", m.phase !== "");
  if (cheer) {
    element.classList.remove("goal");
    void element.offsetWidth; // or the animation would not begin anew
    element.classList.add("goal");
  }
  known.seq = m.seq;
}

/** @param {Team} team */
function team({ name, hue }) {
  const t = el("div", "team");
  t.append(crest(hue), el("span", "", name));
  return t;
}

/** @param {NonNullable<Match["goals"]>} list */
function goals(list) {
  const lists = el("div", "goals");
  for (const side of [0, 1]) {
    const ul = el("ul");
    for (const g of list.filter((g) => g.side === side)) ul.append(el("li", "", `${g.player} ${g.minute}′`));
    lists.append(ul);
  }
  return lists;
}

/** crest is a shield in a team's colour. @param {number} hue */
function crest(hue) {
  const span = el("span", "crest");
  span.style.setProperty("--hue", String(hue));
  span.setAttribute("aria-hidden", "true");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 42 48");
  for (const [name, d] of [
    ["base", "M3 5c7 1 12-1 18-4 6 3 11 5 18 4v19c0 11-8 18-18 23C11 42 3 35 3 24z"],
    ["stripe", hue % 20 < 10 ? "M21 1c6 3 11 5 18 4v19c0 11-8 18-18 23z" : "M3 17h36v7c0 2-.2 3.500-.7 5H3.700C3.200 27.500 3 26 3 24z"],
  ]) {
    const p = document.createElementNS("http://www.w3.org/2000/svg", "path");
    p.setAttribute("class", name);
    p.setAttribute("d", d);
    svg.append(p);
  }
  span.append(svg);
  return span;
}

/** @param {string} path */
function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  const p = document.createElementNS("http://www.w3.org/2000/svg", "path");
  p.setAttribute("d", path);
  svg.append(p);
  return svg;
}

export function clearFeed() {
  $("feed").replaceChildren();
}

/** addEvent puts an event on top of the list. @param {Event} e @param {{ recovered: boolean, isNew: boolean }} how */
export function addEvent(e, { recovered, isNew }) {
  const name = names[e.kind] ?? "news";
  const li = el("li", `event ${name}`);
  li.dataset.id = e.id;
  li.dataset.recovered = String(recovered);
  const sign = el("span", "sign");
  sign.append(icon(signs[name]));
  sign.setAttribute("aria-hidden", "true");
  const p = el("p", "", e.text);
  if (recovered) p.append(el("span", "badge", "recovered"));
  if (e.match && ["goal", "card", "chance"].includes(e.kind)) {
    const { teams, score, minute } = e.match;
    p.append(el("span", "about", `${minute}′ · ${teams[0].name} ${score[0]}–${score[1]} ${teams[1].name}`));
  }
  const time = el("time", "", clock.format(e.at));
  time.dateTime = new Date(e.at).toISOString();
  li.append(sign, p, time);
  li.classList.toggle("recovered", recovered);
  li.classList.toggle("new", isNew);
  $("feed").prepend(li);
  while ($("feed").children.length > most) $("feed").lastElementChild.remove();
}
