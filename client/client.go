package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/beanpole/beanpole/server/packet"
)

// Client keeps up one connection to a server, which its sockets share, one for each namespace. It connects when the
// first of them does, and disconnects when none is wanted any more.
type Client struct {
	// Set by New, then read only.
	cfg    Config
	url    *url.URL
	http   *http.Client
	ctx    context.Context // ends with Close, and is that of handlers
	cancel context.CancelFunc

	wg sync.WaitGroup

	mu        sync.Mutex // before that of a Socket
	sockets   map[string]*Socket
	engine    *engine // nil while there is none
	running   bool    // run is
	closed    bool
	attempts  int           // to reconnect, in a row
	hurry     chan struct{} // ends the pause before the next attempt
	attempted []*func(attempt int)
	failed    []*func(error)
}

// New checks cfg and returns a Client of the server at an http or https URL (ws and wss mean the same), which does not
// connect yet. A path of the URL is the namespace of Socket, and a query is added to cfg.Query.
func New(address string, cfg Config) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("client: address %q: want http://host or https://host", u.Redacted())
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	query := url.Values{}
	for _, q := range []url.Values{u.Query(), cfg.Query} {
		for k, v := range q {
			query[k] = v
		}
	}
	cfg.Query = query
	c := &Client{cfg: cfg, url: u, http: &http.Client{Transport: once{cfg.RoundTripper}, Jar: cfg.Jar}, sockets: map[string]*Socket{},
		hurry: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Dial is New and Connect of the namespace that the path of address names, "/" without one. Handlers that are
// registered behind it may miss what the server sends at once.
func Dial(ctx context.Context, address string, cfg Config) (*Socket, error) {
	c, err := New(address, cfg)
	if err != nil {
		return nil, err
	}
	s := c.Socket()
	if err := s.Connect(ctx); err != nil {
		return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// Socket is Of for the namespace that the path of the address names.
func (c *Client) Socket() *Socket { return c.Of(c.url.Path) }

// Of returns the socket of a namespace, "/" if the name is empty. It is the same each time, and not connected at first.
func (c *Client) Of(namespace string) *Socket {
	if namespace == "" || namespace[0] != '/' {
		namespace = "/" + namespace
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sockets[namespace]
	if s == nil {
		s = &Socket{c: c, name: namespace, acks: map[uint64]func(Args, error){}, handlers: map[string][]*handler{}, up: make(chan struct{})}
		c.sockets[namespace] = s
	}
	return s
}

// OnReconnectAttempt has fn called before each attempt to connect again, with its number from 1 on, and
// OnReconnectFailed when no more is made, with the last error. Neither may block, nor call the Client. off
// takes fn out again.
func (c *Client) OnReconnectAttempt(fn func(attempt int)) (off func()) {
	return listed(&c.mu, &c.attempted, fn)
}

// OnReconnectFailed is described at OnReconnectAttempt.
func (c *Client) OnReconnectFailed(fn func(err error)) (off func()) {
	return listed(&c.mu, &c.failed, fn)
}

// Transport returns the transport in use, "" without a connection.
func (c *Client) Transport() Transport {
	c.mu.Lock()
	e := c.engine
	c.mu.Unlock()
	if e == nil {
		return ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ws != nil {
		return WebSocket
	}
	return Polling
}

// Close disconnects all sockets, sends what waits, and returns when no goroutine is left, or the error of ctx when that
// ends first: then the connection is closed as it is, and handlers may still run.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	list, e := c.all(), c.engine
	c.mu.Unlock()
	for _, s := range list {
		s.Disconnect()
	}
	if e == nil {
		c.cancel() // an attempt, or the pause before it
	} else {
		select {
		case <-e.done:
		case <-ctx.Done():
			e.end(ReasonClient, nil)
		}
	}
	over := make(chan struct{})
	go func() { // ends with the last handler
		defer close(over)
		c.wg.Wait()
	}()
	c.cancel()
	defer c.http.CloseIdleConnections()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// all returns the sockets. Called with mu held.
func (c *Client) all() []*Socket {
	list := make([]*Socket, 0, len(c.sockets))
	for _, s := range c.sockets {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *Socket) int { // "/" first
		return len(a.name) - len(b.name)
	})
	return list
}

// join connects a socket that wants to be: over the connection there is, or one to be made.
func (c *Client) join(s *Socket) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	e := c.engine
	if !c.running {
		c.running = true
		c.attempts = 0
		c.wg.Go(c.run)
	}
	select {
	case c.hurry <- struct{}{}:
	default:
	}
	c.mu.Unlock()
	if e != nil {
		c.wg.Go(func() { s.greet(e) })
	}
	return nil
}

// wanted returns the sockets that want to be connected. Without any it ends run, and true is returned.
func (c *Client) wanted() (list []*Socket, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.all() {
		if s.Active() {
			list = append(list, s)
		}
	}
	if len(list) == 0 || c.ctx.Err() != nil {
		c.running = false
		return nil, true
	}
	return list, false
}

// run connects, and again when that ends, as long as a socket wants it.
func (c *Client) run() {
	for {
		list, over := c.wanted()
		if over {
			return
		}
		select {
		case <-c.hurry:
		default:
		}
		d := c.cfg.Parser.NewDecoder(c.cfg.Limits)
		e, err := open(c.ctx, &c.cfg, c.url, c.http, func(e *engine, f frame) error { return c.take(e, d, f) })
		if err != nil {
			for _, s := range list {
				s.refused(err, c.ctx.Err() != nil)
			}
			if !c.again(err) {
				return
			}
			continue
		}
		c.mu.Lock()
		c.engine, c.attempts = e, 0
		closed := c.closed
		list = c.all()
		c.mu.Unlock()
		if closed {
			e.close()
		}
		for _, s := range list {
			c.wg.Go(func() { s.greet(e) })
		}
		<-e.done
		e.wg.Wait()
		c.mu.Lock()
		c.engine = nil
		list = c.all()
		c.mu.Unlock()
		for _, s := range list {
			s.dropped(e.reason, e.err)
		}
		if !c.again(cmpErr(e.err, ErrDisconnected)) {
			return
		}
	}
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// again waits until the next attempt. It reports false when there is to be none, and then run has ended.
func (c *Client) again(last error) bool {
	list, over := c.wanted()
	if over {
		return false
	}
	c.mu.Lock()
	c.attempts++
	n := c.attempts
	stop := c.cfg.NoReconnection || c.cfg.ReconnectionAttempts > 0 && n > c.cfg.ReconnectionAttempts
	calls := c.attempted
	if stop {
		c.running = false
	}
	fails := c.failed
	c.mu.Unlock()
	if stop {
		for _, s := range list {
			s.refused(last, true)
		}
		for _, fn := range fails {
			(*fn)(last)
		}
		return false
	}
	t := time.NewTimer(c.cfg.pause(n - 1))
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.hurry:
	case <-c.ctx.Done():
	}
	for _, fn := range calls {
		(*fn)(n)
	}
	return true
}

// pause is how long to wait before an attempt, counted from 0. Source: socket.io-client, contrib/backo2.
func (c *Config) pause(n int) time.Duration {
	d := float64(c.ReconnectionDelay) * float64(uint64(1)<<min(n, 40))
	if c.Randomization > 0 {
		d += d * c.Randomization * (2*rand.Float64() - 1)
	}
	return time.Duration(min(d, float64(c.ReconnectionDelayMax)))
}

// take hands a message to its socket.
func (c *Client) take(e *engine, d packet.Decoder, f frame) error {
	p, err := d.Add(packet.Message{Data: f.data, Binary: f.binary})
	if err != nil || p == nil {
		return err
	}
	c.mu.Lock()
	s := c.sockets[p.Namespace]
	c.mu.Unlock()
	if s != nil {
		s.receive(e, p)
	}
	return nil
}

// left closes the connection when no socket wants it any more.
func (c *Client) left() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		if s.Active() {
			return
		}
	}
	if c.engine != nil {
		c.engine.close()
	}
}
