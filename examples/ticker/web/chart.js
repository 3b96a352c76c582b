// Drawing prices on a canvas. Nothing here knows of the network.

import { fit, palette } from "./look.js";

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const font = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
/** @type {Record<number, number>} */
const gaps = { 15000: 3000, 60000: 15000, 300000: 60000 }; // between two lines of the grid, milliseconds

/**
 * @import { Series } from "./series.js"
 * @typedef {{ left: number, right: number, top: number, bottom: number }} Area
 * @typedef {(value: number) => number} Along where a time or a price is on the canvas
 * @typedef {CanvasRenderingContext2D} Ctx
 */

// Chart is the large one: a line of one series against a grid, its last price, and the price under the
// pointer.
export class Chart {
  #canvas;
  #ctx;
  #colours = palette("up", "down", "grid", "soft", "ink", "card", "page", "line");
  /** @type {{ low: number, high: number } | undefined} */
  #scale; // follows the prices softly
  /** @type {number | undefined} */
  #pointer;
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#ctx = /** @type {Ctx} */ (canvas.getContext("2d"));
    canvas.addEventListener("pointermove", (e) => (this.#pointer = e.offsetX));
    canvas.addEventListener("pointerleave", () => (this.#pointer = undefined));
  }
  // reset forgets the scale, for another series.
  reset() {
    this.#scale = undefined;
  }
  /**
   * draw shows what series has from end - span to end; open says what is up and what down.
   * @param {Series} series @param {{ end: number, span: number, open: number }} what
   */
  draw(series, { end, span, open }) {
    const ctx = this.#ctx;
    const { width, height } = fit(this.#canvas, ctx);
    const c = this.#colours;
    const area = { left: 12, right: width - 70, top: 14, bottom: height - 26 };
    ctx.clearRect(0, 0, width, height);
    ctx.font = font;
    const { points, low, high } = series.window(end - span, end, span / Math.max(100, area.right - area.left));
    if (points.length === 0) return { low: undefined, high: undefined };
    const scale = this.#follow(low, high);
    /** @type {Along} */
    const x = (t) => area.right - ((end - t) / span) * (area.right - area.left);
    /** @type {Along} */
    const y = (p) => area.bottom - ((p - scale.low) / (scale.high - scale.low)) * (area.bottom - area.top);
    this.#grid(area, scale, x, y, end, span);

    const [last, price] = points[points.length - 1];
    const colour = price >= open ? c.up : c.down;
    ctx.save();
    ctx.beginPath();
    ctx.rect(area.left, 0, width, height);
    ctx.clip();
    ctx.beginPath();
    for (const [t, p] of points) ctx.lineTo(x(t), y(p));
    ctx.strokeStyle = colour;
    ctx.lineWidth = 2;
    ctx.lineJoin = ctx.lineCap = "round";
    ctx.stroke();
    const [tipX, tipY] = [x(last), y(price)];
    ctx.lineTo(tipX, area.bottom);
    ctx.lineTo(x(points[0][0]), area.bottom);
    const fade = ctx.createLinearGradient(0, area.top, 0, area.bottom);
    fade.addColorStop(0, see(colour, 0.24));
    fade.addColorStop(1, see(colour, 0));
    ctx.fillStyle = fade;
    ctx.fill();
    ctx.restore();

    ctx.setLineDash([3, 4]);
    ctx.strokeStyle = see(colour, 0.6);
    ctx.lineWidth = 1;
    line(ctx, area.left, tipY, area.right, tipY);
    ctx.setLineDash([]);
    ctx.fillStyle = see(colour, 0.22);
    disc(ctx, tipX, tipY, 8 + 2 * Math.sin(performance.now() / 260));
    ctx.fillStyle = colour;
    disc(ctx, tipX, tipY, 4);
    this.#tag(area.right + 8, tipY, price.toFixed(2), colour, c.page);
    this.#cross(area, x, y, series, end, span);
    return { low, high };
  }
  /** @param {number} low @param {number} high */
  #follow(low, high) {
    const room = Math.max((high - low) * 0.14, high * 0.0004);
    const want = { low: low - room, high: high + room };
    const now = (this.#scale ??= want);
    now.low += (want.low - now.low) * 0.12;
    now.high += (want.high - now.high) * 0.12;
    return now;
  }
  /** @param {Area} area @param {{ low: number, high: number }} scale @param {Along} x @param {Along} y @param {number} end @param {number} span */
  #grid(area, { low, high }, x, y, end, span) {
    const ctx = this.#ctx;
    ctx.strokeStyle = this.#colours.grid;
    ctx.fillStyle = this.#colours.soft;
    ctx.lineWidth = 1;
    const step = nice((high - low) / Math.max(2, (area.bottom - area.top) / 56));
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    for (let p = Math.ceil(low / step) * step; p < high; p += step) {
      const at = Math.round(y(p)) + 0.5;
      line(ctx, area.left, at, area.right, at);
      ctx.fillText(p.toFixed(step < 0.01 ? 3 : 2), area.right + 14, at);
    }
    ctx.textAlign = "center";
    const gap = gaps[span] * (area.right - area.left < 340 && span !== 300000 ? 2 : 1);
    for (let t = Math.ceil((end - span) / gap) * gap; t <= end; t += gap) {
      const at = Math.round(x(t)) + 0.5;
      if (at < area.left + 26 || at > area.right - 20) continue;
      line(ctx, at, area.top, at, area.bottom);
      ctx.fillText(clock.format(t), at, area.bottom + 14);
    }
  }
  /** @param {Area} area @param {Along} x @param {Along} y @param {Series} series @param {number} end @param {number} span */
  #cross(area, x, y, series, end, span) {
    if (this.#pointer === undefined || this.#pointer < area.left || this.#pointer > area.right) return;
    const time = end - ((area.right - this.#pointer) / (area.right - area.left)) * span;
    const price = series.at(time);
    if (price === undefined) return;
    const ctx = this.#ctx;
    const c = this.#colours;
    ctx.strokeStyle = see(c.ink, 0.35);
    line(ctx, this.#pointer, area.top, this.#pointer, area.bottom);
    ctx.fillStyle = c.ink;
    disc(ctx, this.#pointer, y(price), 4);
    const words = `${price.toFixed(2)}   ${clock.format(time)}`;
    const wide = ctx.measureText(words).width + 18;
    const left = Math.min(Math.max(area.left, this.#pointer - wide / 2), area.right - wide);
    ctx.fillStyle = c.ink;
    ctx.beginPath();
    ctx.roundRect(left, area.top - 8, wide, 24, 8);
    ctx.fill();
    ctx.fillStyle = c.card;
    ctx.textAlign = "center";
    ctx.fillText(words, left + wide / 2, area.top + 4.5);
  }
  /** @param {number} x @param {number} y @param {string} words @param {string} colour @param {string} ink */
  #tag(x, y, words, colour, ink) {
    const ctx = this.#ctx;
    const wide = ctx.measureText(words).width + 14;
    ctx.fillStyle = colour;
    ctx.beginPath();
    ctx.roundRect(x - 1, y - 11, wide, 22, 7);
    ctx.fill();
    ctx.fillStyle = ink;
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    ctx.fillText(words, x + 6, y + 0.5);
  }
}

/**
 * spark draws the small line of a row.
 * @param {HTMLCanvasElement} canvas @param {Series} series @param {{ end: number, span: number, colour: string }} what
 */
export function spark(canvas, series, { end, span, colour }) {
  const ctx = /** @type {Ctx} */ (canvas.getContext("2d"));
  const { width, height } = fit(canvas, ctx);
  ctx.clearRect(0, 0, width, height);
  const { points, low, high } = series.window(end - span, end, span / width);
  if (points.length === 0) return;
  ctx.beginPath();
  for (const [t, p] of points) {
    ctx.lineTo(width - 1 - ((end - t) / span) * (width - 2), 3 + (1 - (p - low) / (high - low || 1)) * (height - 6));
  }
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.5;
  ctx.lineJoin = "round";
  ctx.stroke();
}

/** @param {Ctx} ctx @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
function line(ctx, x1, y1, x2, y2) {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

/** @param {Ctx} ctx @param {number} x @param {number} y @param {number} r */
function disc(ctx, x, y, r) {
  ctx.beginPath();
  ctx.arc(x, y, r, 0, 2 * Math.PI);
  ctx.fill();
}

/** see is a colour rgb(…) made transparent. @param {string} colour @param {number} alpha */
function see(colour, alpha) {
  return colour.replace("rgb(", "rgba(").replace(")", `, ${alpha})`);
}

/** nice is the next of 1, 2, 5 times a power of ten. @param {number} step */
function nice(step) {
  const power = 10 ** Math.floor(Math.log10(step));
  return ([1, 2, 5].find((n) => n * power >= step) ?? 10) * power;
}
