package redis

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
)

// A connection of the pool that broke, or was closed by Redis or something between while nothing happened on it, is
// no outage: the next may be had at once. So whoever asks Redis something asks again, and complains of what is then.
// What is published is not asked again, see doubt.go.

// severed reports whether err is the end of a connection on which a command was, or was to be.
func severed(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op != "dial" && !op.Timeout()
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}

// again calls fn again as long as the connection breaks that it had, some hundred times in about a second: a pool has
// many, and what closes one closes others. fn may be done twice.
func again(ctx context.Context, fn func() error) error {
	for n := 0; ; n++ {
		err := fn()
		if !severed(err) || n == 96 || !sleep(ctx, time.Millisecond<<(n/16)) {
			return err
		}
	}
}

// persist calls fn again as long as the connection to Redis breaks, or it fails for another reason that passes, until
// ctx ends.
func persist(ctx context.Context, fn func() error) error {
	for n := 0; ; n++ {
		err := fn()
		var answer redis.Error
		var nowhere *Unlocated
		if err == nil || errors.As(err, &nowhere) && nowhere.Known || errors.As(err, &answer) && !passing(answer) || errors.Is(err, adapter.ErrNoRecovery) || errors.Is(err, adapter.ErrTaken) ||
			ctx.Err() != nil || !pause(ctx, n) {
			return err
		}
	}
}
