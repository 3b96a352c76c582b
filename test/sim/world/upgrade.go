package main

import (
	"context"
	"time"
)

// upgrade takes the session from polling to a WebSocket. Source: engine.io-client/lib/socket.ts, _probe.
func (e *engine) upgrade() {
	time.Sleep(e.c.wait(0, 400*time.Millisecond))
	ctx, cancel := context.WithTimeout(context.Background(), upgradeTimeout)
	defer cancel()
	conn, err := e.dial(ctx, e.sid)
	if err != nil {
		e.fails(err)
		return
	}
	give := func(what any) {
		e.fails(what)
		_ = conn.Close()
	}
	_ = conn.SetReadDeadline(time.Now().Add(upgradeTimeout))
	if err := writeFrame(conn, frame{text: "2probe"}); err != nil {
		give(err)
		return
	}
	f, err := readFrame(conn)
	if err != nil {
		give(err)
		return
	}
	if f.text != "3probe" {
		if !e.over() {
			e.c.w.violated("protocol", e.c.name, "the answer to the probe is %s", f)
		}
		give(f)
		return
	}
	e.mu.Lock()
	e.switching = true
	for e.err == nil && (e.polling || e.posting) {
		e.cond.Wait()
	}
	if e.err != nil {
		e.mu.Unlock()
		give(e.err)
		return
	}
	e.mu.Unlock()
	e.burst()
	_ = conn.SetReadDeadline(time.Time{})
	if err := writeFrame(conn, frame{text: "5"}); err != nil {
		e.end(err)
		give(err)
		return
	}
	e.mu.Lock()
	ended := e.err != nil
	e.conn, e.switching = conn, false
	e.cond.Broadcast()
	e.mu.Unlock()
	if ended {
		_ = conn.Close()
		return
	}
	e.c.w.note(e.c.name, "upgraded")
	e.c.w.count("upgrades")
	e.tr.CloseIdleConnections()
	e.readWebSocket(conn)
}
