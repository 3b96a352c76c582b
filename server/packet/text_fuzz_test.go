package packet

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// Whatever comes, the decoder gives a packet that keeps the promises of Packet, or an error, and
// keeps to its limits.
func FuzzTextDecoder(f *testing.F) {
	g := readGolden(f)
	for _, c := range g.Golden {
		f.Add(c.Text[0], []byte{1}, []byte(`2["next"]`))
	}
	for _, c := range g.Texts {
		f.Add([]byte(c.Text), []byte{}, []byte(`51-["a",{"_placeholder":true,"num":0}]`))
	}
	f.Fuzz(func(t *testing.T, first, binary, last []byte) {
		lim := Limits{MaxAttachments: 3, MaxAttachmentBytes: 100}
		d := Text().NewDecoder(lim)
		for _, m := range []Message{{Data: first}, {Data: binary, Binary: true}, {Data: binary, Binary: true}, {Data: last}} {
			p, err := d.Add(m)
			if err != nil {
				if p != nil || d.Pending() {
					t.Fatalf("%q: error %v with %+v, pending %v", m.Data, err, p, d.Pending())
				}
				continue
			}
			if (p == nil) != d.Pending() {
				t.Fatalf("%q: packet %+v, pending %v", m.Data, p, d.Pending())
			}
			if p != nil {
				check(t, p, lim)
			}
		}
	})
}

func check(t *testing.T, p *Packet, lim Limits) {
	t.Helper()
	if p.Type > ConnectError || p.Namespace == "" || p.Namespace[0] != '/' || !utf8.ValidString(p.Namespace) || p.ID > maxID || !p.HasID && p.ID != 0 {
		t.Fatalf("packet %+v", p)
	}
	if p.Data != nil && (!json.Valid(p.Data) || !utf8.Valid(p.Data)) || p.Data == nil && (p.Type == Event || p.Type == Ack) {
		t.Fatalf("payload %q of %+v", p.Data, p)
	}
	if len(p.Attachments) > lim.MaxAttachments || checkPlaceholders(p.Data, len(p.Attachments)) != nil && len(p.Attachments) > 0 {
		t.Fatalf("attachments of %+v", p)
	}
	elements, err := Split(nil, p.Data)
	if p.Type == Event {
		if name, err := EventName(p.Data); err != nil || Reserved(string(name)) {
			t.Fatalf("event %q, %v", p.Data, err)
		}
	}
	if p.Type == Event || p.Type == Ack {
		if err != nil {
			t.Fatalf("Split(%q): %v", p.Data, err)
		}
		for _, e := range elements {
			var ours, theirs any
			if err := Decode(e, nil, &ours); err != nil {
				t.Fatalf("Decode(%q): %v", e, err)
			}
			if json.Unmarshal(e, &theirs) == nil && !reflect.DeepEqual(ours, theirs) {
				t.Fatalf("Decode(%q) = %#v, want %#v", e, ours, theirs)
			}
		}
	}
	sent := *p
	again := roundTrip(t, Text(), &sent)
	if !reflect.DeepEqual(*again, sent) {
		t.Fatalf("%+v comes back as %+v", sent, again)
	}
}

func roundTrip(t interface{ Fatalf(string, ...any) }, parser Parser, p *Packet) *Packet {
	d := parser.NewDecoder(Limits{MaxAttachments: 100})
	var got *Packet
	for _, m := range parser.Encode(nil, nil, p) {
		var err error
		if got, err = d.Add(Message{Data: bytes.Clone(m.Data), Binary: m.Binary}); err != nil {
			t.Fatalf("%+v: message %q: %v", p, m.Data, err)
		}
	}
	if got == nil {
		t.Fatalf("%+v is not complete", p)
	}
	return got
}

// values generates what a client could send, with binaries.
func values(depth int) *rapid.Generator[any] {
	leaf := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.String().AsAny(), rapid.SliceOf(rapid.Byte()).AsAny(),
		rapid.Float64().Filter(func(f float64) bool { return f-f == 0 && f != 0 }).AsAny(),
		rapid.Map(rapid.Int32(), func(n int32) float64 { return float64(n) }).AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(leaf...)
	}
	return rapid.OneOf(append(leaf,
		rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return values(depth - 1) }), 0, 4).AsAny(),
		rapid.MapOfN(rapid.String(), rapid.Deferred(func() *rapid.Generator[any] { return values(depth - 1) }), 0, 4).AsAny())...)
}

// Values come back as they were sent, through both forms.
func TestValuesComeBack(t *testing.T) {
	for name, parser := range map[string]Parser{"text": Text(), "msgpack": MsgPack()} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				event := rapid.String().Filter(func(s string) bool { return !Reserved(s) }).Draw(t, "event")
				args := rapid.SliceOfN(values(3), 0, 4).Draw(t, "args")
				p := &Packet{Type: Event, Namespace: rapid.StringMatching(`/[a-z]*`).Draw(t, "nsp"), HasID: rapid.Bool().Draw(t, "hasID")}
				if p.HasID {
					p.ID = rapid.Uint64Max(maxID).Draw(t, "id")
				}
				var err error
				if p.Data, p.Attachments, err = AppendEvent(nil, nil, event, args); err != nil {
					t.Fatal(err)
				}
				got := roundTrip(t, parser, p)
				if got.Type != Event || got.Namespace != p.Namespace || got.ID != p.ID || got.HasID != p.HasID {
					t.Fatalf("%+v comes back as %+v", p, got)
				}
				if name, err := EventName(got.Data); err != nil || string(name) != event {
					t.Fatalf("event %q comes back as %q, %v", event, name, err)
				}
				elements, err := Split(nil, got.Data)
				if err != nil || len(elements) != len(args)+1 {
					t.Fatalf("%d arguments in %q, %v", len(elements)-1, got.Data, err)
				}
				for i, want := range args {
					var back any
					if err := Decode(elements[i+1], got.Attachments, &back); err != nil || !reflect.DeepEqual(back, want) {
						t.Fatalf("%#v comes back as %#v, %v", want, back, err)
					}
				}
			})
		})
	}
}
