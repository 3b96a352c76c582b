// What is on the page: elements and how they are filled. Nothing here knows of the network.

import { $, el } from "./look.js";

const most = 500; // messages on the page

/**
 * A message on the page. Of one's own, state says how far it has come.
 * @typedef {{ id: string, by: string, name: string, text: string, time: number, mine: boolean,
 *   state?: "sending" | "sent" | "failed", why?: string }} Line
 * @typedef {{ m: Line, element: HTMLElement }} Item
 * @import { Person } from "../events"
 */

/** avatar is a coloured circle with a person's initials. The colour is the person's, not the name's. @param {Person} person */
export function avatar({ by, name }) {
  const e = el("span", "avatar", initials(name));
  e.setAttribute("aria-hidden", "true");
  let hash = 0;
  for (const c of by) hash = (hash * 31 + (c.codePointAt(0) ?? 0)) >>> 0;
  e.style.setProperty("--hue", String(hash % 360));
  return e;
}

/** @param {string} name */
function initials(name) {
  const words = name.split(" ").filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0]];
  return letters.map((w) => [...w][0]).join("").toUpperCase();
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const ticks = { sending: ["◷", "Sending"], sent: ["✓", "Delivered to the server"], failed: ["!", "Not sent"] };

// Log shows the messages of one room, in their order, and keeps to the end unless one reads above.
export class Log {
  /** @type {Map<string | undefined, Item>} */
  #items = new Map(); // by message id

  constructor() {
    let following = true; // a keyboard that comes up must not hide the last message
    $("scroll").addEventListener("scroll", () => {
      following = this.#atEnd();
      if (following) $("newer").hidden = true;
    });
    new ResizeObserver(() => following && this.toEnd()).observe($("scroll"));
    $("newer").addEventListener("click", () => this.toEnd());
  }
  clear() {
    this.#items.clear();
    $("log").replaceChildren();
    $("empty").hidden = false;
  }
  /** put adds a message or brings the one with its id up to date. @param {Line} m */
  put(m) {
    const known = this.#items.get(m.id);
    if (known) {
      Object.assign(known.m, m);
      this.#fill(known);
      return;
    }
    const item = { m: { ...m }, element: el("li", m.mine ? "message mine" : "message") };
    item.element.dataset.id = m.id;
    const after = this.#lastBefore(m.time);
    const follow = this.#atEnd() || m.mine;
    if (after) after.element.after(item.element);
    else $("log").prepend(item.element);
    this.#items.set(m.id, item);
    this.#fill(item);
    this.#group(item.element);
    if (item.element.nextElementSibling) this.#group(item.element.nextElementSibling);
    $("empty").hidden = true;
    if (this.#items.size > most) this.#dropFirst();
    if (follow) this.toEnd();
    else $("newer").hidden = false;
  }
  #dropFirst() {
    const first = $("log").firstElementChild;
    this.#items.delete(first.dataset.id);
    first.remove();
    this.#group($("log").firstElementChild);
  }
  toEnd() {
    $("scroll").scrollTop = $("scroll").scrollHeight;
    $("newer").hidden = true;
  }
  #atEnd() {
    const s = $("scroll");
    return s.scrollHeight - s.scrollTop - s.clientHeight < 60;
  }
  /** @param {number} time @returns {Item | undefined} */
  #lastBefore(time) {
    let last;
    for (let e = $("log").lastElementChild; e && !last; e = e.previousElementSibling) {
      const item = this.#items.get(e.dataset.id);
      if (item && item.m.time <= time) last = item;
    }
    return last;
  }
  /** group joins a message to the one above if that is by the same person and not long ago. @param {any} element */
  #group(element) {
    const above = this.#items.get(element.previousElementSibling?.dataset.id)?.m;
    const m = this.#items.get(element.dataset.id)?.m;
    const joined = above && m && above.mine === m.mine && above.by === m.by && m.time - above.time < 5 * 60_000;
    element.classList.toggle("joined", Boolean(joined));
  }
  /** @param {Item} item */
  #fill({ m, element }) {
    const bubble = el("div", "bubble");
    bubble.append(el("span", m.mine ? "by hidden" : "by", m.name));
    bubble.append(el("p", "said", m.text));
    const foot = el("span", "foot");
    const time = el("time", "", clock.format(m.time));
    time.dateTime = new Date(m.time).toISOString();
    foot.append(time);
    if (m.mine && m.state) {
      const [sign, words] = ticks[m.state];
      const tick = el("span", `tick ${m.state}`, sign);
      tick.setAttribute("role", "img");
      tick.setAttribute("aria-label", m.why ?? words);
      tick.title = m.why ?? words;
      foot.append(tick);
    }
    bubble.append(foot);
    element.dataset.state = m.state ?? "";
    element.replaceChildren(...(m.mine ? [bubble] : [avatar(m), bubble]));
  }
}

// Typing shows who types; a name goes by itself when nothing more is heard.
export class Typing {
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #names = new Map(); // timers by name
  /** @param {string} name */
  heard(name) {
    clearTimeout(this.#names.get(name));
    this.#names.set(name, setTimeout(() => this.over(name), 4000));
    this.#show();
  }
  /** @param {string} name */
  over(name) {
    clearTimeout(this.#names.get(name));
    this.#names.delete(name);
    this.#show();
  }
  clear() {
    for (const name of [...this.#names.keys()]) this.over(name);
  }
  #show() {
    const names = [...this.#names.keys()];
    const words = names.length === 1 ? `${names[0]} is typing`
      : names.length === 2 ? `${names[0]} and ${names[1]} are typing`
      : names.length > 2 ? "Several people are typing" : "";
    if ($("typers").textContent !== words) $("typers").textContent = words;
    $("typing").classList.toggle("on", words !== "");
  }
}

/**
 * showPeople fills the list of who is here: the first of them, and how many there are.
 * @param {Person[]} people @param {string} you @param {number} count
 */
export function showPeople(people, you, count) {
  $("count").textContent = count;
  $("people").replaceChildren(...people.map((p) => {
    const li = el("li");
    li.append(avatar(p), el("span", "", p.name));
    if (p.by === you) li.append(el("span", "you", "you"));
    return li;
  }));
  if (count > people.length) $("people").append(el("li", "", `and ${count - people.length} more`));
  const others = people.filter((p) => p.by !== you).map((p) => p.name);
  $("summary").textContent = count <= 1 ? "Only you are here"
    : count <= 4 ? `You, ${others.join(", ")}` : `${count} people`;
}

/** showRooms fills the list of rooms. @param {string[]} rooms @param {string} current */
export function showRooms(rooms, current) {
  $("rooms").replaceChildren(...rooms.map((room) => {
    const a = el("a", "", room);
    a.href = `#${encodeURIComponent(room)}`;
    if (room.toLowerCase() === current.toLowerCase()) a.setAttribute("aria-current", "page");
    const li = el("li");
    li.append(a);
    return li;
  }));
  $("known").replaceChildren(...rooms.map((room) => {
    const o = el("option");
    o.value = room;
    return o;
  }));
}
