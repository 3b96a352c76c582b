package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// checkBuffering looks whether an answer comes as soon as there is one.
func (d *doctor) checkBuffering(ctx context.Context) Result {
	if !d.polls() {
		return none("the server takes WebSockets only")
	}
	s, err := d.handshake(ctx, true)
	if err != nil {
		return fail(say(err), "a handshake fails", "see above")
	}
	defer s.end(ctx)
	answered := make(chan error, 1)
	wait, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	go func() {
		_, err := s.poll(wait)
		answered <- err
	}()
	// The poll has to be there first; a second one would end the session.
	timer := time.NewTimer(200 * time.Millisecond)
	defer timer.Stop()
	select {
	case err := <-answered:
		if err != nil {
			return d.lost(err)
		}
		return ok("a poll was answered at once")
	case <-timer.C:
	}
	start := time.Now()
	if err := s.post(ctx, "40"+noNamespace+","); err != nil {
		cancel()
		<-answered //nolint:errcheck // its end matters, not what it brought
		return d.lost(err)
	}
	if err := <-answered; err != nil {
		if wait.Err() != nil {
			return fail("a waiting poll was not answered", "answers are held back on the way: events come late or not at all", "proxy_buffering off, and no compression in nginx or the CDN for this path")
		}
		return d.lost(err)
	}
	took := time.Since(start).Round(time.Millisecond)
	if took > 2*time.Second {
		return warn(fmt.Sprintf("a waiting poll was answered after %v", took), "answers are held back on the way", "proxy_buffering off, and no compression in nginx or the CDN for this path")
	}
	return ok("a waiting poll was answered %v after there was something to say", took)
}

// checkBody sends the largest message that the server takes, and a larger one.
func (d *doctor) checkBody(ctx context.Context) Result {
	if !d.polls() {
		return none("the server takes WebSockets only")
	}
	most := d.open.MaxPayload
	if most <= 0 || most > 16<<20 {
		return none("the server takes %d bytes: too much to try", most)
	}
	for _, size := range []int{most, most + 1} {
		s, err := d.handshake(ctx, true)
		if err != nil {
			return fail(say(err), "a handshake fails", "see above")
		}
		head, tail := "40"+noNamespace+`,{"x":"`, `"}`
		body := head + strings.Repeat("x", size-len(head)-len(tail)) + tail
		r, err := d.do(ctx, http.MethodPost, d.target(s.query()), []byte(body), s.jar)
		s.end(ctx)
		switch {
		case err != nil && size > most:
			return ok("%d bytes are taken, one more is cut off", most)
		case err != nil:
			return fail(say(err), "large messages do not get through over polling", "see who cut it off")
		case size == most && r.status == http.StatusRequestEntityTooLarge:
			return fail(fmt.Sprintf("%d bytes are answered %s", size, r), "the server takes such messages over WebSocket, and "+r.by()+" refuses them over polling",
				fmt.Sprintf("client_max_body_size %dm in .platform/nginx", most>>20+1))
		case size == most && r.status != http.StatusOK:
			if r.code() == 1 {
				return d.lost(errAnswer{r})
			}
			return fail(fmt.Sprintf("%d bytes are answered %s", size, r), "large messages do not get through over polling", "see who answered")
		case size > most && r.by() == "nginx":
			return warn(fmt.Sprintf("one byte more is refused by nginx: %d", r.status), "nginx has the same limit as the application: with the next larger limit messages are lost", "client_max_body_size well above BEANPOLE_MAX_PAYLOAD")
		case size > most && r.status == http.StatusOK:
			return warn("one byte more than announced is taken", "the limit is not what the handshake says", "see proxies that answer for the application")
		}
	}
	return ok("%d bytes are taken, one more is refused by the application", most)
}
