// What holds for every page, before anybody has done anything, with people in it, and when its server is gone: it
// fits a phone and a desktop, light and dark, complains of nothing, can be used from the keyboard, and axe-core
// finds nothing that keeps people out.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

import { openBrowser, run, start, Visitor } from "./lib.mjs";

const axe = await readFile(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
const views = [{ width: 1180, height: 760 }, { width: 390, height: 844, dark: true }, { width: 320, height: 568 }];

let browser;

before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

async function join(v, name) {
  await v.page.$eval("#name", (e, n) => { e.value = n; }, name);
  await v.press("#join button");
}

// Each page, and how a person comes to see all that is on it.
const pages = {
  async chat(v, name) {
    await v.sees("#join", "Join");
    await join(v, name);
    await v.sees("#state", "Connected");
    await v.page.$eval("#text", (e) => { e.value = "Is anybody there?"; });
    await v.press("#compose button");
    await v.page.waitForSelector("#log .tick.sent");
    if (await v.page.$eval("#menu", (e) => e.checkVisibility())) await v.press("#menu");
  },
  async ticker(v) {
    await v.sees("#list", "BEAN");
  },
  async game(v, name) {
    await join(v, name);
    await v.sees("#scores", name);
  },
  async scores(v, name, url) {
    await v.sees("#state", "Connected");
    assert.equal(await run("admin", [`-url=${url}`, "-minute=1ms", "-seed=7"], { REDIS_URL: "" }), 0);
    await v.sees("#match-4", "Full time");
  },
  async auth(v) {
    await v.page.$eval("#name", (e) => { e.value = "ada"; });
    await v.page.$eval("#password", (e) => { e.value = "bean"; });
    await v.press("#login button");
    await v.sees("#who", "ada");
  },
  async zishang(v, name) {
    await join(v, name);
    await v.sees("#people", name);
    await v.page.type("#text", "Is anybody there?");
    await v.press("#compose button");
    await v.sees("#lines", "anybody");
  },
};

// good holds a page to what is true of all of them in every state.
async function good(v, state) {
  const { width, dark } = v.view;
  const where = `${state}, ${width} wide${dark ? ", dark" : ""}`;
  const overflow = await v.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${where}: ${overflow} too wide`);
  const violations = await v.page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
    return violations.flatMap((r) => r.nodes.map((n) => `${r.id}: ${n.target.join(" ")}: ${n.failureSummary.split("\n")[1]}`));
  });
  v.errors.push(...violations.map((text) => `${where}: ${text}`));
}

for (const [name, enter] of Object.entries(pages)) {
  test(name, async (t) => {
    const example = await start(name);
    let gone = false;
    t.after(() => gone || example.stop());
    const visitors = [];
    t.after(() => Promise.all(visitors.map((v) => v.leave())));
    for (const [i, view] of views.entries()) {
      const v = new Visitor();
      visitors.push(v);
      v.view = view;
      const complaints = v.errors;
      await v.open(browser, "about:blank", { ...view, still: true });
      v.page.on("console", (m) => {
        if (["error", "warn"].includes(m.type()) && !gone) complaints.push(m.text());
      });
      v.page.on("requestfailed", (r) => gone || complaints.push(r.url()));
      await v.page.goto(example.url, { waitUntil: "load" });
      await v.sees(".top", `Beanpole ${name}`);
      const seen = await v.page.evaluate(() => ({
        title: document.title,
        policy: document.querySelector('meta[http-equiv="Content-Security-Policy"]')?.content ?? "",
      }));
      assert.match(seen.title, new RegExp(`Beanpole ${name}$`));
      assert.match(seen.policy, /default-src 'none'/);

      await v.page.keyboard.press("Tab");
      const focused = await v.page.evaluate(() => {
        const e = document.activeElement;
        const style = getComputedStyle(e);
        return { tag: e.tagName, outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 };
      });
      assert.notEqual(focused.tag, "BODY", "nothing to reach with Tab");
      assert.ok(focused.outline, `no sign of focus on a ${focused.tag}`);

      await v.page.evaluate(axe);
      await good(v, "at first");
      await enter(v, `Ada ${i}`, example.url);
      await good(v, "inside");
    }
    gone = true;
    assert.equal(await example.stop(), 0);
    for (const v of visitors) {
      await v.page.bringToFront();
      await v.sees("#state", "Reconnecting");
      await v.page.waitForSelector("#banner:not([hidden])");
      if (name === "chat") await v.page.$eval("#compose", (e) => { e.text.value = "Are you?"; e.requestSubmit(); });
      await good(v, "server gone");
      const { banner, covered } = await v.page.evaluate(() => {
        const box = document.querySelector("#banner").getBoundingClientRect();
        const at = document.elementFromPoint(box.left + 24, box.top + box.height / 2);
        return { banner: box.height, covered: !at?.closest("#banner, #side, #shade") && at?.outerHTML };
      });
      assert.ok(banner < 120, `a banner ${banner} high`);
      assert.equal(covered, false, "something covers the banner");
    }
    assert.deepEqual(visitors.flatMap((v) => v.errors), [], visitors.flatMap((v) => v.errors).join("\n"));
  });
}

// A page whose server is gone says so when one joins, and goes on by itself when it is there again.
for (const name of ["chat", "game", "zishang"]) {
  test(`${name}: joining while the server is down`, async (t) => {
    const first = await start(name);
    const v = new Visitor();
    t.after(() => v.leave());
    await v.open(browser, first.url);
    await v.page.waitForFunction(() => typeof window.io === "function");
    await first.stop();
    await join(v, "Ada");
    await v.sees("#banner", "The server cannot be reached. Trying again…");
    await v.sees("#state", "Reconnecting");
    const second = await start(name, { PORT: first.port });
    await v.sees("#state", "Connected");
    await v.page.waitForSelector("#welcome", { hidden: true });
    assert.equal(await v.visible("#banner"), false);
    assert.deepEqual(v.errors, []);
    await second.stop();
  });
}

// The page of a new project keeps what is typed while its server is gone.
test("a new project", async (t) => {
  const first = await start("template");
  const visitors = views.map((view) => Object.assign(new Visitor(), { view }));
  t.after(() => Promise.all(visitors.map((v) => v.leave())));
  for (const v of visitors) {
    await v.open(browser, first.url, { ...v.view, still: true });
    await v.sees("#state", "connected over");
    await v.page.evaluate(axe);
    await good(v, "at first");
    await v.page.type("#text", "Hello");
    await v.press("button");
    await v.sees("#said", "Hello (you, 5 bytes)");
    await good(v, "inside");
  }
  assert.equal(await first.stop(), 0);
  const typed = "Are you there?";
  for (const v of visitors) {
    await v.page.bringToFront();
    await v.sees("#state", "not connected: trying again");
    await v.page.type("#text", typed);
    await v.press("button");
    assert.equal(await v.page.$eval("#text", (e) => e.value), typed);
    await good(v, "server gone");
  }
  const second = await start("template", { PORT: first.port });
  const [v] = visitors;
  await v.page.bringToFront();
  await v.sees("#state", "connected over");
  await v.press("button");
  await v.sees("#said", `${typed} (you`);
  assert.equal(await second.stop(), 0);
  assert.deepEqual(visitors.flatMap((v) => v.errors), []);
});

test("the report of a load", async (t) => {
  const project = await start("template");
  t.after(() => project.stop());
  const folder = await mkdtemp(path(tmpdir(), "report-"));
  t.after(() => rm(folder, { recursive: true }));
  const report = path(folder, "report.html");
  assert.equal(await run("beanpole", ["load", project.url, "--sessions=3", "--rate=20", "--event=say", "--duration=3s", `--html=${report}`]), 0);
  for (const view of views) {
    const v = Object.assign(new Visitor(), { view });
    t.after(() => v.leave());
    await v.open(browser, pathToFileURL(report).href, { ...view, still: true });
    await v.page.evaluate(axe);
    assert.ok(await v.page.$("svg"), "no plot");
    await good(v, "at first");
    await v.press("summary");
    await good(v, "all figures");
    assert.deepEqual(v.errors, []);
  }
});
