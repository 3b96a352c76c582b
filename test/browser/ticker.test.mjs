// The ticker's page: ticks come fifty times a second to those who follow a symbol, and to nobody else.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser, start, Visitor } from "./lib.mjs";

let ticker;
let browser;

before(async () => {
  browser = await openBrowser();
  ticker = await start("ticker");
});
after(async () => {
  await browser?.close();
  await ticker?.stop();
});

async function visit(t, query, view) {
  const v = new Visitor();
  await v.open(browser, ticker.url + query, view);
  t.after(async () => {
    await v.leave();
    assert.deepEqual(v.errors, [], "errors in the browser's console");
  });
  await v.sees("#state", "Connected");
  return v;
}

// rate waits until the page counts that many ticks a second.
const rate = (v, least, most) => v.page.waitForFunction(
  (a, b) => { const n = Number(document.querySelector("#rate").textContent); return n >= a && n <= b; },
  { timeout: 30_000, polling: 100 }, least, most);

for (const [query, transport, view] of [["", "WebSocket", {}], ["?transport=polling", "Polling", { width: 390, height: 844 }]]) {
  test(`following and not following over ${transport}`, async (t) => {
    const v = await visit(t, query, view);
    await v.sees("#transport", transport);
    await v.sees("#followed", "4");
    await rate(v, 1, 220); // four symbols, at most fifty a second each: how many a slow machine has is not promised

    for (const symbol of ["MOSS", "HIVE", "FERN"]) await v.press(`#${symbol} .toggle`);
    await v.sees("#followed", "1");
    await rate(v, 1, 55);
    const still = await v.text("#MOSS .last");
    await v.press("#BEAN .toggle");
    await rate(v, 0, 0);
    assert.equal(await v.text("#MOSS .last"), still, "a price that is not followed");

    await v.press("#PLUM .pick"); // choosing one follows it
    await v.sees("#symbol", "PLUM");
    await rate(v, 1, 55);
    assert.notEqual(await v.text("#low"), "–");
  });
}

test("the chart has a past at once, and a line in the colours of the page", async (t) => {
  const v = await visit(t, "");
  await v.press('[data-span="300000"]');
  await v.page.waitForFunction(() => {
    const canvas = document.querySelector("#chart");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width / 4, canvas.height);
    let coloured = 0; // points that are red or green and not grey, in the oldest quarter
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200 && Math.abs(data[i] - data[i + 1]) > 60) coloured++;
    return coloured > 50;
  }, { polling: 100 });
});

test("a restart of the server is survived, and what was followed still is", async (t) => {
  let own = await start("ticker");
  const v = new Visitor();
  await v.open(browser, own.url);
  t.after(() => v.leave());
  await v.sees("#followed", "4");
  await v.press("#MOSS .toggle");
  await rate(v, 1, 165);
  assert.equal(await own.stop(), 0, "exit code of a graceful stop");
  await v.sees("#state", "Reconnecting");
  own = await start("ticker", { PORT: own.port });
  await v.sees("#state", "Connected");
  await v.sees("#followed", "3");
  await rate(v, 1, 165);
  await own.stop();
});
