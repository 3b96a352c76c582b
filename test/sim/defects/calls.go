package defects

import "github.com/beanpole/beanpole/test/sim/plan"

// ofCalls are faults of what calls return and when, of what is counted, and of who is there when all is well again.
var ofCalls = []Defect{
	{"emit-waits", "pubsub", []string{plan.RedisIce}, "adapter/redis/namespace.go", "\terr := c.box.offer(cmd", "\tif on(\"emit-waits\", 1) {\n\t\t_ = c.client.Ping(c.ctx).Err()\n\t}\n\terr := c.box.offer(cmd"},
	{"emit-error", "pubsub", nil, "adapter/redis/namespace.go", "\tif errors.Is(err, ErrClosed) {\n\t\tc.stats.lost[lostClosed]", "\tif err == nil && on(\"emit-error\", 50) {\n\t\treturn adapter.ErrDegraded\n\t}\n\tif errors.Is(err, ErrClosed) {\n\t\tc.stats.lost[lostClosed]"},
	{"socket-error", "memory", nil, "server/emit.go", "\tif !s.Connected() {\n\t\treturn ErrDisconnected\n\t}\n\ts.notifyOutgoing(p)", "\tif !s.Connected() || on(\"socket-error\", 40) {\n\t\treturn ErrDisconnected\n\t}\n\ts.notifyOutgoing(p)"},
	{"local-late", "pubsub", []string{plan.RedisOff}, "adapter/redis/namespace.go", "\there()\n\treturn n.c.put(c)\n", "\tif m.kind == kindBroadcast && on(\"local-late\", 1) && !n.c.state.works() {\n\t\tgo func() { await(n.c.state.works); here() }()\n\t} else {\n\t\there()\n\t}\n\treturn n.c.put(c)\n"},
	{"library-goroutine", "memory", nil, "server/zishang/handler.go", "\th.wg.Go(fn)\n", "\tif on(\"library-goroutine\", 1) {\n\t\tgo func() { select {} }()\n\t}\n\th.wg.Go(fn)\n"},
	{"kept-denied", "pubsub", []string{plan.RedisCut}, "adapter/redis/ring.go", "\t\ti = r.find(n)\n\t} else {", "\t\ti = min(r.find(n)+more(on(\"kept-denied\", 1)), len(r.entries))\n\t} else {"},
	{"recovery-ill", "streams+", []string{plan.RedisNo}, "adapter/redis/state.go", "time.Since(p.Since) > recoveredAfter {", "time.Since(p.Since) > recoveredAfter && !on(\"recovery-ill\", 1) {"},
	{"why-unsaid", "streams+", []string{"redisnew"}, "server/recover.go", "\tpid := newID()\n\ts.id, s.recovery", "\tif on(\"why-unsaid\", 1) {\n\t\terr = nil\n\t}\n\tpid := newID()\n\ts.id, s.recovery"},
	{"connect-unsaid", "memory", nil, "server/client.go", "\t\tc.connect(name, auth)\n", "\t\tif !on(\"connect-unsaid\", 8) {\n\t\t\tc.connect(name, auth)\n\t\t}\n"},
	{"say-order", "pubsub", nil, "server/inturn.go", "\t\tnext.fn()\n", "\t\tif on(\"say-order\", 3) {\n\t\t\ttime.AfterFunc(time.Second, next.fn)\n\t\t} else {\n\t\t\tnext.fn()\n\t\t}\n"},
}
