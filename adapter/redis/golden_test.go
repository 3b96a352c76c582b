package redis

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
)

// golden is one thing that Node's adapters or emitters sent (test/cluster/node/golden.js).
type golden struct {
	Name, Op, Channel string
	Payload           []byte
	Fields            map[string]string
}

func readGolden(t testing.TB) (list []golden) {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// nodeUID is the uid of the Node that made the golden messages.
const nodeUID = "0123456789abcdef"

// wires returns the three forms as a node with the given uid has them.
func wires(uid string) map[string]wire {
	p := &pubsub{uid: uid, prefix: "socket.io", mode: Static}
	return map[string]wire{
		"pubsub": p, "emitter": p,
		"sharded": &sharded{uid: uid, prefix: "socket.io", mode: Dynamic},
		"streams": &streams{uid: uid, prefix: "socket.io", stream: "socket.io", count: 1},
	}
}

// member returns an index of rooms in which one member has all rooms of the golden messages.
func member() *adapter.Local {
	l := &adapter.Local{Namespace: adaptertest.NewNamespace("/chat")}
	l.Join(adaptertest.NewMember("socket-00000000000-1"), "r", "s")
	return l
}

func (g *golden) decode(w wire) (*message, error) {
	if g.Op == "xadd" {
		values := map[string]any{}
		for k, v := range g.Fields {
			values[k] = v
		}
		return decodeEntry(parseEntry(values))
	}
	return w.decode("/chat", g.Channel, g.Payload, member())
}

// plainForm returns what a payload holds, whatever its encoding, without what only one side sends.
func plainForm(t *testing.T, payload []byte) any {
	t.Helper()
	var attachments [][]byte
	if payload[0] != '{' {
		var err error
		if payload, attachments, err = fromMsgpack(payload); err != nil {
			t.Fatal(err)
		}
	}
	var v any
	if err := json.Unmarshal(payload, &v); err != nil {
		t.Fatal(err)
	}
	var prune func(v any)
	prune = func(v any) {
		switch x := v.(type) {
		case map[string]any:
			if f, ok := x["flags"].(map[string]any); ok && len(f) == 0 {
				delete(x, "flags")
			}
			if x["type"] == float64(2) && x["data"] != nil {
				delete(x, "nsp") // of the packet: the receiver sets it
			}
			for _, y := range x {
				prune(y)
			}
		case []any:
			for _, y := range x {
				prune(y)
			}
		}
	}
	prune(v)
	for i, a := range attachments {
		v = []any{v, i, string(a)}
	}
	return v
}

// What Node sends is understood, and what is made of it again is what Node sent.
func TestGolden(t *testing.T) {
	heard, said := wires("another"), wires(nodeUID)
	for _, g := range readGolden(t) {
		t.Run(g.Name, func(t *testing.T) {
			form, what, _ := strings.Cut(g.Name, " ")
			if what == "session" {
				s, err := parseSession(string(g.Payload))
				want := &adapter.Session{SID: "s1", PID: "p1", Rooms: []string{"s1", "r"}, Data: adapter.Raw(`{"user":7,"list":["a",null]}`)}
				if err != nil || !reflect.DeepEqual(s, want) {
					t.Errorf("session %+v, %v", s, err)
				}
				return
			}
			m, err := g.decode(heard[form])
			if what == "rooms answer" { // of a question never asked
				if m != nil || err != nil {
					t.Errorf("decode = %+v, %v", m, err)
				}
				return
			}
			if err != nil || m == nil {
				t.Fatalf("decode = %+v, %v", m, err)
			}
			if strings.HasSuffix(what, "answer") != m.kind.answers() {
				t.Errorf("kind %d", m.kind)
			}
			if what == "fetch answer" {
				sockets, err := parseDetails(m.described)
				if err != nil || len(sockets) != 1 {
					t.Fatalf("%d sockets, %v", len(sockets), err)
				}
				d := sockets[0]
				if d.Handshake.Headers["set-cookie"] != "a, b" || d.Handshake.Issued != 1700000000000 || string(d.Data) != `{"user":"u","n":1.5}` ||
					!d.Handshake.Secure || d.Handshake.Address != "::1" || len(d.Rooms) != 2 || string(d.Handshake.Auth) != `{"token":null}` {
					t.Errorf("details %+v", d)
				}
				return // headers with several values come back as one
			}
			if form == "emitter" {
				return
			}
			to := ""
			if m.kind.answers() {
				to = "other"
			}
			m.uid = nodeUID
			c, err := said[form].encode(m, to)
			if err != nil {
				t.Fatal(err)
			}
			if c.key != g.Channel {
				t.Errorf("channel %q, want %q", c.key, g.Channel)
			}
			payload, want := c.data, g.Payload
			if g.Op == "xadd" {
				if c.xadd == nil || c.xadd.uid != g.Fields["uid"] || c.xadd.nsp != g.Fields["nsp"] {
					t.Fatalf("command %+v", c)
				}
				payload, want = []byte(c.xadd.data), []byte(g.Fields["data"])
				if want[0] != '{' {
					payload, _ = base64.StdEncoding.DecodeString(string(payload))
					want, _ = base64.StdEncoding.DecodeString(string(want))
				}
			}
			if form == "pubsub" && m.kind == kindBroadcast && m.request == "" {
				if string(payload) != string(want) {
					t.Errorf("encode:\n%q, want\n%q", payload, want)
				}
				return
			}
			if (payload[0] == '{') != (want[0] == '{') {
				t.Errorf("encode:\n%q, want\n%q", payload, want)
			}
			got := plainForm(t, payload)
			if x, ok := got.(map[string]any); ok && form == "pubsub" && m.kind.answers() {
				delete(x, "uid")
			}
			if x, ok := got.([]any); ok && form == "pubsub" && m.kind.answers() {
				delete(x[0].(map[string]any), "uid")
			}
			if want := plainForm(t, want); !reflect.DeepEqual(got, want) {
				t.Errorf("encode:\n%v, want\n%v", got, want)
			}
		})
	}
}

// Garbage on any channel is refused without a panic.
func FuzzDecode(f *testing.F) {
	for _, g := range readGolden(f) {
		b := g.Payload
		if g.Op == "xadd" {
			b = []byte(g.Fields["data"])
		}
		f.Add(b, uint8(3))
	}
	f.Add([]byte{}, uint8(3))
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff}, uint8(3))
	all := wires("another")
	channels := []string{"socket.io#/chat#", "socket.io#/chat#r#", "socket.io-request#/chat#", "socket.io-response#/chat#", "x"}
	f.Fuzz(func(t *testing.T, b []byte, k uint8) {
		l := member()
		for _, w := range all {
			for _, channel := range channels {
				if m, err := w.decode("/chat", channel, b, l); err == nil && m != nil && m.kind == kindBroadcast && !json.Valid(m.event.Data) {
					t.Errorf("event %q of %q", m.event.Data, b)
				}
			}
		}
		_, _ = decodeEntry(&entry{uid: "u", nsp: "/chat", kind: kind(k), data: string(b)})
		_, _ = parseSession(string(b))
		s := newState(slog.New(slog.DiscardHandler))
		m := newMembers("another", time.Second, 3, s)
		m.send = func(string, []byte, bool, func(error)) {}
		m.came, m.gone = func(string) {}, func(string) {}
		m.receive(b)
	})
}

func TestHashCodeIsThatOfNode(t *testing.T) {
	for s, want := range map[string]int32{"/": 47, "/admin": 1438238848, "/chat/rooms/long name": 1201474896, "😀": 1772899, "": 0} {
		if got := hashCode(s); got != want {
			t.Errorf("hashCode(%q) = %d, want %d", s, got, want)
		}
	}
}
