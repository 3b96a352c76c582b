package packet

import (
	"encoding/json"
	"strings"
	"testing"
)

type message struct {
	Room string   `json:"room"`
	Text string   `json:"text"`
	Seq  int      `json:"seq"`
	Tags []string `json:"tags"`
}

var (
	chat     = message{Room: "lobby", Text: "hello to everybody in the room, how are you today?", Seq: 12345, Tags: []string{"a", "b"}}
	chatText = []byte(`2["chat",{"room":"lobby","text":"hello to everybody in the room, how are you today?","seq":12345,"tags":["a","b"]}]`)
)

// The hot paths allocate nothing, or what the result itself is.
func TestHotPathsDoNotAllocate(t *testing.T) {
	d := Text().NewDecoder(Limits{})
	handlers := map[string]int{"chat": 1}
	p := &Packet{Type: Event, Namespace: "/", Data: chatText[1:]}
	withID := &Packet{Type: Ack, Namespace: "/admin", ID: 7, HasID: true, Data: chatText[1:], Attachments: [][]byte{{1}}}
	nsp := []byte(`2/admin,12["chat",1]`)
	buf := make([]byte, 0, 4096)
	messages := make([]Message, 0, 4)
	parts := make([][]byte, 0, 8)
	args := []any{"text", 123456, 1.5, true, nil, []string{"a"}, map[string]any{"k": "v", "n": 1000}, []any{"x"}}
	raw, js := []any{json.RawMessage(chatText[1:])}, []byte(`"plain text"`)
	bin := []any{[]byte{1, 2, 3}}
	atts := make([][]byte, 0, 4)
	boxed := []any{&chat}
	float, integer, holder := []byte("12.5"), []byte("125"), []byte(`{"_placeholder":true,"num":0}`)
	var f float64
	var n int
	var b []byte
	for _, c := range []struct {
		name string
		most float64
		f    func()
	}{
		{"decode an event", 0, func() { must(d.Add(Message{Data: chatText})) }},
		{"decode an event of a namespace", 0, func() { must(d.Add(Message{Data: nsp})) }},
		{"find the name and the handler", 0, func() {
			name, err := EventName(p.Data)
			if err != nil || handlers[string(name)] != 1 {
				panic(name)
			}
		}},
		{"split", 0, func() { must(Split(parts[:0], p.Data)) }},
		{"encode an event", 0, func() { Text().Encode(messages[:0], buf, p) }},
		{"encode an acknowledgement with a binary", 0, func() { Text().Encode(messages[:0], buf, withID) }},
		{"append text", 0, func() { AppendText(buf, p) }},
		{"append an event", 0, func() { appended(AppendEvent(buf, nil, "chat", args)) }},
		{"append raw JSON", 0, func() { appended(AppendEvent(buf, nil, "chat", raw)) }},
		{"append a binary", 0, func() { appended(AppendEvent(buf, atts, "chat", bin)) }},
		{"append a struct", 1, func() { appended(AppendEvent(buf, nil, "chat", boxed)) }},
		{"append msgpack", 0, func() { must(AppendMsgpack(buf, p.Data, nil)) }},
		{"decode numbers", 0, func() { decoded(Decode(float, nil, &f)); decoded(Decode(integer, nil, &n)) }},
		{"decode a string", 2, func() { var s string; decoded(Decode(js, nil, &s)) }},
		{"decode a binary", 0, func() { decoded(Decode(holder, withID.Attachments, &b)) }},
	} {
		if got := testing.AllocsPerRun(100, c.f); got > c.most && !raceEnabled {
			t.Errorf("to %s takes %v allocations, want %v", c.name, got, c.most)
		}
	}
}

func must[T any](_ T, err error) {
	if err != nil {
		panic(err)
	}
}

func appended(_ []byte, _ [][]byte, err error) { decoded(err) }

func decoded(err error) {
	if err != nil {
		panic(err)
	}
}

func BenchmarkScan(b *testing.B) {
	large := []byte(`["chat",[` + strings.Repeat(string(chatText[9:len(chatText)-1])+",", 100) + `0]]`)
	for name, data := range map[string][]byte{"100B": chatText[1:], "11KB": large} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := scan(data, 0, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTextDecode(b *testing.B) {
	d := Text().NewDecoder(Limits{})
	b.SetBytes(int64(len(chatText)))
	b.ReportAllocs()
	for b.Loop() {
		must(d.Add(Message{Data: chatText}))
	}
}

func BenchmarkSplit(b *testing.B) {
	parts := make([][]byte, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		must(Split(parts, chatText[1:]))
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	buf := make([]byte, 0, 1024)
	for name, v := range map[string]any{
		"string": chat.Text, "int": 1000, "map": map[string]any{"room": chat.Room, "text": chat.Text, "seq": chat.Seq, "tags": chat.Tags},
		"struct": &chat, "raw": json.RawMessage(chatText[9 : len(chatText)-1]), "unicode": strings.Repeat("žluťoučký kůň ", 4), "bytes": []byte{1, 2},
		"gin.H": object{"room": chat.Room, "seq": chat.Seq}, "structWithInterface": struct{ Value any }{chat},
	} {
		b.Run(name, func(b *testing.B) {
			args := []any{v}
			b.ReportAllocs()
			for b.Loop() {
				appended(AppendEvent(buf, nil, "chat", args))
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	raw := chatText[9 : len(chatText)-1]
	b.Run("struct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var m message
			decoded(Decode(raw, nil, &m))
		}
	})
	b.Run("any", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v any
			decoded(Decode(raw, nil, &v))
		}
	})
	b.Run("string", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var s string
			decoded(Decode([]byte(`"hello to everybody in the room"`), nil, &s))
		}
	})
}

func BenchmarkMsgpack(b *testing.B) {
	packed, err := AppendMsgpack(nil, chatText[1:], nil)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 1024)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(AppendMsgpack(buf, chatText[1:], nil))
		}
	})
	b.Run("from", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, _, err := FromMsgpack(packed, Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
