package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// checkWebSocket opens a WebSocket and, when it is refused, says who did so.
func (d *doctor) checkWebSocket(ctx context.Context) Result {
	dial, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	conn, r, err := d.upgrade(dial, "EIO=4&transport=websocket", nil)
	if err != nil {
		return fail(say(err), "no WebSocket comes about: clients stay on polling", "something on the way cuts upgrades off: see proxies and firewalls")
	}
	if conn == nil {
		return refusedUpgrade(r)
	}
	s := listen(conn, r, nil)
	defer s.close()
	if _, err := s.expect(ctx, d.Timeout, "0{"); err != nil {
		return fail("101, and then "+say(err), "the upgrade is let through and what follows is not", "see proxies that inspect WebSockets")
	}
	if err := s.echo(ctx, d.Timeout); err != nil {
		return fail("101 and OPEN, and then "+say(err), "messages do not get through", "see proxies that inspect WebSockets")
	}
	return ok("101, and back and forth")
}

// refusedUpgrade says who refused and why.
func refusedUpgrade(r *reply) Result {
	seen := "the upgrade is answered " + r.String()
	means := "no WebSocket comes about: clients stay on polling"
	switch code := r.code(); {
	case code == 3 || (code >= 0 && r.status == http.StatusBadRequest):
		return fail(seen, means+". The application got a request without Upgrade: nginx or another proxy has taken it away",
			"proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and Connection $connection_upgrade in the location that serves the path; delete server{} blocks of your own")
	case r.status == http.StatusForbidden:
		return fail(seen, means+". The application refuses the origin", "BEANPOLE_ALLOWED_ORIGINS")
	case r.status == 464:
		return fail(seen, means+". The target group does not speak HTTP/1.1", "protocol version HTTP1 for the target group")
	case strings.Contains(r.by(), "load balancer"):
		return fail(seen, means+". The load balancer refuses", "an application load balancer with protocol version HTTP1")
	case r.by() == "nginx":
		return fail(seen, means+". nginx refuses", "see error.log, and worker_connections")
	}
	return fail(seen, means, "see "+r.by())
}

// checkUpgrade moves a polling session to WebSocket while packets are on their way.
func (d *doctor) checkUpgrade(ctx context.Context) Result {
	if !d.polls() {
		return none("the server takes WebSockets only")
	}
	s, err := d.handshake(ctx, true)
	if err != nil {
		return fail(say(err), "a handshake fails", "see above")
	}
	offered := false
	for _, u := range s.open.Upgrades {
		offered = offered || u == "websocket"
	}
	if !offered {
		s.end(ctx)
		return warn("the server offers no upgrade", "clients that begin with polling stay there", "BEANPOLE_NO_UPGRADES unset, and websocket among BEANPOLE_TRANSPORTS")
	}
	dial, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	if err := s.echo(dial); err != nil {
		s.end(ctx)
		return d.lost(err)
	}
	conn, r, err := d.upgrade(dial, "EIO=4&transport=websocket&sid="+s.sid, s.jar)
	if err != nil || conn == nil {
		s.end(ctx)
		if err != nil {
			return fail(say(err), "clients stay on polling", "see the check of WebSockets")
		}
		if r.code() == 1 {
			return fail("the upgrade of a session does not find it: "+r.String(), "clients stay on polling", "StickinessEnabled: \"true\"")
		}
		return refusedUpgrade(r)
	}
	w := listen(conn, r, nil)
	defer w.close()
	if err := w.send("2probe"); err != nil {
		return fail(say(err), "clients stay on polling", "see proxies that inspect WebSockets")
	}
	if _, err := w.expect(dial, d.Timeout, "3probe"); err != nil {
		return fail("the probe is not answered: "+say(err), "clients stay on polling", "see proxies that inspect WebSockets")
	}
	// A packet on its way over polling, whose answer may come either way.
	if err := s.post(dial, "40"+noNamespace+","); err != nil {
		return d.lost(err)
	}
	answers := 0
	packets, err := s.poll(dial)
	if err != nil {
		return fail("the poll that waits is not answered: "+say(err), "the upgrade cannot be finished", "see who answered")
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
			return fail(say(err), "the upgrade cannot be finished", "see proxies that inspect WebSockets")
		}
	}
	for answers < 2 {
		if _, err := w.expect(dial, d.Timeout, "44"+noNamespace); err != nil {
			return fail(fmt.Sprintf("%d of 2 packets arrived over the upgrade: %s", answers, say(err)), "packets are lost when clients upgrade", "see the application's log")
		}
		answers++
	}
	return ok("upgraded with packets on their way; first answer after %v", time.Since(start).Round(time.Millisecond))
}
