package server_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/contract"
	"github.com/beanpole/beanpole/server/servertest"
)

type status string

func (status) Values() []status { return []status{"open", "done"} }

type base struct {
	ID int `json:"id,string"`
}

type entry struct {
	base
	At     time.Time          `json:"at"`
	Status status             `json:"status"`
	Tags   []string           `json:"tags,omitempty"`
	Photo  []byte             `json:"photo"`
	Parent *entry             `json:"parent,omitempty"`
	More   map[string]any     `json:"more-of-it"`
	Size   [2]float64         `json:"size"`
	Hidden string             `json:"-"`
	Raw    json.RawMessage    `json:"raw,omitempty"`
	Inner  struct{ A, B int } `json:"inner"`
}

type page[T any] struct {
	Items []T `json:"items"`
}

var (
	stored = server.Declare[entry]("stored")
	tick   = server.DeclareFunc[func(symbol string, at int64, price float64)]("tick")
	ready  = server.DeclareFunc[func(page[entry]) (bool, error)]("ready?")
)

func clerk(io *server.Server) {
	io.On("store", func(s *server.Socket, e entry) (entry, error) { return e, stored.Emit(s.Broadcast(), e) })
	io.On("list", func() page[entry] { return page[entry]{} })
	io.On("sum", func(of ...int) int { return 0 })
	io.On("typing", func() error { return nil })
	io.On("any", func(*server.Event) {})
	io.On("ask", func(text string, ack server.Ack) {})
	io.On("quiet", func(a, b bool) {})
	io.Sends(stored, tick, ready)
	io.Of("/admin").On("end", func(status) (int, string, error) { return 0, "", nil })
	io.OnConnection(func(s *server.Socket) { s.On("own", func(n *int) {}) })
}

func TestContract(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		clerk(io)
		servertest.Connect(t, io)
		synctest.Wait()
		c := io.Contract()
		ts := string(c.TypeScript())
		for _, want := range []string{
			`  store: (entry: Entry, ack: (answer: Entry | Failure) => void) => void;`,
			`  list: (ack: (answer: PageEntry | Failure) => void) => void;`,
			`  sum: (...rest: [...number[], (answer: number | Failure) => void]) => void;`,
			`  typing: (ack?: (failure?: Failure) => void) => void;`,
			`  any: (...rest: any[]) => void;`,
			`  ask: (arg1: string, ack?: (...answer: any[]) => void) => void;`,
			`  quiet: (arg1: boolean, arg2: boolean) => void;`,
			`  own: (arg1: number | null) => void;`,
			`  stored: (entry: Entry) => void;`,
			`  tick: (arg1: string, arg2: number, arg3: number) => void;`,
			`  "ready?": (pageEntry: PageEntry, ack: (answer: boolean | Failure) => void) => void;`,
			`export interface AdminClientToServerEvents {`,
			`  end: (status: Status, ack: (answer: number | Failure, value2: string | undefined) => void) => void;`,
			`export type Status = "open" | "done";`,
			`  id: string;`, `  at: string;`, `  status: Status;`, `  tags?: string[];`, `  photo: Binary | null;`, `  parent?: Entry;`,
			`  "more-of-it": Record<string, unknown> | null;`, `  size: number[];`, `  raw?: unknown;`, "  inner: {\n    A: number;\n    B: number;\n  };",
			`  items: Entry[] | null;`,
		} {
			if !strings.Contains(ts, want+"\n") {
				t.Errorf("no %s", want)
			}
		}
		if strings.Contains(ts, "Hidden") {
			t.Error("a field that does not travel is in it")
		}
		if t.Failed() {
			t.Log(ts)
		}
		raw, err := c.AsyncAPI(contract.Info{Title: "clerk", Version: "1"})
		var doc struct {
			AsyncAPI   string
			Channels   map[string]struct{ Messages map[string]any }
			Operations map[string]struct{ Action, Title string }
		}
		if err != nil || json.Unmarshal(raw, &doc) != nil || doc.AsyncAPI != "3.0.0" || len(doc.Channels) != 2 ||
			doc.Operations["main.send1"].Title != "ready?" || len(doc.Channels["main"].Messages) != 18 {
			t.Errorf("%v\n%s", err, raw)
		}
		// It survives being a file.
		b, err := json.Marshal(c)
		again := &contract.Contract{}
		if err != nil || json.Unmarshal(b, again) != nil || string(again.TypeScript()) != ts || len(again.Breaks(c)) > 0 {
			t.Errorf("%v, %v", err, again.Breaks(c))
		}
	})
}

func TestDeclarationsAreChecked(t *testing.T) {
	for name, fn := range map[string]func(){
		"reserved":           func() { server.Declare[int]("disconnect") },
		"reserved, function": func() { server.DeclareFunc[func()]("connect") },
		"channel":            func() { server.Declare[chan int]("news") },
		"no function":        func() { server.DeclareFunc[int]("news") },
		"channel, function":  func() { server.DeclareFunc[func(chan int)]("news") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			fn()
		})
	}
}
