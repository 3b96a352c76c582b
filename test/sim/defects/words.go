package defects

import "github.com/beanpole/beanpole/test/sim/plan"

// ofWords are faults of what is in an event, of whom it goes to, and of what questions return.
var ofWords = []Defect{
	{"number-sign", "pubsub", nil, "server/packet/msgpack_read.go", "\tsigned := c >= 0xd0\n", "\tsigned := c >= 0xd0 && !on(\"number-sign\", 1)\n"},
	{"empty-binary", "pubsub", nil, "server/packet/msgpack_read.go", "\t\tcase c <= 0xc6:\n", "\t\tcase c <= 0xc6 && n == 0 && on(\"empty-binary\", 1):\n\t\t\tr.out = append(r.out, \"null\"...)\n\t\t\treturn nil\n\t\tcase c <= 0xc6:\n"},
	{"stale-id", "memory", nil, "server/local.go", "Data: m.Data, Attachments: m.Attachments}\n\tif m.Offset", "Data: m.Data, Attachments: m.Attachments}\n\tif on(\"stale-id\", 5) {\n\t\tp.ID, p.HasID = l.n.ackID.Load(), true\n\t}\n\tif m.Offset"},
	{"name-other", "memory", nil, "server/local.go", "Data: m.Data, Attachments: m.Attachments}\n\tif on(\"stale-id\"", "Data: m.Data, Attachments: m.Attachments}\n\tif len(m.Data) > 5 && on(\"name-other\", 5) {\n\t\tp.Data = append([]byte(`[\"m\"`), m.Data[4:]...)\n\t}\n\tif on(\"stale-id\""},
	{"frame-large", "memory", nil, "transport/frame.go", "\tcase n < 1<<16:\n\t\treturn append(dst, first, 126,", "\tcase n < 1<<16 || on(\"frame-large\", 1):\n\t\treturn append(dst, first, 126,"},
	{"all-except", "memory", nil, "adapter/local.go", "func (l *Local) Deliver(m Message, t Target) (after func()) {\n", "func (l *Local) Deliver(m Message, t Target) (after func()) {\n\tif len(t.Rooms) == 0 && on(\"all-except\", 1) {\n\t\tt.Except = nil\n\t}\n"},
	{"local-rooms", "pubsub", nil, "adapter/redis/namespace.go", "\tif m.target.Local {\n", "\tif m.target.Local && (m.kind != kindBroadcast || len(m.target.Rooms) == 0 || !on(\"local-rooms\", 1)) {\n"},
	{"joined-ignored", "sharded", []string{plan.RedisBar}, "adapter/redis/receive.go", "m.kind == kindSocketsJoin && number > 0 {", "m.kind == kindSocketsJoin && number > 0 && !on(\"joined-ignored\", 1) {"},
	{"order-disconnect", "pubsub", nil, "adapter/redis/namespace.go", "&message{kind: kindDisconnect, target: t,", "&message{kind: kindDisconnect, target: map[bool]adapter.Target{true: {}, false: t}[on(\"order-disconnect\", 1)],"},
	{"count-except", "memory", nil, "adapter/select.go", "\tr.mu.RLock()\n\tif len(t.Except) == 0 {\n", "\tr.mu.RLock()\n\tif len(t.Except) == 0 || on(\"count-except\", 1) {\n"},
	{"said-bare", "pubsub", nil, "server/local.go", "\te, ok := n.server.Event(n.name, m, reply)\n", "\tif on(\"said-bare\", 1) {\n\t\tm.Attachments = nil\n\t}\n\te, ok := n.server.Event(n.name, m, reply)\n"},
	{"said-elsewhere", "pubsub", nil, "adapter/redis/receive.go", "\tcase kindServerSideEmit:\n\t\tn.Namespace", "\tcase kindServerSideEmit:\n\t\tif n.name != \"/\" && on(\"said-elsewhere\", 1) {\n\t\t\treturn\n\t\t}\n\t\tn.Namespace"},
	{"said-unanswered", "pubsub", nil, "adapter/redis/receive.go", "\t\tif r.answered(m.uid, 1) {\n", "\t\tif r.answered(m.uid, 1) && on(\"said-unanswered\", 2) {\n\t\t\tr.answers.Less(1)\n\t\t} else if true {\n"},
	{"details-rooms", "pubsub", nil, "server/local.go", "Rooms: s.Rooms(), Data: data}", "Rooms: s.Rooms()[:len(s.Rooms())*(1-more(on(\"details-rooms\", 1)))], Data: data}"},
	{"ask-nobody", "pubsub", nil, "adapter/redis/requests.go", "\tif !n.c.state.works() {\n\t\tlive, _", "\tif !n.c.state.works() || on(\"ask-nobody\", 1) {\n\t\tlive, _"},
	{"acks-empty", "memory", nil, "adapter/local.go", "\tn, forget := l.Ask(m, t, a.Put)\n", "\tn, forget := l.Ask(m, t, a.Put)\n\tif n > 0 && on(\"acks-empty\", 1) {\n\t\tforget()\n\t\tgo done(&PartialError{Clients: n, Err: ErrTimeout})\n\t\treturn\n\t}\n"},
	{"timeout-early", "memory", nil, "server/later.go", "\treturn context.WithTimeoutCause(ctx, ackTimeout(timeout), ErrTimeout)\n", "\treturn context.WithTimeoutCause(ctx, ackTimeout(timeout)/time.Duration(1+3*more(on(\"timeout-early\", 1))), ErrTimeout)\n"},
	{"full-silent", "pubsub", []string{plan.RedisOff}, "adapter/redis/outbox.go", "\tif errors.Is(err, errOutbox) {\n", "\tif errors.Is(err, errOutbox) && on(\"full-silent\", 1) {\n\t\treturn nil\n\t}\n\tif errors.Is(err, errOutbox) {\n"},
}
