// Takes the pictures of the README: node screenshots.mjs FOLDER, with PROGRAMS naming the folder of the programs.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { openBrowser, Person, startChat } from "./lib.mjs";

const folder = process.argv[2] ?? "../../docs/images";
await mkdir(folder, { recursive: true });
const browser = await openBrowser();
const chat = await startChat();
const shot = (p, name) => p.page.screenshot({ path: join(folder, `${name}.png`) });

const ada = await Person.enter(browser, chat.url, "Ada", { room: "Lobby", width: 1100, height: 720 });
const ben = await Person.enter(browser, chat.url, "Ben Okri", { room: "Lobby", query: "?transport=polling", width: 390, height: 780, scale: 1.5, dark: true });
const eve = await Person.enter(browser, chat.url, "Eve", { room: "Lobby" });
const script = [
  [eve, "Morning! Is the new server up?"],
  [ada, "It is. WebSocket for me, and the page says so at the top."],
  [ben, "My train eats WebSockets, so I am on polling."],
  [ben, "You would not notice, would you?"],
  [ada, "Not at all."],
  [eve, "What happens when somebody restarts it?"],
  [ada, "You see it: the lamp turns amber, what you write waits with a little clock, and when the server is back it is sent, once, in order."],
];
for (const [who, text] of script) {
  await who.says(text);
  await who.seesTick(text);
  await ada.sees("#log", text);
  await ben.sees("#log", text);
}
await eve.types("Nice, let me");
await ada.sees("#typers", "Eve is typing");
await eve.types(" try");
await shot(ada, "chat-desktop");
await eve.types(" that");
await ben.sees("#typers", "Eve is typing").catch(() => {});
await shot(ben, "chat-phone");

if (process.argv[3] === "all") {
  await ada.look({ width: 1100, height: 720, dark: true });
  await shot(ada, "desktop-dark");
  await ben.look({ width: 390, height: 780, scale: 2 });
  await ben.press("#menu");
  await new Promise((resolve) => setTimeout(resolve, 400)); // the drawer slides
  await shot(ben, "phone-drawer");
  await ben.press("#shade");
  await eve.press("#leave");
  await eve.look({ width: 390, height: 780, scale: 2 });
  await shot(eve, "phone-welcome");
  await eve.look({ width: 1100, height: 720, dark: true });
  await shot(eve, "welcome-dark");
  await chat.stop();
  await ada.sees("#state", "Reconnecting");
  await ada.says("Somebody is restarting it right now.");
  await ada.look({ width: 1100, height: 720 });
  await shot(ada, "desktop-lost");
  await ben.look({ width: 320, height: 560, scale: 2 });
  await shot(ben, "phone-small-lost");
}
await browser.close();
await chat.stop();
