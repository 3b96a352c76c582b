// Package packet is the Socket.IO packet codec: text packets with binary attachments (protocol 5, and
// 4 of Socket.IO v2, which has the same form), the MessagePack form of socket.io-msgpack-parser, and
// the conversion between Go values and packet payloads.
//
// A message comes in through a Decoder, which a Parser, Text or MsgPack, makes for every session. The
// Packet it returns has been checked: its payload is valid JSON of bounded depth and of the kind its
// type asks for, its text is valid UTF-8, its placeholders fit its attachments. EventName finds the
// handler, Split the arguments, and Decode puts one into a Go variable. On the way out AppendEvent or
// AppendArgs make the payload of Go values, and the parser's Encode the messages of the packet.
// AppendMsgpack and FromMsgpack carry a payload to other nodes through Redis and back.
//
// # Files
//
//	packet.go          Packet, Limits, errors, the Parser and Decoder interfaces
//	text.go            the text form: encoding; text_decoder.go: decoding and reassembly
//	text_string.go     strings between JSON and characters
//	msgpack.go         the MessagePack form of packets
//	msgpack_write.go   JSON text to MessagePack; msgpack_read.go: back
//	scan.go            the one-pass check of JSON; split.go: the parts of arrays and objects
//	name.go            event names; number.go: numbers as JavaScript writes them
//	placeholder.go     what stands in a payload for an attachment
//	encode_value.go    Go values to payloads without reflection; encode_any.go: the others
//	decode_value.go    payloads to Go values; decode_library.go: into variables of any type; mismatch.go:
//	                   what is said of values that do not fit; weight.go: what they take
//	holds.go           where values of a type can hold binaries
//	testdata           what Node's parsers make of the same packets, and the script that asked them
//
// # Decisions
//
// 2026-11-23: payloads stay JSON text between decoder and handler. The scanner checks them in one pass
// without allocation, and handlers decode straight into their own types.
//
// 2026-11-23: general values go through github.com/go-json-experiment/json, because its marshal
// functions are the one way to find a []byte anywhere in a value without walking it first. The rules
// are those of encoding/json (package v1 of the library), which Go programmers know: a nil slice is
// null, names match without regard to case. HTML is not escaped, for no packet is put into a page. What is
// not finite is null, as with JSON.stringify, and costs a second attempt only where there is such a value.
//
// 2026-11-23: MessagePack is read and written here and not by vmihailenco/msgpack. That library would
// make a Go value of everything in between, lose the order of members, and still need hooks for
// notepack.io's undefined, dates and ArrayBuffers.
//
// 2026-11-23: where Node's parser takes more than its clients send, this one does not: an event without
// a payload (Node 4.8 then has an event without a name), an acknowledgement id beyond 2^53, white
// space read as id 0, two placeholders for one attachment (they would multiply its bytes when they are
// re-encoded), a placeholder with other members. An event said to have 0 attachments is taken, as by
// socket.io-parser up to 4.2.6, whose encoder can write one.
//
// 2026-11-23: raw JSON that imitates a placeholder is refused beside binaries of our own. Node sends it,
// and every client that gets it breaks off; it may come from another client.
package packet
