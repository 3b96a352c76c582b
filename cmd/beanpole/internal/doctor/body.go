package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// checkBuffering looks whether an answer comes as soon as there is one: the median of three, less the way.
func (c *client) checkBuffering(ctx context.Context) Result {
	if !c.polls() {
		return c.noPolls()
	}
	const means, do = "answers are held back on the way: events come late or not at all", "proxy_buffering off, and no compression in nginx or the CDN for this path"
	var took []time.Duration
	for range 3 {
		t, err := c.answered(ctx)
		if errors.Is(err, errSilent) {
			return fail("a waiting poll was not answered", means, do)
		}
		if err != nil {
			return c.broken(ctx, err, "polling does not get through")
		}
		took = append(took, t)
		if slices.Max(took) < c.hold/4 {
			break
		}
	}
	late := median(took)
	if late-2*c.rtt > c.hold {
		return warn(fmt.Sprintf("a waiting poll was answered after %v, other requests after %v", about(late), about(c.rtt)), means, do)
	}
	return ok("a waiting poll was answered %v after there was something to say", about(late))
}

// answered returns how long a poll that waits takes to be answered when there is something to say.
func (c *client) answered(ctx context.Context) (time.Duration, error) {
	s, err := c.handshake(ctx)
	if err != nil {
		return 0, err
	}
	defer s.end(ctx)
	answer := make(chan error, 1)
	there := 200*time.Millisecond + c.rtt // when the poll is
	wait, cancel := context.WithTimeout(ctx, c.Timeout+there)
	defer cancel()
	go func() {
		_, err := s.poll(wait)
		answer <- err
	}()
	// The poll has to be there first; a second one would end the session.
	timer := time.NewTimer(there)
	defer timer.Stop()
	select {
	case err := <-answer:
		return 0, err
	case <-timer.C:
	}
	start := time.Now()
	if err := s.post(ctx, "40"+noNamespace+","); err != nil {
		cancel()
		<-answer //nolint:errcheck // its end matters, not what it brought
		return 0, err
	}
	err = <-answer
	if err != nil && wait.Err() != nil && ctx.Err() == nil {
		err = errSilent
	}
	return time.Since(start), err
}

// checkBody sends the largest message that the server takes, and a larger one.
func (c *client) checkBody(ctx context.Context) Result {
	if !c.polls() {
		return c.noPolls()
	}
	most := c.open.MaxPayload
	if most <= 0 || most > 16<<20 {
		return none("the server takes %d bytes: too much to try", most)
	}
	const means = "large messages do not get through over polling"
	for _, size := range []int{most, most + 1} {
		r, err := c.sized(ctx, size)
		switch {
		case err != nil && size > most:
			return ok("%d bytes are taken, one more is cut off", most)
		case err != nil:
			return c.broken(ctx, err, means)
		case size == most && r.status == http.StatusRequestEntityTooLarge && r.by() == byApplication:
			return fail(fmt.Sprintf("%d bytes are answered %s", size, r), means+": the application takes less than it says", "see the application's log")
		case size == most && r.status == http.StatusRequestEntityTooLarge:
			return fail(fmt.Sprintf("%d bytes are answered %s", size, r), "the server takes such messages over WebSocket, and "+r.by()+" refuses them over polling",
				fmt.Sprintf("client_max_body_size %dm in .platform/nginx", most>>20+1))
		case size == most && r.firewall():
			return fail(fmt.Sprintf("%d bytes are answered %s", size, r), means+": a firewall for web applications refuses them", "AWS WAF: let SizeRestrictions_BODY of the core rule set count instead of block for the Socket.IO path")
		case size == most && r.status != http.StatusOK:
			return c.broken(ctx, errAnswer{r}, means)
		case size > most && r.status >= http.StatusInternalServerError: // who passes it on says so of an application that does not read it
			return ok("%d bytes are taken, one more is cut off", most)
		case size > most && r.by() == byNginx:
			return warn(fmt.Sprintf("one byte more is refused by nginx: %d", r.status), "nginx has the same limit as the application: with the next larger limit messages are lost", "client_max_body_size well above BEANPOLE_MAX_PAYLOAD")
		case size > most && r.status == http.StatusOK:
			return warn("one byte more than announced is taken", "the limit is not what the handshake says", "see proxies that answer for the application")
		}
	}
	return ok("%d bytes are taken, one more is refused by the application", most)
}

// sized sends a body of that many bytes.
func (c *client) sized(ctx context.Context, size int) (*reply, error) {
	s, err := c.handshake(ctx)
	if err != nil {
		return nil, err
	}
	defer s.end(ctx)
	head, tail := "40"+noNamespace+`,{"x":"`, `"}`
	body := head + strings.Repeat("x", size-len(head)-len(tail)) + tail
	// Who refuses it without reading it answers before it is sent, rather than into a connection that ends.
	return c.do(ctx, http.MethodPost, c.target(s.query()), []byte(body), "Expect", "100-continue")
}
