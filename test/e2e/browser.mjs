// Chromium through the environment: arguments are the URL and the program. For each way to connect, one line of JSON
// says what the page saw.
import puppeteer from "puppeteer-core";

const [url, chromium] = process.argv.slice(2);
const browser = await puppeteer.launch({ executablePath: chromium, acceptInsecureCerts: true, args: ["--no-sandbox", "--disable-quic"] });
try {
  const ways = [["polling"], ["websocket"], ["polling", "websocket"]];
  await Promise.all(ways.map(async (transports) => {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.goto(url + "/livez");
    const seen = await page.evaluate(async (transports) => {
      const { io } = await import("/socket.io/socket.io.esm.min.js");
      const socket = io({ transports });
      await new Promise((ok, no) => { socket.on("connect", ok); socket.on("connect_error", no); });
      if (transports.length > 1 && socket.io.engine.transport.name !== "websocket")
        await new Promise((ok) => socket.io.engine.once("upgrade", ok));
      const echoes = [];
      for (let i = 0; i < 10; i++) echoes.push(await socket.timeout(5000).emitWithAck("echo", "hello " + i));
      const instance = await socket.emitWithAck("join", "all");
      const via = socket.io.engine.transport.name;
      // Longer than the load balancer's idle timeout.
      await new Promise((ok) => setTimeout(ok, 7000));
      return { echoes: echoes.length, instance, via, connected: socket.connected };
    }, transports);
    const cookies = (await page.cookies(url)).map((c) => c.name).sort();
    process.stdout.write(JSON.stringify({ transports, ...seen, cookies }) + "\n");
    await context.close();
  }));
} finally {
  await browser.close();
}
