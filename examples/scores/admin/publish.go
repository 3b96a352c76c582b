package main

import (
	"bytes"
	"cmp"
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/examples/scores/match"
)

// closeTimeout bounds the wait for what is still on its way to Redis.
const closeTimeout = 5 * time.Second

// publisher sends events through Redis or by HTTP.
type publisher struct {
	emitter *redis.Emitter // nil by HTTP
	url     string
	token   string
}

func newPublisher(url string) (*publisher, error) {
	p := &publisher{url: strings.TrimSuffix(url, "/") + "/events", token: os.Getenv("SCORES_TOKEN")}
	at := os.Getenv("REDIS_URL")
	if at == "" {
		return p, nil
	}
	// The servers have recovery on, for which they talk over streams.
	cfg := redis.Config{URL: at, Mode: redis.Mode(cmp.Or(os.Getenv("BEANPOLE_REDIS_MODE"), string(redis.Streams)))}
	if prefix := os.Getenv("BEANPOLE_REDIS_PREFIX"); prefix != "" {
		cfg.Prefix, cfg.Stream = prefix, prefix
	}
	var err error
	p.emitter, err = redis.NewEmitter(cfg)
	return p, err
}

// publish sends an event to every client, and to the servers, which keep it for those who come late. The
// servers come first: a client that connects in between has it twice, and knows it by its id.
func (p *publisher) publish(ctx context.Context, e match.Event) error {
	e.ID, e.At = crand.Text(), time.Now().UnixMilli()
	if p.emitter != nil {
		return errors.Join(p.emitter.ServerSideEmit("event", e), p.emitter.Emit("event", e))
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		why, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
		return fmt.Errorf("%s: %s: %s", p.url, answer.Status, bytes.TrimSpace(why))
	}
	return nil
}

// close waits until what was published is with Redis.
func (p *publisher) close() {
	if p.emitter == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := p.emitter.Close(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
