// Command cells is what package client can do, cell by cell.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/beanpole/beanpole/client"
)

const limit = 15 * time.Second // the longest any one wait may take

var (
	direct, relay, balancer = os.Getenv("DIRECT"), os.Getenv("RELAY"), os.Getenv("BALANCER")

	kinds = map[string][]client.Transport{
		"polling": {client.Polling}, "websocket": {client.WebSocket}, "upgrade": {client.Polling, client.WebSocket},
	}
	capabilities = map[string]func(*cells) error{
		"connect": (*cells).connect, "auth": (*cells).auth, "ack": (*cells).ack, "answer": (*cells).answer, "binary": (*cells).binary,
		"namespaces": (*cells).namespaces, "reconnect": (*cells).reconnect, "recovery": (*cells).recovery, "sticky": (*cells).sticky,
	}
)

// cells is one cell that runs.
type cells struct {
	ctx       context.Context
	transport string
	tag       string
	opened    []*client.Client
}

// welcome is what the server greets with.
type welcome struct {
	ID  string `json:"id"`
	Nsp string `json:"nsp"`
}

// open makes a client, and a channel of the greetings of its first namespace.
func (c *cells) open(url string, cfg client.Config) (*client.Socket, <-chan welcome, error) {
	if cfg.Transports == nil {
		cfg.Transports = kinds[c.transport]
	}
	cfg.ReconnectionDelay, cfg.ReconnectionDelayMax = 20*time.Millisecond, 100*time.Millisecond
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	x, err := client.New(url, cfg)
	if err != nil {
		return nil, nil, err
	}
	c.opened = append(c.opened, x)
	s := x.Socket()
	greetings := make(chan welcome, 10)
	s.On("welcome", func(w welcome) { greetings <- w })
	return s, greetings, nil
}

// connected opens a socket and waits until it has been greeted.
func (c *cells) connected(url string, cfg client.Config) (s *client.Socket, w welcome, greetings <-chan welcome, err error) {
	if s, greetings, err = c.open(url, cfg); err == nil {
		if err = s.Connect(c.ctx); err == nil {
			w, err = next(c.ctx, greetings)
		}
	}
	return s, w, greetings, err
}

func next[T any](ctx context.Context, from <-chan T) (v T, err error) {
	select {
	case v = <-from:
		return v, nil
	case <-ctx.Done():
		return v, ctx.Err()
	}
}

// settled waits until the server too has the transport that the cell is about.
func (c *cells) settled(s *client.Socket) error {
	want := "websocket"
	if c.transport == "polling" {
		want = "polling"
	}
	for {
		if got, err := client.Ask[string](c.ctx, s, "transport"); err != nil || got == want {
			return err
		}
	}
}

// echo wants back what it sends.
func (c *cells) echo(s *client.Socket, v any) error {
	got, err := client.Ask[any](c.ctx, s, "echo", v)
	if err == nil && !reflect.DeepEqual(got, v) {
		err = fmt.Errorf("got %v, want %v", got, v)
	}
	return err
}

func (c *cells) connect() error {
	s, w, _, err := c.connected(direct, client.Config{})
	if err == nil && w.ID != s.ID() {
		err = fmt.Errorf("id %q, the server's %q", s.ID(), w.ID)
	}
	return errors.Join(err, c.settled(s))
}

func (c *cells) auth() error {
	s, _, err := c.open(direct+"/private", client.Config{Auth: map[string]string{"token": "wrong"}})
	if err != nil {
		return err
	}
	var refused *client.ConnectError
	if err := s.Connect(c.ctx); !errors.As(err, &refused) || !bytes.Contains(refused.Data, []byte(`"E401"`)) {
		return fmt.Errorf("refused: %w", err)
	}
	_, w, _, err := c.connected(direct+"/private", client.Config{Auth: map[string]string{"token": "secret"}})
	if err == nil && w.Nsp != "/private" {
		err = fmt.Errorf("namespace %q", w.Nsp)
	}
	return err
}

func (c *cells) ack() error {
	s, _, _, err := c.connected(direct, client.Config{})
	if err != nil {
		return err
	}
	return errors.Join(c.echo(s, 1.0), c.settled(s), c.echo(s, map[string]any{"a": []any{1.0, "é🎉", nil}}))
}

func (c *cells) answer() error {
	s, _, err := c.open(direct, client.Config{})
	if err != nil {
		return err
	}
	s.On("answer-me", func(v any) map[string]any { return map[string]any{"got": v} })
	ask := func(v any) error {
		got, err := client.Ask[any](c.ctx, s, "question", v)
		if want := map[string]any{"got": v}; err == nil && !reflect.DeepEqual(got, want) {
			err = fmt.Errorf("got %v, want %v", got, want)
		}
		return err
	}
	return errors.Join(s.Connect(c.ctx), ask([]any{1.0, "two"}), c.settled(s), ask("again"))
}

func (c *cells) binary() error {
	s, _, err := c.open(direct, client.Config{})
	if err != nil {
		return err
	}
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	v := map[string]any{"bytes": b, "text": "é"}
	echoes := make(chan any, 1)
	s.On("echo", func(v any) { echoes <- v })
	if err := errors.Join(s.Connect(c.ctx), s.Emit("echo", v)); err != nil {
		return err
	}
	got, err := next(c.ctx, echoes)
	if err == nil && !reflect.DeepEqual(got, any(v)) {
		err = fmt.Errorf("got %v", got)
	}
	return errors.Join(err, c.settled(s), c.echo(s, v))
}

func (c *cells) namespaces() error {
	s, _, _, err := c.connected(direct, client.Config{})
	if err != nil {
		return err
	}
	admin := s.Client().Of("/admin")
	err = errors.Join(admin.Connect(c.ctx), c.echo(s, 1.0), c.echo(admin, 2.0))
	admin.Disconnect()
	return errors.Join(err, c.echo(s, "still"))
}

// cut ends the connections of the cell as a network does that goes away.
func (c *cells) cut(network string) error {
	r, err := http.Get(network + "/cut?tag=" + c.tag)
	if err == nil {
		err = r.Body.Close()
	}
	return err
}

func (c *cells) reconnect() error {
	return c.cutAndBack(relay, client.Config{Query: url.Values{"tag": {c.tag}}})
}

func (c *cells) sticky() error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	// The settings of docs/client.md, as written there.
	cfg := client.Config{Jar: jar}
	if c.transport == "websocket" {
		cfg = client.Config{Transports: []client.Transport{client.WebSocket}}
	}
	cfg.Query = url.Values{"tag": {c.tag}}
	return c.cutAndBack(balancer, cfg)
}

func (c *cells) cutAndBack(network string, cfg client.Config) error {
	s, before, greetings, err := c.connected(network, cfg)
	if err != nil {
		return err
	}
	if err := errors.Join(c.settled(s), c.echo(s, 1.0), c.cut(network)); err != nil {
		return err
	}
	after, err := next(c.ctx, greetings)
	if err == nil && after.ID == before.ID {
		err = errors.New("the same id")
	}
	return errors.Join(err, c.settled(s), c.echo(s, "back"))
}

func (c *cells) recovery() error {
	observer, _, _, err := c.connected(direct+"/dyn-1", client.Config{Path: "/recovery/"})
	if err != nil {
		return err
	}
	s, _, err := c.open(relay+"/dyn-1", client.Config{Path: "/recovery/", Query: url.Values{"tag": {c.tag}}, NoReconnection: true})
	if err != nil {
		return err
	}
	news, gone := make(chan int, 10), make(chan bool, 10)
	s.On("news", func(n int) { news <- n })
	s.OnDisconnect(func(client.Reason, error) { gone <- true })
	if err := s.Connect(c.ctx); err != nil {
		return err
	}
	id := s.ID()
	ask := func(x *client.Socket, event string, args ...any) error {
		_, err := x.EmitWithAck(c.ctx, event, args...)
		return err
	}
	room := map[string]any{"rooms": []string{c.tag}}
	if err := errors.Join(ask(s, "join", c.tag), ask(observer, "all", room, "news", 0), c.settled(s), c.cut(relay)); err != nil {
		return err
	}
	if _, err := next(c.ctx, gone); err != nil {
		return err
	}
	if err := errors.Join(ask(observer, "watch", id), ask(observer, "all", room, "news", 1), ask(observer, "all", room, "news", 2),
		s.Connect(c.ctx), c.echo(s, 0.0)); err != nil {
		return err
	}
	var got []int
	for range 3 {
		n, err := next(c.ctx, news)
		if err != nil {
			return err
		}
		got = append(got, n)
	}
	if !s.Recovered() || s.ID() != id || !slices.Equal(got, []int{0, 1, 2}) {
		return fmt.Errorf("recovered %v, id %q of %q, news %v", s.Recovered(), s.ID(), id, got)
	}
	return nil
}

func main() {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for transport := range kinds {
		wg.Go(func() {
			for capability, run := range capabilities {
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				c := &cells{ctx: ctx, transport: transport, tag: fmt.Sprintf("go%d", rand.Uint64())}
				line := map[string]string{"client": "Beanpole's package client", "transport": transport, "capability": capability, "result": "ok"}
				err := run(c)
				for _, x := range c.opened {
					err = errors.Join(err, x.Close(ctx))
				}
				if err != nil {
					line["result"], line["note"] = "failed", err.Error()
				}
				b, _ := json.Marshal(line) // strings
				mu.Lock()
				_, _ = io.WriteString(os.Stdout, string(b)+"\n")
				mu.Unlock()
				cancel()
			}
		})
	}
	wg.Wait()
}
