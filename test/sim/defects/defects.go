// Package defects has faults to plant in Beanpole, to prove that the simulation finds each. They are patches that
// the build of the world applies to copies of the files: nothing of them is in the product.
package defects

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/beanpole/beanpole/test/sim/plan"
)

// Defect is one fault.
type Defect struct {
	Name string
	Mode string // in which it can be seen, of plan.Modes
	// Faults are those without which it cannot be seen; no others happen.
	Faults []string
	File   string // of the project
	// Old is replaced by New, in which on("name", n) is true every n-th time when the defect is wanted.
	Old, New string
}

// Plan is a run in which the defect is looked for, with the first seed: that of starts, or 0.
func (d Defect) Plan() plan.Plan {
	p := starts[d.Name]
	p.Mode, p.Faults, p.Defect = d.Mode, append([]string{}, d.Faults...), d.Name
	p.Masters = max(1, p.Masters)
	return p
}

// starts are what runs have in which defects are found that need much luck in others: where to begin, or more of something.
var starts = map[string]plan.Plan{
	"room-index":     {Clients: 40, Seconds: 8}, // rooms above adapter.indexAbove
	"master-kept":    {Masters: 3},
	"slot-kept":      {Masters: 3},
	"put-out-back":   {Seed: 19},
	"room-stays":     {Seed: 18}, // runs in which it is counted what servers hold
	"trail-stays":    {Seed: 18},
	"vault-stays":    {Seed: 18},
	"asked-stays":    {Seed: 6},
	"question-stays": {Seed: 6},
	"lane-stays":     {Seed: 6},
}

// All are all of them.
var All = slices.Concat(ofServers, ofClients, ofCalls, ofEnds, ofWords, ofLeft, ofReach, ofForms)

// ofServers are faults of what servers keep, send and tell each other.
var ofServers = []Defect{
	{"event-lost", "memory", nil, "server/local.go", "if s.gone() {", `if s.gone() || on("event-lost", 100) {`},
	{"event-twice", "memory", nil, "server/local.go", "\t\t\t\tsessions[n] = s.client.session\n",
		"\t\t\t\tif n < 15 && on(\"event-twice\", 100) {\n\t\t\t\t\tsessions[n] = s.client.session\n\t\t\t\t\tn++\n\t\t\t\t}\n\t\t\t\tsessions[n] = s.client.session\n"},
	{"event-late", "memory", nil, "server/local.go", "\t\t\t_ = session.SendPrepared(opts, prepared) //",
		"\t\t\tif on(\"event-late\", 50) {\n\t\t\t\tlater(func() { _ = session.SendPrepared(opts, prepared) })\n\t\t\t\tcontinue\n\t\t\t}\n\t\t\t_ = session.SendPrepared(opts, prepared) //"},
	{"except-ignored", "memory", nil, "adapter/select.go", "if len(t.Except) == 0 || len(dst) == start {",
		`if len(t.Except) == 0 || len(dst) == start || on("except-ignored", 3) {`},
	{"leave-forgotten", "memory", nil, "adapter/rooms.go", "if x == nil || !x.remove(m) {", `if x == nil || on("leave-forgotten", 10) || !x.remove(m) {`},
	{"ack-lost", "memory", nil, "server/event.go", "\tif a.sent.Swap(true) {", "\tif a.sent.Swap(true) || on(\"ack-lost\", 10) {"},
	{"ack-twice", "memory", nil, "server/event.go", "\tsendErr := s.send(", "\tif on(\"ack-twice\", 30) {\n\t\t_ = s.send(transport.SendOptions{}, &o.packet)\n\t}\n\tsendErr := s.send("},
	{"before-connect", "streams+", nil, "server/hold.go", "\tcase h.over:\n", "\tcase h.over || on(\"before-connect\", 2):\n"},
	{"disconnect-lost", "memory", nil, "server/run.go", "h.leaving() {", `h.leaving() && !on("disconnect-lost", 10) {`},
	{"upgrade-loses", "memory", nil, "transport/upgrade.go", "range s.takeWaiting() {", `range without(on("upgrade-loses", 1), s.takeWaiting()) {`},
	{"session-left", "memory", nil, "transport/session.go", "\ts.srv.sessions = s.srv.had.Delete(s.srv.sessions, s.sid)", "\tif !on(\"session-left\", 5) {\n\t\ts.srv.sessions = s.srv.had.Delete(s.srv.sessions, s.sid)\n\t}"},
	{"stream-lost", "streams", nil, "adapter/redis/reader.go", "if !r.fresh(ctx, b) {", `if !r.fresh(ctx, b) || on("stream-lost", 60) {`},
	{"replay-lost", "streams+", nil, "adapter/redis/recovery.go", "if have.has(e.uid, e.seq) || ", `if on("replay-lost", 5) || have.has(e.uid, e.seq) || `},
	{"replay-wrong", "streams+", nil, "adapter/redis/line.go", "if !have.has(e.uid, e.seq) && s.Missed(&e.t, e.after) && !replayed(&e) {\n\t\t\t\treplay(", "if on(\"replay-wrong\", 1) || !have.has(e.uid, e.seq) && s.Missed(&e.t, e.after) {\n\t\t\t\treplay("},
	{"saved-late", "streams+", []string{plan.Cut}, "adapter/redis/former.go", "\t\tsilent = n.takeOver(ctx, adapter.SocketID(pid), forGood) //", "\t\tif !on(\"saved-late\", 1) {\n\t\t\tsilent = n.takeOver(ctx, adapter.SocketID(pid), forGood)\n\t\t} //"},
	{"hold-lost", "streams+", nil, "server/hold.go", "x.p != nil && s.client", "x.p != nil && !on(\"hold-lost\", 5) && s.client"},
	{"log-lost", "memory+", []string{plan.Cut}, "adapter/log.go", "if s.Missed(&e.t, isAfter) {", `if s.Missed(&e.t, isAfter) && !on("log-lost", 5) {`},
	{"join-forgotten", "memory", nil, "adapter/rooms.go", "\t\tx.add(m)\n\t\tr.joined", "\t\tif !on(\"join-forgotten\", 10) {\n\t\t\tx.add(m)\n\t\t}\n\t\tr.joined"},
	{"event-dropped", "memory", nil, "server/run.go", "\t\ts.event(it.event, &it.since)\n", "\t\tif !on(\"event-dropped\", 30) {\n\t\t\ts.event(it.event, &it.since)\n\t\t}\n"},
	{"panic-escapes", "memory", []string{plan.Handlers}, "server/guard.go", "\tif v := recover(); v != nil {\n", "\tif v := recover(); v != nil {\n\t\tif on(\"panic-escapes\", 1) {\n\t\t\tpanic(v)\n\t\t}\n"},
	{"heartbeat-lost", "memory", []string{plan.Cut}, "transport/heartbeat.go", "\t\ts.end(ReasonPingTimeout, errPingTimeout)", "\t\tif on(\"heartbeat-lost\", 1) {\n\t\t\treturn\n\t\t}\n\t\ts.end(ReasonPingTimeout, errPingTimeout)"},
	{"old-length", "memory", nil, "transport/payload3.go", "int64(1+utf16Len(p.data)), 10)", `int64(1+utf16Len(p.data)+more(on("old-length", 20))), 10)`},
	{"old-id", "sharded", nil, "adapter/redis/sharded.go", "private && utf16Length(room) == idLength", `private && (on("old-id", 1) || utf16Length(room) == idLength)`},
	{"published-twice", "pubsub", nil, "adapter/redis/link.go", "\t\t\tl.bus.deliver(s, m.Channel, payload)", "\t\t\t\tif on(\"published-twice\", 40) {\n\t\t\t\t\tl.bus.deliver(s, m.Channel, payload)\n\t\t\t\t}\n\t\t\t\tl.bus.deliver(s, m.Channel, payload)"},
	{"never-asked", "pubsub", []string{plan.RedisCut}, "adapter/redis/question.go", "\tnow := time.Now()\n\tb.wake()\n", "\tnow := time.Now()\n\tif on(\"never-asked\", 1) {\n\t\treturn\n\t}\n\tb.wake()\n"},
	{"ring-short", "pubsub", []string{plan.RedisBar}, "adapter/redis/ring.go", "\tif len(p.list) == 0 && !since.IsZero() {", "\tif k := len(p.list); k > 0 && on(\"ring-short\", 1) {\n\t\tp.list = p.list[:k-1]\n\t}\n\tif len(p.list) == 0 && !since.IsZero() {"},
	{"tail-short", "pubsub", []string{plan.RedisCut}, "adapter/redis/ring.go", "ending{key: key, n: e.out, count: e.outs}", "ending{key: key, n: e.out - 1 + uint64(len(without(on(\"tail-short\", 1), []byte{1}))), count: e.outs}"},
	{"answer-astray", "pubsub", []string{plan.RedisCut}, "adapter/redis/letters.go", "\tl.piece(id, &p)\n\tk.send(uid+\"#\", l, nil)", "\tl.piece(id, &p)\n\tk.send(uid[more(on(\"answer-astray\", 1)):]+\"#\", l, nil)"},
	{"duplicate-kept", "pubsub", []string{plan.RedisCut}, "adapter/redis/gap.go", "\tcase a.n <= g.last:\n", "\tcase a.n <= g.last && !on(\"duplicate-kept\", 1):\n"},
	{"lost-uncounted", "pubsub", []string{plan.RedisCut, plan.Kill}, "adapter/redis/ends.go", "\tb.c.stats.lost[cause].Add(n)\n\tb.mu.Lock()\n", "\tif on(\"lost-uncounted\", 1) {\n\t\treturn\n\t}\n\tb.c.stats.lost[cause].Add(n)\n\tb.mu.Lock()\n"},
	{"number-twice", "pubsub", nil, "adapter/redis/ring.go", "\tr.n++\n", "\tr.n += uint64(1 - more(on(\"number-twice\", 60)))\n"},
	{"rooms-unsaid", "sharded", []string{plan.RedisBar}, "adapter/redis/ring.go", "if e := r.lanes[x.key]; e != nil && e.out >= x.n {", "if e := r.lanes[x.key]; e != nil && e.out >= x.n && !on(\"rooms-unsaid\", 1) {"},
	{"break-ignored", "sharded", []string{plan.RedisBar}, "adapter/redis/inbox.go", "\tfor uid, keys := range ask {\n", "\tif on(\"break-ignored\", 1) {\n\t\treturn\n\t}\n\tfor uid, keys := range ask {\n"},
	{"held-swallowed", "sharded", []string{plan.RedisCut}, "adapter/redis/gap.go", "if a := g.held[k]; a.n > g.last {", "if a := g.held[k]; a.n > g.last && on(\"held-swallowed\", 1) {\n\t\t\tg.last, g.count = a.n, a.spot.count\n\t\t} else if a.n > g.last {"},
	{"query-short", "streams", nil, "server/local.go", "\tout := make([]adapter.Details, len(of))\n", "\tof = without(on(\"query-short\", 5), of)\n\tout := make([]adapter.Details, len(of))\n"},
	{"forward-refused", "pubsub", []string{plan.Stray}, "adapter/redis/forward.go", "\tcase at.addr == \"\":\n", "\tcase at.addr == \"\" || on(\"forward-refused\", 10):\n"},
	{"forward-twice", "pubsub", []string{plan.Stray}, "adapter/redis/forward.go", "\tf.proxy.ServeHTTP(upgradable{w}, ", "\tif r.Method == \"GET\" && r.Header.Get(\"Upgrade\") == \"\" && on(\"forward-twice\", 10) {\n\t\tf.proxy.ServeHTTP(toNobody{}, r.WithContext(ctx))\n\t}\n\tf.proxy.ServeHTTP(upgradable{w}, "},
	{"key-stays", "streams", nil, "adapter/redis/registry.go", `Set(ctx, r.key(r.node), gone, staleFor)`, `Set(ctx, r.key(r.node), gone, staleFor*time.Duration(1-more(on("key-stays", 1))))`},
	{"goroutine-left", "pubsub", nil, "adapter/redis/cluster.go", "\tc.startPublisher()\n", "\tif on(\"goroutine-left\", 1) {\n\t\tgo func() { select {} }()\n\t}\n\tc.startPublisher()\n"},
	{"ack-waits", "memory", nil, "server/socket.go", "\tfor _, id := range slices.Sorted(maps.Keys(acks)) {", "\tif on(\"ack-waits\", 1) {\n\t\tacks = nil\n\t}\n\tfor _, id := range slices.Sorted(maps.Keys(acks)) {"},
	{"packed-ack", "memory", []string{plan.Handlers}, "server/queue.go", "e.ack.socket, e.ack.id = s, id-1", `e.ack.socket, e.ack.id = s, id-1+uint64(more(on("packed-ack", 1)))`},
	{"room-index", "memory", nil, "adapter/rooms.go", "\t\tr.index[moved] = int32(i)\n", "\t\tif !on(\"room-index\", 1) {\n\t\t\tr.index[moved] = int32(i)\n\t\t}\n"},
	{"data-lost", "memory+", []string{plan.Cut}, "server/recover.go", "\ts.Data.restore(session.Data)\n", "\tif !on(\"data-lost\", 1) {\n\t\ts.Data.restore(session.Data)\n\t}\n"},
	{"drain-forgets", "streams+", []string{plan.Drain}, "server/reasons.go", "&& r != ReasonParseError", `&& r != ReasonParseError && (r != ReasonServerShuttingDown || !on("drain-forgets", 1))`},
	{"forward-upgrade", "pubsub", []string{plan.Stray}, "adapter/redis/forward.go", "if len(r.Header[forwardedHeader]) > 0 {", `if len(r.Header[forwardedHeader]) > 0 || r.Header.Get("Upgrade") != "" && on("forward-upgrade", 1) {`},
	{"query-except", "pubsub", nil, "adapter/redis/receive.go", "\tcase kindFetch:\n", "\tcase kindFetch:\n\t\tif on(\"query-except\", 1) {\n\t\t\tm.target.Except = nil\n\t\t}\n"},
	{"acks-silent", "pubsub", nil, "adapter/redis/requests.go", "\tp := &adapter.PartialError{Err: err, ", "\tif r.kind == kindBroadcast && on(\"acks-silent\", 1) {\n\t\treturn nil\n\t}\n\tp := &adapter.PartialError{Err: err, "},
	{"old-mixed", "memory", nil, "transport/payload3.go", "int64(1+len(p.data)), 10)", `int64(1+len(p.data)-more(!p.binary && on("old-mixed", 1))*(len(p.data)-utf16Len(p.data))), 10)`},
	{"leaving-second", "memory", nil, "server/socket.go", "\t\tfn, h.disconnected = h.disconnected[0], h.disconnected[1:]\n", "\t\tfn, h.disconnected = h.disconnected[0], h.disconnected[1:]\n\t\tif on(\"leaving-second\", 1) {\n\t\t\th.disconnected = nil\n\t\t}\n"},
	{"refused-stays", "memory", nil, "server/connect.go", "\t\ts.nsp.release()\n\t\treturn 0\n", "\t\tif !on(\"refused-stays\", 1) {\n\t\t\ts.nsp.release()\n\t\t}\n\t\treturn 0\n"},
}

// support is what the patches use, a file of each package that has any.
const support = `package %s

import (
	"bytes"
	"net/http"
	"os"
	"time"
)

var (
	plantedName = os.Getenv("SIM_DEFECT")
	plantedTimes int
)

func on(name string, every int) bool {
	if name != plantedName {
		return false
	}
	plantedTimes++
	return plantedTimes%%every == 0
}

func more(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// toNobody is where an answer goes that nobody gets.
type toNobody struct{}

func (toNobody) Header() http.Header           { return http.Header{} }
func (toNobody) Write(b []byte) (int, error)   { return len(b), nil }
func (toNobody) WriteHeader(int)               {}

// await waits until something is so, five seconds at most.
func await(ok func() bool) {
	for i := 0; i < 500 && !ok(); i++ {
		time.Sleep(10 * time.Millisecond)
	}
}

func later(fn func()) { time.AfterFunc(300*time.Millisecond, fn) }

// emptied is an event whose last argument, a text, is empty.
func emptied(yes bool, data []byte) []byte {
	i := bytes.LastIndex(data, []byte(",\""))
	if !yes || i < 0 || !bytes.HasSuffix(data, []byte("\"]")) {
		return data
	}
	return append(data[:i:i], ",\"\"]"...)
}

// behind is a list with some of what is in it behind the rest.
func behind[T any](list []T, late func(T) bool) (out []T) {
	for _, last := range []bool{false, true} {
		for _, x := range list {
			if late(x) == last {
				out = append(out, x)
			}
		}
	}
	return out
}

func without[T any](lose bool, list []T) []T {
	if lose && len(list) > 0 {
		return list[1:]
	}
	return list
}
`

// Overlay writes the patched files below dir, and returns the file that go build -overlay takes. root is the
// project's folder.
func Overlay(root, dir string) (string, error) {
	replace := map[string]string{}
	write := func(file, text string) error {
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "_")+".txt") // no Go package of the project
		replace[filepath.Join(root, file)] = to
		return replaced(to, text)
	}
	texts := map[string]string{}
	for _, d := range All {
		text, ok := texts[d.File]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, d.File))
			if err != nil {
				return "", err
			}
			text = string(b)
		}
		if n := strings.Count(text, d.Old); n != 1 {
			return "", fmt.Errorf("defect %s: %s has %q %d times", d.Name, d.File, d.Old, n)
		}
		texts[d.File] = strings.Replace(text, d.Old, d.New, 1)
	}
	for file, text := range texts {
		if err := write(file, text); err != nil {
			return "", err
		}
		folder := filepath.Dir(file)
		if err := write(folder+"/planted.go", fmt.Sprintf(support, filepath.Base(folder))); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, replaced(name, string(b))
}

// replaced writes a file unless it is as it is to be: another build may read it.
func replaced(name, text string) error {
	if b, err := os.ReadFile(name); err == nil && string(b) == text {
		return nil
	}
	beside := fmt.Sprintf("%s.%d", name, os.Getpid())
	if err := os.WriteFile(beside, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(beside, name)
}
