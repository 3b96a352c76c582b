// Prints golden.json: what Node's parsers make of the packets below.
//
//   npm install socket.io-parser@4 socket.io-msgpack-parser@3 notepack3@npm:notepack.io@3.0.1
//   node golden.cjs > golden.json
//
// Integers from 2^64 on are left out: notepack.io writes other numbers for them.
// In data, {"_placeholder":true,"num":n} stands for attachments[n]. Bytes are base64.
const { Encoder, Decoder } = require("socket.io-parser");
const msgpack = require("socket.io-msgpack-parser");
const notepack2 = require("notepack.io");
const notepack3 = require("notepack3");

const buf = (n, fill = 7) => Buffer.alloc(n, fill);
const b64 = (x) => Buffer.from(x).toString("base64");
const str = (n) => "x".repeat(n);

const packets = [
  { type: 0, nsp: "/" },
  { type: 0, nsp: "/admin", data: { sid: "oSO0OpakMV_3jnilAAAA" } },
  { type: 1, nsp: "/" },
  { type: 1, nsp: "/admin" },
  { type: 2, nsp: "/", data: ["hello", 1, "2", { a: null, b: [true, false] }] },
  { type: 2, nsp: "/chat", id: 12, data: ["é\n\"\\/\u2028😀\u0001\u007f", {}] },
  { type: 2, nsp: "/", data: [7, []] },
  { type: 3, nsp: "/", id: 0, data: [] },
  { type: 3, nsp: "/chat", id: 9007199254740991, data: ["ok", -1.5] },
  { type: 4, nsp: "/", data: { message: "Not authorized", data: { code: "E1" } } },
  { type: 4, nsp: "/", data: "Invalid namespace" },
  { type: 2, nsp: "/", data: ["bin", buf(3)] },
  { type: 2, nsp: "/chat", id: 3, data: ["bin", { a: [buf(0), buf(1)], b: "x" }, buf(300)] },
  { type: 3, nsp: "/", id: 5, data: [buf(2), null] },
  { type: 2, nsp: "/", data: ["ints", 0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 9007199254740991] },
  { type: 2, nsp: "/", data: ["ints", -1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -9007199254740991] },
  { type: 2, nsp: "/", data: ["floats", 0.1, -2.5, 5e-324, 1e-7, 123456.789, 1e18] },
  { type: 2, nsp: "/", data: ["strings", "", str(31), str(32), str(255), str(256)] },
  { type: 2, nsp: "/", data: ["arrays", Array(15).fill(0), Array(16).fill(1)] },
  { type: 2, nsp: "/", data: ["maps", Object.fromEntries(Array.from({ length: 16 }, (_, i) => ["k" + i, i]))] },
  { type: 2, nsp: "/", data: ["bins", buf(255), buf(256)] },
];

// Takes the binaries out of a copy of v.
function apart(v, attachments) {
  if (Buffer.isBuffer(v)) return { _placeholder: true, num: attachments.push(b64(v)) - 1 };
  if (Array.isArray(v)) return v.map((e) => apart(e, attachments));
  if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, e]) => [k, apart(e, attachments)]));
  return v;
}

const golden = packets.map((p) => {
  const attachments = [];
  const data = p.data === undefined ? undefined : JSON.stringify(apart(p.data, attachments));
  const packed = new msgpack.Encoder().encode(p)[0];
  const undef = new msgpack.Encoder().encode({ type: p.type, data: p.data, nsp: p.nsp, id: p.id, options: undefined })[0];
  return {
    type: p.type, nsp: p.nsp, id: p.id, data, attachments,
    text: new Encoder().encode({ ...p, data: structuredCloneBuffers(p.data) }).map((m) => b64(m)),
    msgpack: [b64(packed), b64(undef)],
    value: p.data === undefined ? undefined : [b64(notepack2.encode(p.data)), b64(notepack3.encode(p.data))],
  };
});

function structuredCloneBuffers(v) {
  if (Buffer.isBuffer(v) || v === null || typeof v !== "object") return v;
  if (Array.isArray(v)) return v.map(structuredCloneBuffers);
  return Object.fromEntries(Object.entries(v).map(([k, e]) => [k, structuredCloneBuffers(e)]));
}

// Values whose JSON form is not the value itself.
const values = [
  { a: undefined, b: 1, c: undefined },
  [undefined, 1],
  [NaN, Infinity, -Infinity, -0],
  new Date(0), new Date(1700000000123), new Date(-1), new Date(8640000000000000), new Date(-62198755200000),
  [new Date(253402300799999), new Date(253402300800000)],
  { d: { toJSON: () => "j" } },
  new Uint8Array([1, 2, 3]), new Uint8Array([9]).buffer,
].map((v) => ({
  json: JSON.stringify(v, (k, e) => (e && (e instanceof ArrayBuffer || ArrayBuffer.isView(e)) ? { _placeholder: true, num: 0 } : e)),
  msgpack: [b64(notepack2.encode(v)), b64(notepack3.encode(v))],
}));

// Which texts Node's decoder takes as the first message of a packet.
const texts = [
  "0", "0/nsp", "0/nsp,", "0/nsp?a=1,", '0{"a":1}', '0"a"', "0[]", "0null", "1", "1/nsp,", "1{}", '2["a"]', '2[""]', "2[1]", "2[1.5]", "2[]", "2{}", "2[null]",
  '2["connect"]', '2["disconnect"]', '2["disconnecting"]', '2["connect_error"]', '2["newListener"]', '2["removeListener"]', '2["error"]', '2/n,["a"]', '2/n,12["a"]',
  '212["a"]', '2["a"', '2["a"]x', "2nope", "5-[\"a\"]", "2/n", "3[]", "31[]", "3{}", '4"a"', "4{}", "4[]", "41", '50-["a"]', '51-["a",{"_placeholder":true,"num":0}]', '5["a"]', '51["a"]',
  '5a-["a"]', '5-1-["a"]', '511-["a"]', '510-["a"]', '61-[{"_placeholder":true,"num":0}]', "7", "a", "9[]", '2/n["a"]', '2["a",{"__proto__":1}]', '2 ["a"]x', '2["\\u0063onnect"]',
].map((text) => {
  let ok = true;
  try { new Decoder().add(text); } catch { ok = false; }
  return { text, ok };
});

console.log(JSON.stringify({ golden, values, texts }, null, 1));
