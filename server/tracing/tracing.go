package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/beanpole/beanpole/server"
)

const scope = "github.com/beanpole/beanpole/server/tracing"

// The attributes of spans.
const (
	keyEvent     = attribute.Key("socketio.event")
	keyNamespace = attribute.Key("socketio.namespace")
	keySession   = attribute.Key("socketio.session") // a number of this server's, no secret
	keyTransport = attribute.Key("socketio.transport")
)

// Config configures a Tracer. The zero value is usable.
type Config struct {
	// Provider makes the spans. Nil means the global one, which records nothing until it is set.
	Provider trace.TracerProvider
	// Propagator finds the trace that a handshake is part of in its headers. Nil means W3C's traceparent.
	// Whoever can send requests can choose the trace; leave these headers out at the proxy if that matters.
	Propagator propagation.TextMapPropagator
	// NoAcks leaves out the waits for clients' acknowledgements.
	NoAcks bool
}

// Tracer is an Observer that makes spans. Its methods may be called from any goroutine.
type Tracer struct {
	// Set by New, then read only.
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
	noAcks     bool
}

var _ server.Observer = (*Tracer)(nil)

// New returns a Tracer, to be put among the Observers of a server.
func New(cfg Config) *Tracer {
	if cfg.Provider == nil {
		cfg.Provider = otel.GetTracerProvider()
	}
	if cfg.Propagator == nil {
		cfg.Propagator = propagation.TraceContext{}
	}
	return &Tracer{cfg.Provider.Tracer(scope), cfg.Propagator, cfg.NoAcks}
}

// Handling makes the span of an event's handlers, or of a connection, its middlewares or its end.
func (t *Tracer) Handling(ctx context.Context, s *server.Socket, event string, known bool) context.Context {
	kind, name := trace.SpanKindConsumer, "socket.io receive"
	switch {
	case known && (event == "middleware" || event == "connection"):
		kind, name = trace.SpanKindServer, "socket.io "+event
		if s != nil {
			ctx = t.propagator.Extract(ctx, propagation.HeaderCarrier(s.Handshake().Header()))
		}
	case known && event == "disconnect":
		kind, name = trace.SpanKindInternal, "socket.io disconnect"
	case known:
		name += " " + event
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(kind))
	if span.IsRecording() {
		span.SetAttributes(attributes(s)...)
		if known {
			span.SetAttributes(keyEvent.String(event))
		}
	}
	return ctx
}

// Handled ends the span.
func (t *Tracer) Handled(ctx context.Context, _ *server.Socket, _ string, _ bool, _ time.Duration, err error) {
	span := trace.SpanFromContext(ctx)
	if err != nil && span.IsRecording() {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// Acknowledged makes the span of a wait for a client's acknowledgement.
func (t *Tracer) Acknowledged(s *server.Socket, took time.Duration, err error) {
	if t.noAcks {
		return
	}
	now := time.Now()
	_, span := t.tracer.Start(context.Background(), "socket.io acknowledgement",
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(now.Add(-took)))
	if span.IsRecording() {
		span.SetAttributes(attributes(s)...)
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
	}
	span.End(trace.WithTimestamp(now))
}

func attributes(s *server.Socket) []attribute.KeyValue {
	if s == nil {
		return nil
	}
	return []attribute.KeyValue{
		keyNamespace.String(s.Namespace().Name()),
		keySession.Int64(int64(s.Session().Num())),
		keyTransport.String(string(s.Session().Transport())),
	}
}
