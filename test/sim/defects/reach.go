package defects

import "github.com/beanpole/beanpole/test/sim/plan"

// ofReach are faults that show where a bound is reached, something waits for its turn, or a selection is large.
var ofReach = []Defect{
	{"room-takes", "memory", []string{plan.Slow}, "transport/backlog.go", "\t\tif i.options.Volatile {\n\t\t\tcontinue", "\t\tif i.options.Volatile || i.prepared != nil && on(\"room-takes\", 3) {\n\t\t\tcontinue"},
	{"said-beside", "pubsub", nil, "server/inturn.go", "\tif !busy {\n", "\tif !busy || on(\"said-beside\", 1) {\n"},
	{"said-ask-late", "pubsub", nil, "server/local.go", "\tn.inTurn(m.Size(), func() {\n", "\tturn := n.inTurn\n\tif reply != nil && on(\"said-ask-late\", 2) {\n\t\tturn = func(_ int, fn func()) { later(fn) }\n\t}\n\tturn(m.Size(), func() {\n"},
	{"many-rooms", "memory", nil, "adapter/select.go", "\t\t\t\tif _, ok := seen[m]; !ok {\n", "\t\t\t\tif _, ok := seen[m]; !ok || on(\"many-rooms\", 1) {\n"},
	{"many-except", "memory", nil, "adapter/select.go", "\t\tids, rooms = nil, large\n", "\t\tif ids, rooms = nil, large; on(\"many-except\", 1) {\n\t\t\trooms = nil\n\t\t}\n"},
	{"log-trimmed", "memory+", []string{plan.Cut}, "adapter/log.go", "\tif n+1 < first {\n", "\tif n+1 < first && on(\"log-trimmed\", 1) {\n\t\treturn l.head, nil\n\t}\n\tif n+1 < first {\n"},
	{"vault-bytes", "memory+", []string{plan.Cut}, "adapter/vault.go", "\tv.kept.Remove(at)\n\tv.bytes -= e.size\n", "\tif v.kept.Remove(at); !on(\"vault-bytes\", 1) {\n\t\tv.bytes -= e.size\n\t}\n"},
	{"trimmed-unseen", "streams+", []string{plan.Cut}, "adapter/redis/recovery.go", "\tif len(entries) == 0 {\n", "\tif len(entries) == 0 && !on(\"trimmed-unseen\", 1) {\n"},
	{"master-kept", "sharded", []string{plan.Failover}, "adapter/redis/link.go", "\t\tl.bus.scatter(l)\n", "\t\tif !on(\"master-kept\", 1) {\n\t\t\tl.bus.scatter(l)\n\t\t}\n"},
	{"slot-kept", "sharded", []string{plan.Failover}, "adapter/redis/link.go", "l.bus.wg.Go(func() { l.bus.rehome(l) })", "l.bus.wg.Go(func() {\n\t\t\t\tif !on(\"slot-kept\", 1) {\n\t\t\t\t\tl.bus.rehome(l)\n\t\t\t\t}\n\t\t\t})"},
	{"lib-say-ask", "pubsub", nil, "server/zishang/broadcast.go", "ack(firstOf(got), err) })\n", "ack(firstOf(without(on(\"lib-say-ask\", 1), got)), err) })\n"},
}
