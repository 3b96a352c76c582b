// What an application's page does with the server's contract.
import { io, Socket } from "socket.io-client";
import type { AdminClientToServerEvents, AdminServerToClientEvents, Binary, ClientToServerEvents, Failure, Line, Menu, ServerToClientEvents, ABClientToServerEvents, AB2ClientToServerEvents, ABServerToClientEvents } from "./events";

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io();
const line: Line = { item: "beans", count: 2, photo: new Uint8Array(3), notes: null };

function failed(answer: unknown): answer is Failure {
  return typeof answer === "object" && answer !== null && "error" in answer;
}

socket.emit("order", line, (answer) => {
  if (failed(answer)) {
    console.log(answer.error.toUpperCase());
  } else {
    console.log(answer.price.toFixed(2), answer.status === "cooking");
  }
});

async function ask() {
  const answer = await socket.timeout(1000).emitWithAck("order", line);
  if (!failed(answer)) console.log(answer.price * 2);
  const sum = await socket.emitWithAck("sum", 1, 2, 3);
  const total = await socket.emitWithAck("total", 1.5, 2);
  if (!failed(sum) && !failed(total)) console.log(sum + total);
}
void ask();

socket.emit("typing");
socket.emit("typing", (failure) => console.log(failure?.error));

socket.emit("mark", "start", 1, 2);
socket.emit("mark", "end", 3, (failure) => console.log(failure?.error));
socket.emit("raw", 1, "two", { three: 3 });
socket.emit("later", "text");
socket.emit("later", "text", (...answer) => console.log(answer.length));

socket.on("news", (article) => {
  for (const tag of article.tags ?? []) console.log(tag.toLowerCase(), article.title.length, new Date(article.at));
});
socket.on("tick", (symbol, at, price) => console.log(symbol.toLowerCase(), at + price));
socket.on("photo", (photo: Binary | null) => console.log(photo?.byteLength));
socket.on("ready?", (ack) => ack(true));

const admin: Socket<AdminServerToClientEvents, AdminClientToServerEvents> = io("/admin");
admin.emit("stop", "now");

socket.emit("menu", [{ lunch: [null, {}] }], (record) => {
  if (failed(record)) return;
  const soup: Menu | null | undefined = record.menus?.lunch?.soup;
  const table: number | undefined = record.table;
  console.log(soup, table);
});
socket.emit("ping", {}, (ping) => console.log(ping));
const dash: Socket<ABServerToClientEvents, ABClientToServerEvents> = io("/a-b");
dash.emit("dash", "x");
// @ts-expect-error: an event of the other namespace
dash.emit("line", "x");
const line2: keyof AB2ClientToServerEvents = "line";
console.log(line2);
