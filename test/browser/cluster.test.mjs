// The examples as three servers behind HAProxy, joined by Redis.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, test } from "node:test";

import { openBrowser, Person, run, start, Visitor } from "./lib.mjs";

const missing = ["haproxy", "redis-server"].filter((p) => spawnSync(p, ["-v"]).error);
const skip = missing.length > 0 && !process.env.CI && `${missing} not found`;

let browser;

before(async () => {
  if (!skip) browser = await openBrowser();
});
after(() => browser?.close());

async function cluster(t, example) {
  const c = await start("cluster", { PORT: "0", REDIS_URL: "" }, { args: [example] });
  t.after(async () => assert.equal(await c.stop(), 0, "exit code of a graceful stop"));
  return c;
}

test("people of three servers are in one chat", { skip }, async (t) => {
  const { url } = await cluster(t, "chat");
  const people = [];
  const enter = async (name, query) => {
    const p = await Person.enter(browser, url, name, { room: "Cluster", query });
    people.push(p);
    await p.sees("#node", /on (red|green|blue)/);
    return p;
  };
  t.after(async () => {
    for (const p of people) await p.leave();
    assert.deepEqual(people.flatMap((p) => p.errors), [], "errors in the browser's console");
  });
  const ada = await enter("Ada", "");
  const ben = await enter("Ben", "?transport=polling");
  assert.notEqual(await ada.text("#node"), await ben.text("#node"));
  await ada.sees("#count", "2");
  await ben.sees("#count", "2");

  await ada.says("from one server to the other");
  await ada.seesTick("from one server to the other");
  await ben.sees("#log", "from one server to the other");
  await ben.types("and");
  await ada.sees("#typers", "Ben is typing");
  await ben.says("and back");
  await ada.sees("#log", "and back");

  const eve = await enter("Eve", "");
  assert.equal(new Set(await Promise.all(people.map((p) => p.text("#node")))).size, 3, "three servers");
  await eve.sees("#log", "and back");
  assert.deepEqual(await eve.lines(), ["from one server to the other", "and back"]);
  await ada.sees("#count", "3");
  await eve.page.close();
  await ben.sees("#count", "2", 10_000);
});

test("the admin publishes through Redis, and what is missed is recovered", { skip }, async (t) => {
  const { url, line } = await cluster(t, "scores");
  const [redis] = /redis:[^\s,]+/.exec(line);
  const admin = (...args) => run("admin", args, { REDIS_URL: redis });
  const visitors = [];
  for (const query of ["", "?transport=polling"]) {
    const v = new Visitor();
    await v.open(browser, url + query);
    await v.sees("#node", /on (red|green|blue)/);
    visitors.push(v);
  }
  t.after(async () => {
    for (const v of visitors) await v.leave();
    assert.deepEqual(visitors.flatMap((v) => v.errors), [], "errors in the browser's console");
  });
  const [ada, ben] = visitors;
  assert.notEqual(await ada.text("#node"), await ben.text("#node"));
  assert.equal(await admin("to", "everybody"), 0);
  for (const v of visitors) await v.sees("#feed", "to everybody");

  for (const v of visitors) await v.press("#lose");
  for (const v of visitors) await v.sees("#state", "Reconnecting");
  await admin("one");
  await admin("two");
  for (const v of visitors) {
    await v.sees("#recovery", "2 missed events recovered", 20_000);
    const texts = await v.page.$$eval("#feed .event p", (all) => all.map((e) => e.firstChild.textContent));
    assert.deepEqual(texts, ["two", "one", "to everybody"]);
  }
});

test("players of two servers run in one garden", { skip }, async (t) => {
  const { url } = await cluster(t, "game");
  const players = [];
  for (const name of ["Ada", "Ben"]) {
    const v = new Visitor();
    await v.open(browser, url);
    await v.page.$eval("#name", (e, n) => { e.value = n; }, name);
    await v.press("#join button");
    await v.sees("#node", /on (red|green|blue)/);
    players.push(v);
  }
  t.after(async () => {
    for (const v of players) await v.leave();
    assert.deepEqual(players.flatMap((v) => v.errors), [], "errors in the browser's console");
  });
  const [ada, ben] = players;
  assert.notEqual(await ada.text("#node"), await ben.text("#node"));
  // Three servers with three bots each; only the six best and oneself are listed.
  const drawn = (v, n) => v.page.waitForFunction((m) => document.body.dataset.others === m, { polling: 50 }, String(n));
  await ben.page.bringToFront(); // pages behind are not drawn
  await drawn(ben, 10);
  await ada.page.bringToFront();
  await drawn(ada, 10);
  await ben.page.close();
  await drawn(ada, 9);
});
