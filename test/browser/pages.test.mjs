// What holds for every page, before anybody has done anything: it fits a phone and a desktop, light and
// dark, complains of nothing, names itself and its controls, and can be used from the keyboard.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser, start, Visitor } from "./lib.mjs";

let browser;

before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

for (const name of ["chat", "ticker", "game", "scores", "auth", "zishang"]) {
  test(name, async (t) => {
    const example = await start(name);
    t.after(() => example.stop());
    for (const view of [{ width: 1180, height: 760 }, { width: 390, height: 844, dark: true }, { width: 320, height: 568 }]) {
      const v = new Visitor();
      const complaints = v.errors;
      await v.open(browser, "about:blank", view);
      v.page.on("console", (m) => {
        if (["error", "warn"].includes(m.type())) complaints.push(m.text());
      });
      v.page.on("requestfailed", (r) => complaints.push(r.url()));
      await v.page.goto(example.url, { waitUntil: "load" });
      await v.sees(".top", `Beanpole ${name}`);
      const seen = await v.page.evaluate(() => ({
        overflow: document.documentElement.scrollWidth - innerWidth,
        title: document.title,
        policy: document.querySelector('meta[http-equiv="Content-Security-Policy"]')?.content ?? "",
        nameless: [...document.querySelectorAll("button, input, select, textarea, canvas")]
          .filter((e) => !e.hidden && !e.labels?.length && !e.ariaLabel && !e.ariaHidden && !e.textContent.trim())
          .map((e) => e.outerHTML),
        language: document.documentElement.lang,
      }));
      assert.ok(seen.overflow <= 0, `${view.width} wide, ${seen.overflow} too much`);
      assert.match(seen.title, new RegExp(`Beanpole ${name}$`));
      assert.match(seen.policy, /default-src 'none'/);
      assert.equal(seen.language, "en");
      assert.deepEqual(seen.nameless, []);

      await v.page.keyboard.press("Tab");
      const focused = await v.page.evaluate(() => {
        const e = document.activeElement;
        const style = getComputedStyle(e);
        return { tag: e.tagName, outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 };
      });
      assert.notEqual(focused.tag, "BODY", "nothing to reach with Tab");
      assert.ok(focused.outline, `no sign of focus on a ${focused.tag}`);
      assert.deepEqual(complaints, []);
      await v.leave();
    }
  });
}
