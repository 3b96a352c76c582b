package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
)

// Discard takes a session of any node for nobody.
func (n *namespace) Discard(ctx context.Context, pid string) error {
	if n.line == nil {
		return adapter.ErrNoRecovery
	}
	ctx, cancel := n.bound(ctx)
	defer cancel()
	s, err := n.find(ctx, pid, true)
	if err == nil {
		err = n.claim(ctx, s)
	}
	if errors.Is(err, errUnknown) || errors.Is(err, adapter.ErrTaken) {
		return nil
	}
	return err
}

var errUnknown = fmt.Errorf("%w: unknown or expired session", adapter.ErrNoRecovery)

// find returns a session of any node, and takes over the socket of one that has not ended yet.
func (n *namespace) find(ctx context.Context, pid string, forGood bool) (*adapter.Session, error) {
	s, err := n.load(ctx, pid)
	var silent error
	if errors.Is(err, redis.Nil) {
		silent = n.takeOver(ctx, adapter.SocketID(pid), forGood) // or it may have been saved between two questions
		s, err = n.load(ctx, pid)
	}
	switch {
	case errors.Is(err, redis.Nil) && silent != nil:
		return nil, fmt.Errorf("%w: not every server that may have the session has answered: %w", adapter.ErrNoRecovery, silent)
	case errors.Is(err, redis.Nil):
		return nil, errUnknown
	case err != nil:
		return nil, fmt.Errorf("%w: %w", adapter.ErrNoRecovery, err)
	case s.PID != pid || s.Namespace != "" && s.Namespace != n.name:
		return nil, fmt.Errorf("%w: session of another", adapter.ErrNoRecovery)
	}
	return s, nil
}

func (n *namespace) load(ctx context.Context, pid string) (*adapter.Session, error) {
	var text string
	err := persist(ctx, func() (err error) {
		text, err = n.c.client.Get(ctx, n.c.cfg.SessionPrefix+pid).Result()
		return err
	})
	n.noted(ctx, err)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(text, takenMark) {
		return nil, redis.Nil
	}
	s, err := parseSession(text)
	if err == nil {
		s.Version = takenBy(text)
	}
	return s, err
}
