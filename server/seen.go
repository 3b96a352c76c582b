package server

import (
	"context"
	"errors"
	"log/slog"

	"github.com/beanpole/beanpole/server/packet"
)

// seen returns what the client may see of the error of a handler or a middleware. Config.MapError says it, but for what
// is made for clients.
func (s *Socket) seen(ctx context.Context, event string, err error) error {
	if errors.Is(err, ErrPanic) {
		return errInternal // which is logged already
	}
	mapError := s.client.server.cfg.MapError
	if mapError == nil || forClients(err) {
		return err
	}
	var mapped error
	if s.protect(event, func() error { mapped = usable(mapError(ctx, s, event, err)); return nil }) != nil { // logged
		return errInternal
	}
	if mapped != nil {
		return hidePanic(mapped)
	}
	level := slog.LevelWarn
	var sent *packet.ArgError
	if errors.As(err, &sent) { // the client's mistake, as often as it likes
		level = slog.LevelDebug
	}
	s.client.log().Log(ctx, level, "error hidden from a client", "namespace", s.name, "event", event[:min(len(event), maxLoggedName)], "err", err)
	return errInternal
}

// forClients reports whether err, as it is and not wrapped, is what the application or this package has to say to clients.
func forClients(err error) bool {
	switch err.(type) {
	case *Error, *LimitError:
		return true
	}
	return err == errInvalidNamespace || err == errNotMade || err == ErrDisconnected //nolint:errorlint // see above
}
