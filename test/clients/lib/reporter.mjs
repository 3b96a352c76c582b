// A reporter for node --test: every failure in full, then a table of feature by client and transport.
//
// Tests named "feature | client | transport" fill the table; others are only counted. With
// MATRIX_JSON set, each result is also appended to that file as a line of JSON, for clients_test.go.
import { appendFileSync } from "node:fs";

const marks = { pass: "ok", fail: "FAIL", skip: "-" };

export default async function* reporter(source) {
  const cells = new Map(); // feature -> "client transport" -> result
  const columns = new Set();
  const total = { pass: 0, fail: 0, skip: 0 };
  for await (const { type, data } of source) {
    if (type === "test:diagnostic" && data.nesting > 0) yield `# ${data.message}\n`;
    if (type === "test:stderr") yield data.message;
    if (type !== "test:pass" && type !== "test:fail") continue;
    if (data.details?.type === "suite" || data.name.endsWith(".test.mjs")) {
      if (type === "test:fail" && data.details.error?.failureType !== "subtestsFailed")
        yield* failure(data, ++total.fail && total);
      continue;
    }
    const result = data.skip !== undefined ? "skip" : type === "test:pass" ? "pass" : "fail";
    total[result]++;
    const [feature, client, transport] = data.name.split(" | ");
    if (transport !== undefined) {
      const column = `${client} ${transport}`;
      columns.add(column);
      if (!cells.has(feature)) cells.set(feature, new Map());
      cells.get(feature).set(column, result);
    }
    if (result === "fail") yield* failure(data);
    if (process.env.MATRIX_JSON) {
      const error = result === "fail" ? describe(data.details.error) : undefined;
      const line = { name: data.name, result, ms: Math.round(data.details.duration_ms), error };
      appendFileSync(process.env.MATRIX_JSON, JSON.stringify(line) + "\n");
    }
  }
  yield table(cells, columns);
  yield `${total.pass} passed, ${total.fail} failed, ${total.skip} not offered by that client\n`;
}

function* failure(data) {
  yield `\nFAIL ${data.name} (${Math.round(data.details.duration_ms)} ms)\n${describe(data.details.error)}\n`;
}

function describe(error) {
  const cause = error?.cause ?? error;
  return (cause?.stack ?? String(cause)).split("\n").filter((line) => !line.includes("node:internal")).join("\n");
}

function table(cells, columns) {
  const order = [...columns].sort();
  const clients = [...new Set(order.map((column) => column.split(" ")[0]))];
  const width = Math.max(10, ...[...cells.keys()].map((name) => name.length));
  const of = (client) => order.filter((column) => column.startsWith(client + " "));
  let text = "\n" + "".padEnd(width);
  for (const client of clients) text += " | " + client.padEnd(of(client).length * 5 - 1);
  text += "\n" + "".padEnd(width);
  for (const client of clients) text += " | " + of(client).map((c) => short(c).padEnd(4)).join(" ");
  text += "\n" + "-".repeat(width) + clients.map((c) => "-+-" + "-".repeat(of(c).length * 5 - 1)).join("") + "\n";
  for (const name of [...cells.keys()].sort()) {
    text += name.padEnd(width);
    for (const client of clients)
      text += " | " + of(client).map((c) => (marks[cells.get(name).get(c)] ?? "").padEnd(4)).join(" ");
    text += "\n";
  }
  return text + "(poll: polling only, ws: WebSocket only, up: polling, then upgraded; -: not offered by that client)\n";
}

const short = (column) => ({ polling: "poll", websocket: "ws", upgrade: "up" })[column.split(" ")[1]] ?? "";
