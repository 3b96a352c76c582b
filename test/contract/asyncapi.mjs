// Reads, as JSON, a document of AsyncAPI and what has gone over the wire: has AsyncAPI's own parser look at the one, and ajv
// hold the other against the schemas of its messages. Prints a line for each complaint.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";
import { Ajv } from "ajv";
import formats from "ajv-formats";

const { document, wire } = JSON.parse(readFileSync(0));
const { diagnostics } = await new Parser().parse(JSON.stringify(document));
// Beyond errors it recommends tags, a licence and the like, which are the author's.
for (const d of diagnostics) if (d.severity === 0) console.log(`/${d.path.join("/")}: ${d.message}`);

const ajv = new Ajv({ strict: false, allErrors: true, formats: { binary: true } });
formats.default(ajv);
ajv.addSchema(document, "document");
for (const { channel, action, event, answer, values, fits } of wire) {
  const name = answer ? `${event} (acknowledgement)` : event;
  const key = Object.entries(document.channels[channel].messages).find(([k, m]) => m.name === name && k.startsWith(action))?.[0];
  const errors = [];
  if (!key) errors.push("the document has no such message");
  else if (!ajv.validate({ $ref: `document#/channels/${channel}/messages/${key}/payload` }, values)) errors.push(ajv.errorsText());
  if ((errors.length === 0) !== fits) console.log(`${action} ${name} ${JSON.stringify(values)}: ${errors[0] ?? "fits, and should not"}`);
}
