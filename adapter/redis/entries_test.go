package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
)

// bulk writes values as Redis does.
func bulk(list ...string) string {
	b := fmt.Sprintf("*%d\r\n", len(list))
	for _, s := range list {
		b += fmt.Sprintf("$%d\r\n%s\r\n", len(s), s)
	}
	return b
}

// TestEntriesInPieces: an entry is read the same however the network cuts it, and as the library's form of it says.
func TestEntriesInPieces(t *testing.T) {
	values := []string{"uid", "node", "nsp", "/x", "type", "3", "data", `{"a":"\r\n$5\r\n"}`, "other", "", seqField, "zz.inst.1"}
	text := "*2\r\n$15\r\n1700000000000-7\r\n" + bulk(values...)
	fields := map[string]any{}
	for i := 0; i < len(values); i += 2 {
		fields[values[i]] = values[i+1]
	}
	want := parseEntry(fields)
	for cut := range text {
		w := resp{b: []byte(text[:cut])}
		if w.entry(); !w.short || w.bad {
			t.Fatalf("%q: short %v, bad %v", text[:cut], w.short, w.bad)
		}
	}
	w := resp{b: []byte(text + "*")}
	e, ok := w.entry()
	if !ok || w.bad || w.short || string(w.b) != "*" || e.id != (streamID{1700000000000, 7}) {
		t.Fatalf("entry %+v, %v, left %q", e, ok, w.b)
	}
	if got := e.entry(); *got != *want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	source, seq, dense := e.source()
	if string(source) != want.source() || seq != want.seq || dense != want.dense {
		t.Errorf("source %q, %d, %v, want %+v", source, seq, dense, want)
	}
}

// FuzzEntries: whatever Redis sends is an entry, not yet one, or none.
func FuzzEntries(f *testing.F) {
	f.Add("*2\r\n$3\r\n1-1\r\n*2\r\n$3\r\nuid\r\n$1\r\nx\r\n")
	f.Add("*2\r\n$3\r\n1-1\r\n*-1\r\n")
	f.Add("*1\r\n$99999999999999999999\r\n")
	f.Add("-MOVED 1 a:1\r\n")
	f.Add("*2\r\n$0\r\n\r\n*4\r\n$2\r\nbp\r\n$3\r\n1.a\r\n$4\r\ntype\r\n$1\r\n3\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		w := resp{b: []byte(text)}
		e, ok := w.entry()
		if w.bad && w.short || ok && (w.bad || w.short) && e.id == (streamID{}) {
			t.Fatalf("bad %v, short %v, ok %v", w.bad, w.short, ok)
		}
		if !w.bad && !w.short {
			x := e.entry()
			source, seq, dense := e.source()
			if e.seq != nil && seq != 0 && (string(source) != x.source() || seq != x.seq || dense != x.dense) {
				t.Errorf("%q: source %q %d %v, want %+v", e.seq, source, seq, dense, x)
			}
			if id, ok2 := parseStreamID(e.id.String()); !ok2 || id != e.id {
				t.Errorf("id %v", e.id)
			}
		}
		w = resp{b: []byte(text)}
		w.refusal()
	})
}

// TestUnwanted: an event is passed over only if nobody here would get it.
func TestUnwanted(t *testing.T) {
	l := &adapter.Local{}
	m := adaptertest.NewMember("member-0000000000000")
	l.Join(m, "here", "quo\"te", "")
	for _, rooms := range [][]string{nil, {"here"}, {"there"}, {"there", "here"}, {"a", "b"}, {"quo\"te"}, {"back\\slash"}, {""}, {"é"}, {m.ID()}, {"there", ""}} {
		x := &message{kind: kindBroadcast, uid: "another", nsp: "/", target: adapter.Target{Rooms: rooms, Except: []string{"here"}},
			event: adaptertest.Event(`["]","here",{"rooms":["here"]}]`)}
		wanted := anyone(l, x.target)
		if skipped := unwantedBody(l, appendBody(nil, x)); skipped && wanted {
			t.Errorf("%q: passed over", rooms)
		} else if !skipped && !wanted && !strings.ContainsAny(strings.Join(rooms, ""), `"\`) {
			t.Errorf("%q: decoded", rooms)
		}
	}
	// In the envelope of sharded mode, with a number and without; a question is answered though nobody here is asked.
	plain := `["x",{"a":{"b":{}},"bp":[1]}]`
	for _, nsp := range []string{"/", "/x", "/with#"} {
		for _, c := range []struct {
			room, request string
			want          bool
		}{{"there", "", true}, {"here", "", false}, {"there", "q", false}} {
			x := &message{kind: kindBroadcast, uid: "another", nsp: nsp, request: c.request, target: adapter.Target{Rooms: []string{c.room}}, event: adaptertest.Event(plain)}
			b := appendEnvelope(nil, x)
			if got := unwantedEnvelope(l, nsp, b); got != c.want {
				t.Errorf("%s passed over: %v", b, got)
			}
			if b = appendNumber(b, &serial{n: 1 << 63, whole: spot{1, 2}, own: spot{3, 4}}, ""); unwantedEnvelope(l, nsp, b) != c.want {
				t.Errorf("%s passed over: %v", b, !c.want)
			}
			if unwantedEnvelope(l, "/other", b) {
				t.Errorf("%s of another namespace", b)
			}
		}
	}
	empty := &adapter.Local{}
	if x := (&message{kind: kindBroadcast, event: adaptertest.Event(`["x"]`)}); !unwantedBody(empty, appendBody(nil, x)) {
		t.Error("decoded for nobody")
	}
	for _, other := range []string{``, `{`, `{"opts":{"rooms":[`, `{"opts":{"rooms":["a`, `{"opts":{"rooms":["a"`, `{"opts":{"rooms":[1]`, `{"opts":{"rooms":["a",`,
		`{"packet":{}}`, `{"opts":{"rooms":["a" ,"here"]`} {
		if unwantedBody(l, []byte(other)) {
			t.Errorf("%q: passed over", other)
		}
	}
}
