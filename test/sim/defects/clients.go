package defects

import "github.com/beanpole/beanpole/test/sim/plan"

// ofClients are faults of what clients send, are answered and are told, and of who is put where.
var ofClients = []Defect{
	{"argument-lost", "memory", nil, "server/client.go", "\t\tit.event = takeEvent(p.Data, cloneLast(p.Attachments))\n", "\t\tit.event = takeEvent(emptied(on(\"argument-lost\", 40), p.Data), cloneLast(p.Attachments))\n"},
	{"attachment-swapped", "memory", nil, "server/client.go", "\tout := slices.Clone(attachments)\n", "\tout := slices.Clone(attachments)\n\tif k := len(out); k > 1 && on(\"attachment-swapped\", 3) {\n\t\tout[0], out[k-1] = out[k-1], out[0]\n\t}\n"},
	{"answer-stale", "memory", nil, "server/handler.go", "\t\tvalues[i] = out[i].Interface()\n", "\t\tif values[i] = out[i].Interface(); on(\"answer-stale\", 10) {\n\t\t\tvalues[i] = nil\n\t\t}\n"},
	{"answer-bytes", "memory", nil, "server/ack.go", "\tanswer(Args{data: data, at: at, attachments: cloneLast(p.Attachments)}, nil)\n", "\tif on(\"answer-bytes\", 5) && len(p.Attachments) > 0 {\n\t\tp.Attachments = [][]byte{{}}\n\t}\n\tanswer(Args{data: data, at: at, attachments: cloneLast(p.Attachments)}, nil)\n"},
	{"event-overtakes", "memory", []string{plan.Handlers}, "server/queue.go", "\tq.items.list = append(q.items.list, it)\n\treturn !q.running && first, nil\n", "\tq.items.list = append(q.items.list, it)\n\tif k := len(q.items.list); k-q.items.head > 1 && isEvent(it) && isEvent(q.items.list[k-2]) && on(\"event-overtakes\", 5) {\n\t\tq.items.list[k-1], q.items.list[k-2] = q.items.list[k-2], it\n\t}\n\treturn !q.running && first, nil\n"},
	{"left-drops", "memory", []string{plan.Handlers}, "server/client.go", "\tcase p.Type == packet.Disconnect:\n", "\tcase p.Type == packet.Disconnect:\n\t\tif on(\"left-drops\", 1) {\n\t\t\ts.dropEvents()\n\t\t}\n"},
	{"close-drops", "memory", []string{plan.Handlers}, "server/client.go", "\tfor _, s := range sockets {\n\t\ts.leave(why)\n", "\tfor _, s := range sockets {\n\t\tif on(\"close-drops\", 1) {\n\t\t\ts.dropEvents()\n\t\t}\n\t\ts.leave(why)\n"},
	{"put-out-works", "memory", []string{plan.Handlers}, "server/socket.go", "\ts.dropEvents()\n\tswitch s.leave(Disconnection{Reason: ReasonServerDisconnect})", "\tif !on(\"put-out-works\", 1) {\n\t\ts.dropEvents()\n\t}\n\tswitch s.leave(Disconnection{Reason: ReasonServerDisconnect})"},
	{"put-out-one", "memory+", []string{plan.Handlers}, "server/client.go", "\tfor _, s := range sockets {\n\t\ts.Disconnect(false)\n", "\tfor _, s := range without(len(sockets) > 1 && on(\"put-out-one\", 1), sockets) {\n\t\ts.Disconnect(false)\n"},
	{"put-out-open", "memory", []string{plan.Handlers}, "server/lobby.go", "\tif !wait {\n\t\tc.session.Close(", "\tif !wait && !on(\"put-out-open\", 1) {\n\t\tc.session.Close("},
	{"put-out-kept", "memory+", []string{plan.Handlers}, "server/reasons.go", "r != ReasonClientDisconnect && r != ReasonServerDisconnect", `r != ReasonClientDisconnect && (r != ReasonServerDisconnect || on("put-out-kept", 1))`},
	{"put-out-back", "streams+", []string{plan.Handlers}, "server/connect.go", "\treason := s.left().Reason\n", "\treason := s.left().Reason\n\tif on(\"put-out-back\", 1) {\n\t\treason = ReasonTransportClose\n\t}\n"},
	{"dead-awaited", "pubsub", []string{plan.Kill}, "adapter/redis/requests.go", "func (r *request) drop(uid string) {\n", "func (r *request) drop(uid string) {\n\tif on(\"dead-awaited\", 1) {\n\t\treturn\n\t}\n"},
	{"prepared-late", "memory", nil, "transport/upgrade.go", "\tb, n := takeWrite(), 0\n", "\tif b := s.waiting; b != nil && on(\"prepared-late\", 1) {\n\t\tb.items = behind(b.items, func(i item) bool { return i.prepared != nil })\n\t}\n\tb, n := takeWrite(), 0\n"},
	{"orders-all", "pubsub", nil, "adapter/redis/receive.go", "\t\tn.Local.SocketsJoin(m.target, m.rooms...)\n", "\t\tif on(\"orders-all\", 1) {\n\t\t\tm.target.Rooms = nil\n\t\t}\n\t\tn.Local.SocketsJoin(m.target, m.rooms...)\n"},
	{"orders-except", "memory", nil, "adapter/local.go", "func (l *Local) SocketsJoin(t Target, rooms ...string) {\n", "func (l *Local) SocketsJoin(t Target, rooms ...string) {\n\tif on(\"orders-except\", 1) {\n\t\tt.Except = nil\n\t}\n"},
	{"leaves-none", "streams", nil, "adapter/redis/receive.go", "\t\tn.Local.SocketsLeave(m.target, m.rooms...)\n", "\t\tif !on(\"leaves-none\", 2) {\n\t\t\tn.Local.SocketsLeave(m.target, m.rooms...)\n\t\t}\n"},
}
