// What goes over the wire, and guessing what will come: reading states, and the prediction of one's own
// player.

/**
 * @import { Rules } from "../events"
 * @typedef {{ x: number, y: number }} Place
 * @typedef {Place & { vx: number, vy: number }} Moving
 * @typedef {Moving & { score: number, ack: number }} Player
 * @typedef {Place & { seq: number }} Input
 */

/** readState reads the bytes of a state; appendState of the server has their order. @param {ArrayBuffer} buffer @param {number} scale */
export function readState(buffer, scale) {
  const view = new DataView(buffer);
  let at = 0;
  const u8 = () => view.getUint8(at++);
  const u16 = () => view.getUint16((at += 2) - 2, true);
  const i16 = () => view.getInt16((at += 2) - 2, true);
  const u32 = () => view.getUint32((at += 4) - 4, true);
  /** @type {{ number: number, beans: Place[], players: Map<number, Player> }} */
  const state = { number: u32(), beans: [], players: new Map() };
  for (let n = u8(); n > 0; n--) state.beans.push({ x: u16() / scale, y: u16() / scale });
  for (let n = u16(); n > 0; n--) {
    state.players.set(u32(), {
      x: u16() / scale, y: u16() / scale, vx: i16() / scale, vy: i16() / scale, score: u16(), ack: u16(),
    });
  }
  return state;
}

/** writeInput makes the four bytes that say where one wants to go; x and y are from -1 to 1. @param {Input} input */
export function writeInput({ seq, x, y }) {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint16(0, seq, true);
  view.setInt8(2, Math.round(x * 127));
  view.setInt8(3, Math.round(y * 127));
  return view.buffer;
}

/** move is one step of a player, as the server makes it. @param {Moving} p @param {Place} to @param {Rules} rules @returns {Moving} */
export function move(p, { x, y }, rules) {
  const far = Math.hypot(x, y);
  if (far > 1) [x, y] = [x / far, y / far];
  const vx = p.vx + (x * rules.speed - p.vx) * rules.grip;
  const vy = p.vy + (y * rules.speed - p.vy) * rules.grip;
  const within = (/** @type {number} */ v, /** @type {number} */ size) => Math.min(Math.max(v, rules.radius), size - rules.radius);
  return { vx, vy, x: within(p.x + vx * rules.dt, rules.width), y: within(p.y + vy * rules.dt, rules.height) };
}

// Prediction is where one's own player is before the server has said so: the last place that the server
// told, and on top of it the inputs that it had not seen yet.
export class Prediction {
  #rules;
  /** @type {Input[]} */
  #pending = []; // inputs sent, not yet worked off by the server
  #seq = 0;
  /** @type {Moving | undefined} */
  #before; // one step ago
  /** @type {Moving | undefined} */
  #now;
  #stepped = 0;
  #off = { x: 0, y: 0 }; // what is left of the last correction
  /** @param {Rules} rules */
  constructor(rules) {
    this.#rules = rules;
  }
  get waiting() {
    return this.#pending.length;
  }
  /** step makes one step and returns the input to be sent. @param {number} x @param {number} y */
  step(x, y) {
    this.#seq = (this.#seq + 1) & 0xffff;
    const input = { seq: this.#seq, x: Math.round(x * 127) / 127, y: Math.round(y * 127) / 127 };
    this.#pending.push(input);
    if (this.#pending.length > 100) this.#pending.shift(); // nobody listens
    if (this.#now) {
      this.#before = this.#now;
      this.#now = move(this.#now, input, this.#rules);
    }
    this.#stepped = performance.now();
    return input;
  }
  /** told takes what the server says of the player. @param {Player} p */
  told(p) {
    this.#pending = this.#pending.filter(({ seq }) => ((seq - p.ack) & 0xffff) - 1 < 0x7fff && seq !== p.ack);
    let now = { x: p.x, y: p.y, vx: p.vx, vy: p.vy };
    let before = now;
    for (const input of this.#pending) {
      before = now;
      now = move(now, input, this.#rules);
    }
    const shown = this.at(performance.now());
    this.#before = before;
    this.#now = now;
    if (shown) {
      const plain = this.#between(before, now, performance.now());
      this.#off = { x: shown.x - plain.x, y: shown.y - plain.y };
      if (Math.hypot(this.#off.x, this.#off.y) > 200) this.#off = { x: 0, y: 0 };
    }
  }
  /** at is where to draw the player. Corrections are spread over some frames. @param {number} time @returns {Moving | undefined} */
  at(time) {
    if (!this.#now) return undefined;
    const p = this.#between(this.#before ?? this.#now, this.#now, time);
    return { ...this.#now, x: p.x + this.#off.x, y: p.y + this.#off.y };
  }
  // settle is called once a frame.
  settle() {
    this.#off.x *= 0.86;
    this.#off.y *= 0.86;
  }
  /** @param {Place} before @param {Place} now @param {number} time @returns {Place} */
  #between(before, now, time) {
    const part = Math.min(1, (time - this.#stepped) / (this.#rules.dt * 1000));
    return {
      x: before.x + (now.x - before.x) * part,
      y: before.y + (now.y - before.y) * part,
    };
  }
}

// Past is the states of the last moments. Others are drawn a little in the past, between two states.
export class Past {
  /** @type {{ at: number, players: Map<number, Player> }[]} */
  #states = [];
  /** @param {Map<number, Player>} players */
  add(players) {
    this.#states.push({ at: performance.now(), players });
    if (this.#states.length > 20) this.#states.shift();
  }
  /** players are where they were at that time. @param {number} time @returns {Map<number, Moving>} */
  players(time) {
    let i = this.#states.length - 1;
    while (i > 0 && this.#states[i].at > time) i--;
    const [a, b] = [this.#states[i], this.#states[i + 1] ?? this.#states[i]];
    if (!a) return new Map();
    const part = a === b ? 0 : Math.min(1, Math.max(0, (time - a.at) / (b.at - a.at)));
    return new Map([...b.players].map(([id, to]) => {
      const from = a.players.get(id) ?? to;
      return [id, { ...to, x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part }];
    }));
  }
}
