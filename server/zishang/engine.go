package zishang

import (
	"context"
	"net/http"

	"github.com/zishang520/engine.io/v2/config"
	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/engine.io/v2/utils"

	"github.com/beanpole/beanpole/transport"
)

// engineView is the transport as the library's engine. What is not here is answered by an inert one.
type engineView struct {
	engine.BaseServer
	h *Handler
}

var _ engine.BaseServer = (*engineView)(nil)

// Opts returns the options.
func (e *engineView) Opts() config.ServerOptionsInterface { return e.h.cfg.Options }

// ClientsCount returns the number of open sessions.
func (e *engineView) ClientsCount() uint64 { return uint64(e.h.Engine().Sessions()) }

// Close closes all sessions and waits for their handlers, no longer than closeTimeout. Server.Close calls
// it last.
func (e *engineView) Close() engine.BaseServer {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := e.h.Shutdown(ctx); err != nil {
		e.h.log.Warn("not closed in time", "err", err)
	}
	return e
}

// hook puts the library's events of requests before what the configuration has.
func (e *engineView) hook(c *transport.Config) {
	refused := c.ConnectionError
	c.ConnectionError = func(err *transport.ConnectionError) {
		if refused != nil {
			refused(err)
		}
		if e.ListenerCount("connection_error") > 0 {
			e.h.protect("connection_error", func() {
				e.Emit("connection_error", &types.ErrorMessage{
					CodeMessage: &types.CodeMessage{Code: int(err.Code), Message: err.Message},
					Req:         newContext(err.Request), Context: err.Context,
				})
			})
		}
	}
	c.InitialHeaders = e.headers("initial_headers", c.InitialHeaders)
	c.Headers = e.headers("headers", c.Headers)
}

// headers lets listeners of the event add headers to an answer.
func (e *engineView) headers(event string, first func(http.Header, *http.Request)) func(http.Header, *http.Request) {
	return func(header http.Header, r *http.Request) {
		if first != nil {
			first(header, r)
		}
		if e.ListenerCount(types.EventName(event)) == 0 {
			return
		}
		bag := utils.NewParameterBag(nil)
		e.h.protect(event, func() { e.Emit(types.EventName(event), bag, newContext(r)) })
		for name, values := range bag.All() {
			header[http.CanonicalHeaderKey(name)] = values
		}
	}
}

// admit runs the middlewares of Engine().Use and reports whether the request goes on.
func (e *engineView) admit(w http.ResponseWriter, r *http.Request) bool {
	if len(e.Middlewares()) == 0 {
		return true
	}
	c := types.NewHttpContext(w, r)
	defer c.Flush()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	_ = c.On("close", func(...any) { cancel() }) // a middleware has answered
	err, ok := answer(ctx, func(next func(error)) { e.ApplyMiddlewares(c, next) })
	if err != nil {
		http.Error(w, `{"code":3,"message":"Bad request"}`, http.StatusBadRequest)
	}
	if !ok || err != nil {
		return false
	}
	for name, values := range c.ResponseHeaders.All() {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	return true
}
