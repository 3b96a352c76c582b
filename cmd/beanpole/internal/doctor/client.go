package doctor

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// client sends requests to one instance: by the balancer's cookies where they do that, and else by asking again
// until that instance answers.
type client struct {
	*doctor
	name  string         // of X-Beanpole; "" takes whoever answers
	label string         // what the report calls it
	jar   http.CookieJar // nil keeps no cookies
	stays bool           // by its cookies
	clock time.Duration  // how far the instance's clock is ahead of this machine's
	took  time.Duration  // of its short answers, the quickest
	spoke Instance
	first *reply  // to it as a new client
	open  *opened // what its handshake said; nil before that
	most  int     // the largest body that got through, in bytes

	pace *rate.Limiter // of its requests, which are not counted then; nil for those of checks

	degraded bool // by its health
}

// anybody returns a new client, as every browser is one, that goes to whoever the balancer chooses.
func (d *doctor) anybody(cookies bool) *client {
	c := &client{doctor: d}
	if cookies {
		c.jar, _ = cookiejar.New(nil) // never fails
	}
	return c
}

// pins is a jar that keeps the cookies which lead to an instance, longer than they last: it is for finding the way there
// again and no browser's.
type pins struct {
	mu     sync.Mutex
	values map[string]string
}

// SetCookies is http.CookieJar's.
func (p *pins) SetCookies(_ *url.URL, list []*http.Cookie) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range list {
		p.values[c.Name] = c.Value
	}
}

// Cookies is http.CookieJar's.
func (p *pins) Cookies(*url.URL) []*http.Cookie {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []*http.Cookie
	for name, value := range p.values {
		list = append(list, &http.Cookie{Name: name, Value: value})
	}
	return list
}

// keep makes a jar of pins of the client's.
func (c *client) keep() {
	p := &pins{values: make(map[string]string)}
	p.SetCookies(nil, c.jar.Cookies(c.base))
	c.jar, c.stays = p, len(p.values) > 0
}

// errMoved is returned when an instance that has answered does so no more, and another does. It had cookies by which it was
// found again and again, unless blind is set.
type errMoved struct {
	from, to string
	blind    bool
}

// Error says who answered.
func (e errMoved) Error() string {
	if e.blind {
		return fmt.Sprintf("%s has answered, and %s does now", e.from, e.to)
	}
	return fmt.Sprintf("the cookies of %s lead to %s now", e.from, e.to)
}

// target returns the URL of the Socket.IO path with a query, and with a parameter that has never been there, as clients
// add one.
func (d *doctor) target(query string) *url.URL {
	u := *d.base
	u.Path, u.RawQuery = d.Path, query+"&t="+crand.Text()[:10]
	return &u
}

// do sends a request and reads the answer. header is pairs of names and values.
func (c *client) do(ctx context.Context, method string, u *url.URL, body []byte, header ...string) (*reply, error) {
	return c.insist(ctx, func() (*reply, error) {
		ctx, cancel := context.WithTimeout(ctx, c.Timeout)
		defer cancel()
		return c.send(ctx, method, u, body, header...)
	})
}

// insist repeats a request until the client's instance answers. An answer that names nobody may be that of an nginx: it
// is the instance's own when no other comes.
func (c *client) insist(ctx context.Context, send func() (*reply, error)) (*reply, error) {
	if c.name == "" {
		return send()
	}
	if c.stays && !c.front {
		r, err := send()
		if err == nil && c.foreign(r) {
			return c.instead(ctx, r, 4)
		}
		return r, err
	}
	var unnamed, other *reply
	var failed error
	var start time.Time
	tries := 4 + 6*len(c.found)
	for n := tries; n > 0 && ctx.Err() == nil; n-- {
		if other != nil || unnamed != nil {
			outOfStep(ctx, time.Since(start))
		}
		start = time.Now()
		r, err := send()
		switch {
		case err != nil && failed != nil:
			other.drop()
			return nil, err
		case err != nil:
			failed = err
		case r.name() == c.name:
			other.drop()
			return r, nil
		case r.name() == "" && r.conn == nil:
			unnamed = r
		default:
			other.drop()
			other = r
		}
	}
	if unnamed == nil && failed == nil && ctx.Err() == nil {
		return c.instead(ctx, other, tries)
	}
	other.drop()
	switch {
	case unnamed != nil:
		return unnamed, nil
	case failed != nil:
		return nil, failed
	}
	return nil, ctx.Err()
}

// foreign reports whether another instance than the client's has answered.
func (c *client) foreign(r *reply) bool { return c.name != "" && r.name() != "" && r.name() != c.name }

// place is what to say of an answer of another instance.
func (c *client) place(r *reply) string {
	if !c.foreign(r) {
		return ""
	}
	return fmt.Sprintf(", with %s: something in front sends such requests there, and others to %s", r.name(), c.label)
}

// instead takes the answer of another instance, as clients do, where the client's own still answers what nothing in front
// sends elsewhere. What differs between the two is the kind of request alone.
func (c *client) instead(ctx context.Context, r *reply, tries int) (*reply, error) {
	for ; tries > 0 && ctx.Err() == nil; tries-- {
		start := time.Now()
		if own, err := c.plain(ctx); err == nil && own.name() == c.name {
			return r, nil
		}
		outOfStep(ctx, time.Since(start))
	}
	r.drop()
	return nil, errMoved{c.label, orElse(r.name(), "somebody without a name"), !c.stays}
}

// outOfStep waits for up to twice the time that a request took. Checks of several instances run at once: of two that ask
// again as soon as they are answered, a balancer that takes turns would bring each to the other's instance every time.
func outOfStep(ctx context.Context, took time.Duration) {
	turn := time.NewTimer(rand.N(2*min(took, time.Second) + 1))
	defer turn.Stop()
	select {
	case <-turn.C:
	case <-ctx.Done():
	}
}

// plain is ask of whoever answers.
func (c *client) plain(ctx context.Context) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	return c.send(ctx, http.MethodGet, c.target("EIO=4"), nil)
}

// request makes a request with the client's headers.
func (c *client) request(ctx context.Context, method string, u *url.URL, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "beanpole-doctor")
	if c.Origin != "" {
		r.Header.Set("Origin", c.Origin)
	}
	if c.jar != nil {
		for _, cookie := range c.jar.Cookies(u) {
			r.AddCookie(cookie)
		}
	}
	return r, nil
}

// send is do with no deadline but ctx's, and takes whoever answers.
func (c *client) send(ctx context.Context, method string, u *url.URL, body []byte, header ...string) (*reply, error) {
	r, err := c.request(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	return c.answer(r, u)
}

// answer sends the request and reads what comes back. The run ends with the last request that it may send.
func (c *client) answer(r *http.Request, u *url.URL) (*reply, error) {
	if c.pace != nil {
		turn := time.NewTimer(c.pace.Reserve().Delay()) // Wait refuses at once what its context may not bear
		defer turn.Stop()
		select {
		case <-turn.C:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	} else if c.sent.Add(1) == c.requests && c.stop != nil {
		c.stop(errEnough)
	}
	start := time.Now()
	res, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	answer := &reply{method: r.Method, session: u.Query().Has("sid"), status: res.StatusCode, header: res.Header, began: start}
	if c.jar != nil && !(c.stays && c.foreign(answer)) { // or the way to the own would be lost
		c.jar.SetCookies(u, res.Cookies())
	}
	if conn, ok := res.Body.(io.ReadWriteCloser); ok && res.StatusCode == http.StatusSwitchingProtocols {
		answer.conn = conn
		return answer, nil
	}
	defer func() { _ = res.Body.Close() }()
	answer.body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	answer.took = time.Since(start)
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// ask sends what is no handshake: the application refuses it, and so names itself without opening anything.
func (c *client) ask(ctx context.Context) (*reply, error) {
	return c.do(ctx, http.MethodGet, c.target("EIO=4"), nil)
}
