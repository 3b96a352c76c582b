// Series is what is known of one price: times in milliseconds since 1970 by the server's clock, in order.
export class Series {
  /** @type {number[]} */
  times = [];
  /** @type {number[]} */
  prices = [];
  #keep;
  /** @param {number} keep milliseconds that are kept */
  constructor(keep) {
    this.#keep = keep;
  }
  get last() {
    return this.prices.at(-1);
  }
  get end() {
    return this.times.at(-1) ?? 0;
  }
  /** before puts what was before the first tick in front. @param {{ step: number, end: number, prices: number[] }} past */
  before({ step, end, prices }) {
    const first = this.times[0] ?? Infinity;
    const times = prices.map((_, i) => end - (prices.length - 1 - i) * step);
    const n = times.findIndex((t) => t >= first);
    this.times = times.slice(0, n < 0 ? undefined : n).concat(this.times);
    this.prices = prices.slice(0, n < 0 ? undefined : n).concat(this.prices);
  }
  /** @param {number} time @param {number} price */
  add(time, price) {
    if (time <= this.end) return;
    this.times.push(time);
    this.prices.push(price);
    if (this.times.length % 500 === 0) {
      const n = this.#from(time - this.#keep);
      this.times.splice(0, n);
      this.prices.splice(0, n);
    }
  }
  clear() {
    this.times = [];
    this.prices = [];
  }
  /** #from returns the index of the first price not before that time. @param {number} time */
  #from(time) {
    let [low, high] = [0, this.times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  /** at returns the price at that time, or undefined before the first. @param {number} time @returns {number | undefined} */
  at(time) {
    return this.prices[Math.max(0, this.#from(time + 1) - 1)];
  }
  /**
   * window returns the points from one time to another, at most one or two per step so that a long time
   * costs no more to draw than a short one, with the lowest and highest price.
   * @param {number} from @param {number} to @param {number} step
   */
  window(from, to, step) {
    step = Math.ceil(step); // whole, or rounding could let the loop stand still
    /** @type {[time: number, price: number][]} */
    const points = [];
    let [low, high] = [Infinity, -Infinity];
    for (let i = Math.max(0, this.#from(from) - 1); i < this.times.length && this.times[i] <= to;) {
      const until = this.times[i] - (this.times[i] % step) + step;
      let [least, most] = [i, i];
      for (; i < this.times.length && this.times[i] < until && this.times[i] <= to; i++) {
        if (this.prices[i] < this.prices[least]) least = i;
        if (this.prices[i] > this.prices[most]) most = i;
      }
      for (const k of least === most ? [least] : [Math.min(least, most), Math.max(least, most)]) {
        points.push([this.times[k], this.prices[k]]);
      }
      low = Math.min(low, this.prices[least]);
      high = Math.max(high, this.prices[most]);
    }
    return { points, low, high };
  }
}
