// The game's page: states twenty times a second, and a player that runs at once, whatever the delay.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser, start, Visitor } from "./lib.mjs";

let game;
let browser;

before(async () => {
  browser = await openBrowser();
  game = await start("game");
});
after(async () => {
  await browser?.close();
  await game?.stop();
});

async function play(t, name, { query = "", url = game.url, ...view } = {}) {
  const v = new Visitor();
  await v.open(browser, url + query, view);
  t.after(async () => {
    await v.leave();
    assert.deepEqual(v.errors, [], "errors in the browser's console");
  });
  await v.page.$eval("#name", (e, n) => { e.value = n; }, name);
  await v.press("#join button");
  await v.sees("#scores", name);
  return v;
}

const at = (v) => v.page.evaluate(() => document.body.dataset.at.split(",").map(Number));
const number = (v, selector, least, most) => v.page.waitForFunction(
  (s, a, b) => { const n = Number.parseInt(document.querySelector(s).textContent, 10); return n >= a && n <= b; },
  { timeout: 30_000, polling: 50 }, selector, least, most);

for (const [query, transport] of [["", "WebSocket"], ["?transport=polling", "Polling"]]) {
  test(`running over ${transport}`, async (t) => {
    const ada = await play(t, "Ada", { query });
    await ada.sees("#transport", transport);
    await number(ada, "#rate", 1, 23); // twenty, and fewer on a slow machine
    await number(ada, "#latency", 0, 15_000);

    const [x, y] = await at(ada);
    await ada.page.keyboard.down("ArrowRight");
    await ada.page.waitForFunction((from) => Number(document.body.dataset.at.split(",")[0]) > from + 120, { polling: 50 }, x);
    await ada.page.keyboard.up("ArrowRight");
    assert.ok(Math.abs((await at(ada))[1] - y) < 4, "straight to the right");
  });
}

test("two players see each other run", async (t) => {
  // A server of its own: one who polled and closed the page is only missed after a while.
  const own = await start("game");
  t.after(() => own.stop());
  const ada = await play(t, "Ada", { url: own.url });
  const ben = await play(t, "Ben", { url: own.url, width: 390, height: 844 });
  await ada.sees("#scores", "Ben");
  await ada.page.bringToFront(); // pages behind are not drawn
  const others = (n) => ada.page.waitForFunction((m) => document.body.dataset.others === m, { polling: 50 }, String(n));
  await others(4); // Ben and three bots
  await ben.page.close();
  await others(3);
  // The scores are drawn less often than the garden.
  await ada.page.waitForFunction(() => !document.querySelector("#scores").textContent.includes("Ben"), { polling: 50 });
});

test("with a delay added, the prediction runs at once, and lands where the server says", async (t) => {
  const ada = await play(t, "Ada");
  await ada.page.select("#added", "500");
  await number(ada, "#latency", 500, 15_000);
  await ada.page.focus("#garden");
  const moved = (ms) => ada.page.evaluate(async (wait) => {
    const x = () => Number(document.body.dataset.at.split(",")[0]);
    const from = x();
    const send = (type) => document.querySelector("#garden").dispatchEvent(new KeyboardEvent(type, { code: "ArrowLeft", bubbles: true }));
    send("keydown");
    await new Promise((resolve) => setTimeout(resolve, wait));
    const far = Math.abs(x() - from);
    send("keyup");
    return far;
  }, ms);
  assert.ok((await moved(250)) > 8, "a predicted step is seen before the server can have answered");
  await new Promise((resolve) => setTimeout(resolve, 1500)); // the server has heard everything
  const predicted = await at(ada);
  await ada.press("#predict");
  await new Promise((resolve) => setTimeout(resolve, 200)); // others' places are drawn a little late
  const real = await at(ada);
  assert.ok(Math.hypot(predicted[0] - real[0], predicted[1] - real[1]) < 6, `predicted ${predicted}, real ${real}`);
  assert.ok((await moved(250)) < 4, "without prediction the step waits for the server");
});
