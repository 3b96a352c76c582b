package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

const inspect = "see proxies that inspect WebSockets"

// checkWebSocket opens a WebSocket and, when it is refused, says who did so.
func (c *client) checkWebSocket(ctx context.Context) Result {
	s, err := c.dial(ctx, nil)
	if err != nil {
		return c.broken(ctx, err, "no WebSocket comes about, and clients stay on polling")
	}
	defer s.close()
	if err := s.echo(ctx, c.Timeout); err != nil {
		return c.lost(err, "101 and OPEN, and then ", "messages do not get through", inspect)
	}
	return ok("101, and back and forth%s", c.place(s.open.reply))
}

// checkUpgrade moves a polling session to WebSocket while packets are on their way.
func (c *client) checkUpgrade(ctx context.Context) Result {
	if !c.polls() {
		return c.noPolls()
	}
	s, err := c.handshake(ctx)
	if err != nil {
		return c.broken(ctx, err, "a handshake fails")
	}
	if !slices.Contains(s.open.Upgrades, "websocket") {
		s.end(ctx)
		return warn("the server offers no upgrade", "clients that begin with polling stay there", "BEANPOLE_NO_UPGRADES unset, and websocket among BEANPOLE_TRANSPORTS")
	}
	const stay, unfinished = "clients stay on polling", "the upgrade cannot be finished"
	dial, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if err := s.echo(dial); err != nil {
		s.end(ctx)
		return c.broken(ctx, err, "polling does not get through")
	}
	r, err := c.upgrade(dial, "EIO=4&transport=websocket&sid="+s.sid)
	if err == nil && r.conn == nil {
		err = errAnswer{r}
	}
	if err != nil {
		s.end(ctx)
		return c.broken(ctx, err, stay)
	}
	w := c.listen(ctx, r.conn, nil)
	defer w.close()
	if err := w.send("2probe"); err != nil {
		return fail(say(err), stay, inspect)
	}
	if _, err := w.expect(dial, c.Timeout, "3probe"); err != nil {
		return c.lost(err, "the probe is not answered: ", stay, inspect)
	}
	// A packet on its way over polling, whose answer may come either way.
	if err := s.post(dial, "40"+noNamespace+","); err != nil {
		return c.broken(ctx, err, unfinished)
	}
	answers := 0
	packets, err := s.poll(dial)
	if err != nil {
		return c.broken(ctx, err, unfinished+", as the poll that waits is not answered")
	}
	send := []string{"5"}
	for _, p := range packets {
		switch {
		case strings.HasPrefix(p, "44"+noNamespace):
			answers++
		case p == "2":
			send = append(send, "3") // or the session would end while its packets are waited for
		}
	}
	start := time.Now()
	// Another name: the first CONNECT may still be under way, and a second for the same is a fault.
	for _, p := range append(send, "40"+noNamespace+"-again,") {
		if err := w.send(p); err != nil {
			return fail(say(err), unfinished, inspect)
		}
	}
	for answers < 2 {
		if _, err := w.expect(dial, c.Timeout, "44"+noNamespace); err != nil {
			return c.lost(err, fmt.Sprintf("%d of 2 packets arrived over the upgrade: ", answers), "packets are lost when clients upgrade", "see the application's log")
		}
		answers++
	}
	return ok("upgraded with packets on their way; first answer after %v", about(time.Since(start)))
}
