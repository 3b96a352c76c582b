// The scores' page: events as they happen, and those missed while the connection was lost.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser, run, start, Visitor } from "./lib.mjs";

let scores;
let browser;

before(async () => {
  browser = await openBrowser();
  scores = await start("scores");
});
after(async () => {
  await browser?.close();
  await scores?.stop();
});

const admin = (...args) => run("admin", [`-url=${scores.url}`, ...args], { REDIS_URL: "" });
const events = (v) => v.page.$$eval("#feed .event", (all) =>
  all.map((e) => [e.querySelector("p").firstChild.textContent, e.dataset.recovered === "true"]));

async function visit(t, options = {}) {
  const v = new Visitor();
  await v.open(browser, scores.url + (options.query ?? ""), options);
  t.after(async () => {
    await v.leave();
    assert.deepEqual(v.errors, [], "errors in the browser's console");
  });
  await v.sees("#state", "Connected");
  return v;
}

test("an afternoon of football, and the end of it for who comes late", async (t) => {
  const v = await visit(t, { width: 390, height: 844 });
  await v.sees("#empty", "No match has begun");
  assert.equal(await admin("-minute=5ms", "-seed=7"), 0);
  await v.sees("#match-4", "Full time");
  const late = await visit(t, { query: "?transport=polling" });
  await late.sees("#match-4", "Full time");
  const results = (p) => p.page.$$eval(".match", (all) => all.map((m) => m.querySelector(".sides").textContent));
  assert.deepEqual(await results(v), await results(late));
  assert.deepEqual((await events(v)).slice(0, 40), await events(late));
});

for (const [query, transport] of [["", "WebSocket"], ["?transport=polling", "Polling"]]) {
  test(`what is missed is recovered over ${transport}`, async (t) => {
    const v = await visit(t, { query });
    await v.sees("#transport", transport);
    await admin(`before ${transport}`);
    await v.sees("#feed", `before ${transport}`);

    await v.press("#lose");
    await v.sees("#state", "Reconnecting");
    const missed = [1, 2, 3].map((n) => `missed ${n} over ${transport}`);
    for (const text of missed) await admin(text);
    assert.doesNotMatch(await v.text("#feed"), new RegExp(missed[0]));

    await v.sees("#recovery", "3 missed events recovered");
    await v.sees("#state", "Connected");
    await admin(`after ${transport}`);
    await v.sees("#feed", `after ${transport}`);
    assert.deepEqual((await events(v)).slice(0, 5), [
      [`after ${transport}`, false], ...missed.toReversed().map((text) => [text, true]), [`before ${transport}`, false],
    ]);
  });
}

test("after a restart of the server everything is loaded anew", async (t) => {
  let own = await start("scores");
  const v = new Visitor();
  await v.open(browser, own.url);
  t.after(() => v.leave());
  await v.sees("#state", "Connected");
  await run("admin", [`-url=${own.url}`, "before"], { REDIS_URL: "" });
  await v.sees("#feed", "before");
  assert.equal(await own.stop(), 0, "exit code of a graceful stop");
  await v.sees("#state", "Reconnecting");
  own = await start("scores", { PORT: own.port });
  await v.sees("#recovery", "loaded anew");
  assert.deepEqual(await events(v), []);
  await own.stop();
});
