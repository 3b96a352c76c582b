package client

import (
	"context"
	"time"

	"github.com/beanpole/beanpole/internal/shrink"
)

// retried is an event that is sent until it is acknowledged.
type retried struct {
	payload
	ctx     context.Context // of who waits for it; nil for nobody
	timeout time.Duration
	done    func(Args, error)
}

// retry queues an event. One after the other is sent: what is given up does not overtake, nor is overtaken.
// Source: socket.io-client, lib/socket.ts, _addToQueue.
func (s *Socket) retry(r *retried) {
	if r.ctx == nil {
		r.ctx = s.c.ctx
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retries = append(s.retries, r)
	if !s.retrying && s.c.ctx.Err() == nil {
		s.retrying = true
		s.c.wg.Go(s.retryAll)
	}
}

// retryAll works on the queue until it is empty.
func (s *Socket) retryAll() {
	for {
		s.mu.Lock()
		if len(s.retries) == 0 {
			s.retrying = false
			s.mu.Unlock()
			return
		}
		r := shrink.First(&s.retries)
		s.mu.Unlock()
		r.done(s.attempt(r))
	}
}

// attempt sends an event as often as it may be sent.
func (s *Socket) attempt(r *retried) (a Args, err error) {
	for range 1 + s.c.cfg.Retries {
		if err = s.connected(r.ctx); err != nil {
			return a, err
		}
		if a, err = s.ask(r.ctx, r.payload, false, r.timeout); err == nil || r.ctx.Err() != nil || s.c.ctx.Err() != nil {
			return a, err
		}
	}
	return a, err
}

// connected waits until the socket is connected.
func (s *Socket) connected(ctx context.Context) error {
	s.mu.Lock()
	up := s.up
	s.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.c.ctx.Done():
		return ErrClosed
	}
}
