package contract

import (
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/contract"
	"github.com/beanpole/beanpole/server/servertest"
)

// open is a shop whose handlers do something.
func open(io *server.Server) {
	io.On("order", func(l Line) (Receipt, error) {
		if l.Count == 0 {
			return Receipt{}, errors.New("nothing is ordered")
		}
		return Receipt{Price: 1.5 * float64(l.Count), Status: "cooking"}, nil
	})
	io.On("total", func(of ...float64) float64 { return of[0] })
	io.On("mark", func(label string, at ...int) error { return nil })
	io.On("later", func(text string, ack server.Ack) { _ = ack(text, 2) })
	io.On("menu", func(Path) Record {
		return Record{Menus: map[string]Menu{"lunch": {"soup": nil}}, Place: &Place{Table: 3}}
	})
	io.On("ping", func(p Ping) Ping { return p })
	io.Sends(news, photo, tick, ready)
	io.On("tell", func(s *server.Socket) (bool, error) {
		err := errors.Join(news.Emit(s, Article{Title: "beans", At: time.Now(), Tags: []string{"food"}}), photo.Emit(s, []byte{1, 2}),
			s.Emit(tick.Event(), "BEAN", int64(1700000000000), 128.4))
		answer, asked := s.EmitWithAck(s.Context(), ready.Event())
		var is bool
		return is, errors.Join(err, asked, answer.Decode(0, &is))
	})
}

// message is what has gone over the wire, or could have: the arguments of an event, or the values of its acknowledgement.
type message struct {
	Channel string `json:"channel"`
	Action  string `json:"action"` // of the server
	Event   string `json:"event"`
	Answer  bool   `json:"answer"`
	Values  any    `json:"values"`
	Fits    bool   `json:"fits"`
}

// spoken has a client use the whole of a shop, and returns all that has gone over the wire.
func spoken(t *testing.T, io *server.Server) (all []message) {
	t.Helper()
	c := servertest.Connect(t, io)
	c.On(ready.Event(), func() bool { return true })
	values := func(a client.Args) []any { return append([]any{}, a.Values()...) } // none are a list too
	for _, e := range []struct {
		event string
		args  []any
	}{
		{"order", []any{Line{Item: "beans", Count: 2, Photo: []byte{1}, Notes: map[string]string{"no": "salt"}}}},
		{"order", []any{Line{}}}, // nulls, and a failure
		{"total", []any{1.5, 2.0, 3.0}},
		{"mark", []any{"start"}},
		{"mark", []any{"end", 1, 2}},
		{"later", []any{"text"}},
		{"menu", []any{Path{{"lunch": nil}, nil}}},
		{"ping", []any{Ping{}}},
		{"tell", []any{}},
	} {
		answer, err := c.EmitWithAck(t.Context(), e.event, e.args...)
		if err != nil {
			t.Fatalf("%s: %v", e.event, err)
		}
		all = append(all, message{"main", "receive", e.event, false, e.args, true}, message{"main", "receive", e.event, true, values(answer), true})
	}
	for _, event := range []string{"news", "photo", "tick"} {
		all = append(all, message{"main", "send", event, false, values(c.ExpectArgs(event)), true})
	}
	return append(all, message{"main", "send", "ready?", false, []any{}, true}, message{"main", "send", "ready?", true, []any{true}, true})
}

// TestAsyncAPIDescribesTheWire has AsyncAPI's own parser read the document of the shop, and holds what goes over the wire against the
// schemas; and what does not fit the handlers, which must not fit these.
func TestAsyncAPIDescribesTheWire(t *testing.T) {
	install(t)
	var document []byte
	var wire []message
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		open(io)
		var err error
		if document, err = io.Contract().AsyncAPI(contract.Info{Title: "shop", Version: "1.0.0"}); err != nil {
			t.Fatal(err)
		}
		wire = spoken(t, io)
	})
	for event, bad := range map[string][]any{
		"order": {map[string]any{"item": "beans", "count": "two", "photo": nil, "notes": nil}},
		"total": {1.5, "two"},
		"mark":  {},
		"menu":  {[]any{"lunch"}},
		"tell":  {1},
	} {
		wire = append(wire, message{"main", "receive", event, false, bad, false})
	}
	wire = append(wire, message{"main", "receive", "order", true, []any{map[string]any{"price": 1, "status": "eaten"}}, false},
		message{"main", "send", "tick", false, []any{"BEAN", 1.5, 128.4}, false}, message{"main", "send", "news", false, []any{}, false})
	look(t, document, wire)

	whole := servertest.Server(t, server.Config{})
	shop(whole) // several namespaces, and any arguments
	document, err := whole.Contract().AsyncAPI(contract.Info{Title: "shop", Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	look(t, document, []message{{"AB", "receive", "dash", false, []any{"x"}, true}, {"AB2", "receive", "line", false, []any{1}, false},
		{"main", "receive", "raw", false, []any{1, "two", nil}, true}, {"main", "receive", "sum", false, []any{1, 2}, false},
		{"main", "receive", "sum", false, []any{1, 2, 3}, true}, {"main", "receive", "sum", false, []any{1, 2, 3, 4}, false}})
}

// look fails for what is wrong with a document, or with what has gone over the wire by it.
func look(t *testing.T, document []byte, wire []message) {
	t.Helper()
	in, err := json.Marshal(map[string]any{"document": json.RawMessage(document), "wire": wire})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "asyncapi.mjs")
	cmd.Stdin = strings.NewReader(string(in))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
