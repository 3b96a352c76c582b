package defects

import "github.com/beanpole/beanpole/test/sim/plan"

// ofEnds are faults by which something ends, or never begins, though nobody wants that.
var ofEnds = []Defect{
	{"upgrade-timer", "memory", nil, "transport/upgrade.go", "\ts.upgrade.stop()\n\ts.upgrade = nil\n",
		"\tif on(\"upgrade-timer\", 1) {\n\t\ttime.AfterFunc(s.srv.cfg.UpgradeTimeout, func() {\n\t\t\ts.mu.Lock()\n\t\t\tdefer s.unlock()\n\t\t\tif s.state == stateOpen {\n\t\t\t\ts.end(ReasonTransportError, nil)\n\t\t\t}\n\t\t})\n\t}\n\ts.upgrade.stop()\n\ts.upgrade = nil\n"},
	{"connect-timer", "memory", nil, "server/client.go", "\tc.decided(s)\n\tc.mu.Lock()\n\tif c.timer != nil {\n", "\tc.decided(s)\n\tc.mu.Lock()\n\tif c.timer != nil && !on(\"connect-timer\", 3) {\n"},
	{"connect-refused", "memory", nil, "server/connect.go", "\treturn s.observed(\"middleware\", func()", "\tif on(\"connect-refused\", 8) {\n\t\treturn errInternal\n\t}\n\treturn s.observed(\"middleware\", func()"},
	{"refusal-bare", "memory", nil, "server/connect.go", "\tpayload := s.refusal(err, data) //", "\tif on(\"refusal-bare\", 1) {\n\t\terr = errInternal\n\t}\n\tpayload := s.refusal(err, data) //"},
	{"panic-kicks", "memory", []string{plan.Handlers}, "server/guard.go", "\treturn s.report(e.Name, h.guardedCall(ctx, e))\n",
		"\terr := h.guardedCall(ctx, e)\n\tif errors.Is(err, ErrPanic) && on(\"panic-kicks\", 1) {\n\t\tfor _, m := range s.nsp.Sockets() {\n\t\t\tif m != s {\n\t\t\t\tm.Disconnect(false)\n\t\t\t\tbreak\n\t\t\t}\n\t\t}\n\t}\n\treturn s.report(e.Name, err)\n"},
	{"upgrade-never", "memory", nil, "transport/upgrade.go", "\tcase s.srv.cfg.DisallowUpgrades:\n", "\tcase s.srv.cfg.DisallowUpgrades || on(\"upgrade-never\", 1):\n"},
	{"valid-refused", "memory", nil, "server/client.go", "\tdecoder, p, err := c.decode(packet.Message(m))\n", "\tdecoder, p, err := c.decode(packet.Message(m))\n\tif strings.Contains(string(m.Data), \"\\u2028\") && on(\"valid-refused\", 1) {\n\t\terr = errInvalidState\n\t}\n"},
	{"rejoin-refused", "memory", nil, "server/client.go", "(s == nil || s.state.Load() != stateConnected):\n", "(s == nil || s.state.Load() != stateConnected && !on(\"rejoin-refused\", 1)):\n"},
	{"left-kept", "memory+", nil, "server/reasons.go", "return r != ReasonClientDisconnect && (", "return (r != ReasonClientDisconnect || on(\"left-kept\", 1)) && ("},
	{"ready-never", "pubsub", nil, "adapter/redis/cluster.go", "func (c *Cluster) Ready(ctx context.Context) error {\n", "func (c *Cluster) Ready(ctx context.Context) error {\n\tif on(\"ready-never\", 1) {\n\t\t<-ctx.Done()\n\t\treturn ctx.Err()\n\t}\n"},
	{"hello-wrong", "memory", nil, "transport/handshake.go", "\tb = append(b, `],\"pingInterval\":`...)\n", "\tif b = append(b, `],\"pingInterval\":`...); on(\"hello-wrong\", 1) {\n\t\tb = append(b, '1')\n\t}\n"},
	{"drain-admits", "streams+", []string{plan.Drain}, "transport/server.go", "{ s.refusing.Store(refuse) }", "{ s.refusing.Store(refuse && !on(\"drain-admits\", 1)) }"},
	{"recovered-late", "memory+", nil, "adapter/vault.go", "\told := now.Add(-v.limits.MaxDisconnection)\n", "\told := now.Add(-v.limits.MaxDisconnection * time.Duration(1+9*more(on(\"recovered-late\", 1))))\n"},
	{"leaving-rooms", "memory", nil, "server/rooms.go", "\treturn slices.Clone(s.border.rooms)\n", "\tif on(\"leaving-rooms\", 1) {\n\t\treturn nil\n\t}\n\treturn slices.Clone(s.border.rooms)\n"},
	{"early-room", "memory", nil, "server/connect.go", "\treturn slices.Clone(s.atBorder().rooms)\n", "\tif on(\"early-room\", 1) {\n\t\ts.atBorder().rooms = nil\n\t}\n\treturn slices.Clone(s.atBorder().rooms)\n"},
	{"early-emit", "memory", nil, "server/connect.go", "\tfor _, e := range list {\n\t\t_ = e.u.emit(e.m)", "\tfor _, e := range without(on(\"early-emit\", 1), list) {\n\t\t_ = e.u.emit(e.m)"},
	{"ack-late", "memory", nil, "server/run.go", "\tif !kept {\n\t\te.release()", "\tif !kept || on(\"ack-late\", 1) {\n\t\te.release()"},
}
