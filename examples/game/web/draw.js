// Drawing the garden. Nothing here knows of the network.

import { fit, palette } from "./look.js";

const font = '600 15px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
const beyond = 44; // how much is seen behind the wall
const tau = 2 * Math.PI;

/**
 * @import { Rules } from "../events"
 * @import { Moving, Place } from "./net.js"
 * @typedef {Moving & { name: string, hue: number }} Shown
 * @typedef {CanvasRenderingContext2D} Ctx
 */

export class Garden {
  #canvas;
  #ctx;
  #rules;
  #colours = palette("soil", "bed", "plant", "wall", "beanlight", "glow", "ink", "page", "card", "beetle");
  /** @type {Map<number, number>} */
  #facing = new Map(); // by player: which way it looks
  /** @type {(Place & { mine: boolean, at: number })[]} */
  #pops = []; // beans just taken
  #view = { scale: 1, left: 0, top: 0 };
  /** @param {HTMLCanvasElement} canvas @param {Rules} rules */
  constructor(canvas, rules) {
    this.#canvas = canvas;
    this.#ctx = /** @type {Ctx} */ (canvas.getContext("2d"));
    this.#rules = rules;
  }
  /** toWorld returns the place in the garden under a point of the canvas. @param {number} x @param {number} y @returns {Place} */
  toWorld(x, y) {
    const v = this.#view;
    return { x: v.left + x / v.scale, y: v.top + y / v.scale };
  }
  /** @param {Place} bean @param {boolean} mine */
  pop(bean, mine) {
    this.#pops.push({ ...bean, mine, at: performance.now() });
  }
  /** toCanvas returns the point of the canvas where a place in the garden is. @param {Place} place @returns {Place} */
  toCanvas({ x, y }) {
    const v = this.#view;
    return { x: (x - v.left) * v.scale, y: (y - v.top) * v.scale };
  }
  /**
   * draw shows the garden around the middle.
   * @param {{ players: Map<number, Shown>, me: number, beans: Place[], ghost: Place | undefined, middle: Place }} what
   */
  draw({ players, me, beans, ghost, middle }) {
    const ctx = this.#ctx;
    const { width, height } = fit(this.#canvas, ctx);
    const { width: w, height: h, radius } = this.#rules;
    const c = this.#colours;
    const scale = Math.max(width / (w + 2 * beyond), height / (h + 2 * beyond));
    /** first is what of a side of the garden is seen first. @param {number} at @param {number} seen @param {number} all */
    const first = (at, seen, all) => Math.min(Math.max(at, seen / 2 - beyond), all + beyond - seen / 2) - seen / 2;
    this.#view = { scale, left: first(middle.x, width / scale, w), top: first(middle.y, height / scale, h) };
    ctx.fillStyle = c.page;
    ctx.fillRect(0, 0, width, height);
    ctx.save();
    ctx.scale(scale, scale);
    ctx.translate(-this.#view.left, -this.#view.top);
    this.#ground(w, h);
    const time = performance.now();
    beans.forEach((b, i) => this.#bean(b, i, time));
    this.#taken(time);
    if (ghost) {
      ctx.setLineDash([6, 6]);
      ctx.strokeStyle = c.ink;
      ctx.lineWidth = 2;
      ctx.beginPath();
      ctx.arc(ghost.x, ghost.y, radius + 3, 0, tau);
      ctx.stroke();
      ctx.setLineDash([]);
    }
    for (const [id, p] of players) if (id !== me) this.#beetle(id, p, false, time);
    const mine = players.get(me);
    if (mine) this.#beetle(me, mine, true, time);
    ctx.restore();
  }
  /** @param {number} w @param {number} h */
  #ground(w, h) {
    const ctx = this.#ctx;
    const c = this.#colours;
    ctx.fillStyle = c.soil;
    ctx.fillRect(0, 0, w, h);
    for (let x = 65; x < w - 140; x += 190) {
      ctx.fillStyle = c.bed;
      ctx.beginPath();
      ctx.roundRect(x, 40, 140, h - 80, 34);
      ctx.fill();
      ctx.strokeStyle = c.plant;
      ctx.lineWidth = 3;
      ctx.lineCap = "round";
      ctx.beginPath();
      for (let y = 90, n = x; y < h - 70; y += 76, n++) {
        for (const side of [38, 102]) {
          const at = x + side + 9 * Math.sin(n * 12.9 + side);
          const tall = 12 + 3 * Math.sin(n * 4.1 + y);
          ctx.moveTo(at, y);
          ctx.quadraticCurveTo(at - 2, y - tall / 2, at - 9, y - tall);
          ctx.moveTo(at, y);
          ctx.quadraticCurveTo(at + 2, y - tall / 2, at + 9, y - tall + 3);
        }
      }
      ctx.stroke();
    }
    ctx.strokeStyle = c.wall;
    ctx.lineWidth = 10;
    ctx.strokeRect(5, 5, w - 10, h - 10);
  }
  /** @param {Place} place @param {number} i @param {number} time */
  #bean({ x, y }, i, time) {
    const ctx = this.#ctx;
    const c = this.#colours;
    ctx.save();
    ctx.translate(x, y + 2.5 * Math.sin(time / 420 + i * 1.7));
    ctx.fillStyle = c.glow;
    ctx.globalAlpha = 0.55;
    disc(ctx, 0, 0, 21);
    ctx.globalAlpha = 1;
    ctx.rotate(i * 2.4);
    ctx.fillStyle = c.beanlight;
    ctx.beginPath();
    ctx.moveTo(-12, -3);
    ctx.bezierCurveTo(-12, -13, 2, -12, 3, -6);
    ctx.bezierCurveTo(4, -1, 12, -3, 12, 5);
    ctx.bezierCurveTo(12, 14, -12, 14, -12, -3);
    ctx.fill();
    ctx.fillStyle = c.card;
    ctx.globalAlpha = 0.45;
    ctx.beginPath();
    ctx.ellipse(-6, 0, 2, 5, 0.3, 0, tau);
    ctx.fill();
    ctx.restore();
  }
  /** @param {number} time */
  #taken(time) {
    const ctx = this.#ctx;
    this.#pops = this.#pops.filter((p) => time - p.at < 600);
    for (const p of this.#pops) {
      const part = (time - p.at) / 600;
      ctx.globalAlpha = 1 - part;
      ctx.strokeStyle = ctx.fillStyle = this.#colours.beanlight;
      ctx.lineWidth = 4 * (1 - part);
      ctx.beginPath();
      ctx.arc(p.x, p.y, 14 + 34 * part, 0, tau);
      ctx.stroke();
      if (p.mine) {
        ctx.font = font.replace("15px", "26px");
        ctx.textAlign = "center";
        ctx.fillText("+1", p.x, p.y - 30 - 24 * part);
      }
    }
    ctx.globalAlpha = 1;
  }
  /** @param {number} id @param {Shown} p @param {boolean} mine @param {number} time */
  #beetle(id, p, mine, time) {
    const ctx = this.#ctx;
    const c = this.#colours;
    const r = this.#rules.radius;
    const fast = Math.hypot(p.vx, p.vy);
    let facing = this.#facing.get(id) ?? 0;
    if (fast > 12) {
      const turn = Math.atan2(p.vy, p.vx) - facing;
      facing += Math.atan2(Math.sin(turn), Math.cos(turn)) * 0.25;
      this.#facing.set(id, facing);
    }
    ctx.save();
    ctx.translate(p.x, p.y);
    ctx.fillStyle = "rgba(0, 0, 0, .16)";
    ctx.beginPath();
    ctx.ellipse(3, 6, r, r * 0.92, 0, 0, tau);
    ctx.fill();
    if (mine) {
      ctx.strokeStyle = c.beanlight;
      ctx.lineWidth = 3;
      ctx.beginPath();
      ctx.arc(0, 0, r + 7, 0, tau);
      ctx.stroke();
    }
    ctx.rotate(facing);
    ctx.strokeStyle = c.beetle;
    ctx.lineWidth = 3.5;
    ctx.lineCap = "round";
    const step = Math.sin(time / 45) * Math.min(4, fast / 40);
    for (const [x, k] of [[-10, 1], [1, -1], [12, 1]]) {
      for (const side of [-1, 1]) {
        ctx.beginPath();
        ctx.moveTo(x, side * r * 0.7);
        ctx.lineTo(x + step * k * side, side * (r + 5));
        ctx.stroke();
      }
    }
    ctx.fillStyle = c.beetle;
    disc(ctx, r * 0.72, 0, r * 0.52);
    ctx.fillStyle = "#fff";
    disc(ctx, r * 0.98, -6, 3.2);
    disc(ctx, r * 0.98, 6, 3.2);
    ctx.fillStyle = `hsl(${p.hue} 66% 52%)`;
    ctx.beginPath();
    ctx.ellipse(-2, 0, r * 0.96, r * 0.9, 0, 0, tau);
    ctx.fill();
    ctx.strokeStyle = "rgba(30, 22, 20, .75)";
    ctx.lineWidth = 2;
    ctx.beginPath();
    ctx.moveTo(r * 0.9, 0);
    ctx.lineTo(-r * 1.02, 0);
    ctx.stroke();
    ctx.fillStyle = "rgba(30, 22, 20, .75)";
    for (const side of [-1, 1]) {
      disc(ctx, 7, side * 9, 4);
      disc(ctx, -7, side * 12, 4.4);
      disc(ctx, -15, side * 5, 3);
    }
    ctx.restore();
    ctx.font = font;
    ctx.textAlign = "center";
    ctx.lineJoin = "round";
    ctx.lineWidth = 4;
    ctx.strokeStyle = c.soil;
    ctx.strokeText(p.name, p.x, p.y + r + 24);
    ctx.fillStyle = c.ink;
    ctx.fillText(p.name, p.x, p.y + r + 24);
  }
}

/** trace draws the delays of the last minute. @param {HTMLCanvasElement} canvas @param {number[]} values @param {string} colour */
export function trace(canvas, values, colour) {
  const ctx = /** @type {Ctx} */ (canvas.getContext("2d"));
  const { width, height } = fit(canvas, ctx);
  ctx.clearRect(0, 0, width, height);
  const most = Math.max(20, ...values);
  const wide = width / 40;
  ctx.fillStyle = colour;
  values.forEach((v, i) => {
    const tall = Math.max(2, (v / most) * height);
    ctx.globalAlpha = 0.35 + (0.65 * i) / values.length;
    ctx.beginPath();
    ctx.roundRect(width - (values.length - i) * wide, height - tall, wide - 0.8, tall, 1);
    ctx.fill();
  });
}

/** @param {Ctx} ctx @param {number} x @param {number} y @param {number} r */
function disc(ctx, x, y, r) {
  ctx.beginPath();
  ctx.arc(x, y, r, 0, tau);
  ctx.fill();
}
