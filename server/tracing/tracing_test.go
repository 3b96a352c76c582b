package tracing_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 20 * time.Second
	traceID  = "0af7651916cd43dd8448eb211c80319c"
)

// run serves a server with a Tracer, has a client send packets, and returns the spans when it has gone.
func run(t *testing.T, cfg tracing.Config, app func(*server.Server), packets ...string) tracetest.SpanStubs {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))
	if cfg.Provider == nil {
		cfg.Provider = provider
	}
	srv, err := server.New(server.Config{Observers: []server.Observer{tracing.New(cfg)}})
	if err != nil {
		t.Fatal(err)
	}
	app(srv)
	web := httptest.NewServer(srv)
	defer web.Close()
	d := ws.Dialer{Header: ws.HandshakeHeaderString("traceparent: 00-" + traceID + "-b7ad6b7169203331-01\r\n")}
	conn, br, _, err := d.Dial(t.Context(), "ws"+strings.TrimPrefix(web.URL, "http")+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	p := peer{Reader: conn, Conn: conn}
	if br != nil {
		p.Reader = io.MultiReader(br, conn)
	}
	for _, packet := range append([]string{"40"}, packets...) {
		if err := wsutil.WriteClientText(conn, []byte(packet)); err != nil {
			t.Fatal(err)
		}
	}
	if err := wsutil.WriteClientText(conn, []byte(`429["last"]`)); err != nil {
		t.Fatal(err)
	}
	for {
		b, err := wsutil.ReadServerText(p)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(b), "439") {
			break
		}
	}
	_ = conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	return spans.GetSpans()
}

type peer struct {
	io.Reader
	net.Conn
}

func (p peer) Read(b []byte) (int, error) { return p.Reader.Read(b) }

func app(srv *server.Server) {
	srv.Use(func(*server.Socket) error { return nil })
	srv.OnConnection(func(s *server.Socket) { s.OnDisconnect(func(server.Disconnection) {}) })
	srv.On("works", func(ctx context.Context) bool { return trace.SpanFromContext(ctx).SpanContext().IsValid() })
	srv.On("fails", func() error { return errors.New("no beans") })
	srv.On("panics", func() { panic("no beans") })
	srv.On("asks", func(ctx context.Context, s *server.Socket) {
		_, _ = s.Timeout(time.Millisecond).EmitWithAck(ctx, "question")
	})
	srv.On("last", func(ctx context.Context) bool { return true })
}

func TestSpansOfASocket(t *testing.T) {
	spans := run(t, tracing.Config{}, app, `421["works"]`, `42["fails"]`, `42["panics"]`, `42["made up","secret"]`, `42["asks"]`)
	var names []string
	for _, s := range spans {
		names = append(names, s.Name)
		var keys []string
		for _, a := range s.Attributes {
			keys = append(keys, string(a.Key))
			if strings.Contains(a.Value.String(), "made up") || strings.Contains(a.Value.String(), "secret") {
				t.Errorf("%s has %v", s.Name, a)
			}
		}
		if !slices.Contains(keys, "socketio.namespace") || !slices.Contains(keys, "socketio.session") {
			t.Errorf("%s has only %q", s.Name, keys)
		}
		failed := map[string]string{
			"socket.io receive fails": "no beans", "socket.io receive panics": "panic: no beans",
			"socket.io acknowledgement": server.ErrTimeout.Error(),
		}[s.Name]
		if (s.Status.Code == codes.Error) != (failed != "") || s.Status.Description != failed {
			t.Errorf("%s: %v, want %q", s.Name, s.Status, failed)
		}
		connecting := s.Name == "socket.io middleware" || s.Name == "socket.io connection"
		if (s.SpanContext.TraceID().String() == traceID) != connecting {
			t.Errorf("%s is in trace %s", s.Name, s.SpanContext.TraceID())
		}
		if s.EndTime.Before(s.StartTime) {
			t.Errorf("%s from %v to %v", s.Name, s.StartTime, s.EndTime)
		}
	}
	want := []string{
		"socket.io middleware", "socket.io connection", "socket.io receive works", "socket.io receive fails",
		"socket.io receive panics", "socket.io receive", "socket.io acknowledgement", "socket.io receive asks",
		"socket.io receive last", "socket.io disconnect",
	}
	if !slices.Equal(names, want) {
		t.Errorf("spans %q, want %q", names, want)
	}
	works := spans[2]
	if !slices.Contains(works.Attributes, attribute.String("socketio.transport", "websocket")) ||
		!slices.Contains(works.Attributes, attribute.String("socketio.event", "works")) || works.SpanKind != trace.SpanKindConsumer {
		t.Errorf("%v, %v", works.Attributes, works.SpanKind)
	}
}

func TestAcksCanBeLeftOut(t *testing.T) {
	for _, s := range run(t, tracing.Config{NoAcks: true}, app, `42["asks"]`) {
		if s.Name == "socket.io acknowledgement" {
			t.Error("a span of an acknowledgement")
		}
	}
}

func TestSamplingIsTheProviders(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	off := sdk.NewTracerProvider(sdk.WithSyncer(spans), sdk.WithSampler(sdk.NeverSample()))
	run(t, tracing.Config{Provider: off}, app, `421["works"]`, `42["fails"]`)
	if n := len(spans.GetSpans()); n != 0 {
		t.Errorf("%d spans", n)
	}
}
