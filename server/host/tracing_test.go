package host

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/beanpole/beanpole/server"
)

func TestTracesGoToTheCollector(t *testing.T) {
	type attributes []struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
	var mu sync.Mutex
	var got []struct {
		Name, TraceID, SpanID, ParentSpanID, StartTimeUnixNano string
		Kind                                                   int
		Status                                                 struct{ Code int }
		Attributes                                             attributes
	}
	about := map[string]string{}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		about["path"], about["key"] = r.URL.Path, r.Header.Get("X-Key")
		var body struct {
			ResourceSpans []struct {
				Resource   struct{ Attributes attributes }
				ScopeSpans []struct{ Spans json.RawMessage }
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.ResourceSpans) != 1 {
			t.Errorf("%+v: %v", body, err)
			return
		}
		for _, a := range body.ResourceSpans[0].Resource.Attributes {
			about[a.Key] = a.Value.StringValue
		}
		for _, scope := range body.ResourceSpans[0].ScopeSpans {
			list := got[:0:0]
			if err := json.Unmarshal(scope.Spans, &list); err != nil {
				t.Error(err)
			}
			got = append(got, list...)
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_SERVICE_NAME", "bean-counter")
	cfg, err := fromEnv([]string{
		"BEANPOLE_TRACING=true", "OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL + "/",
		"OTEL_EXPORTER_OTLP_HEADERS=x-key=a%20secret, other=1", "BEANPOLE_INSTANCE=i-7",
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Port, cfg.Host = AnyPort, "127.0.0.1"
	h, _ := newTestHost(t, cfg)
	h.IO().On("works", func(*server.Socket) bool { return true })
	h.IO().On("fails", func() error { return errors.New("no") })
	done := running(t, h)
	session := connect(t, h)
	for _, event := range []string{`421["works"]`, `421["fails"]`} {
		say(t, h, session, event)
		get(t, h, session)
	}
	say(t, h, session, "1")
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil { // having sent what was left
		t.Errorf("Run: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	for key, want := range map[string]string{
		"path": "/v1/traces", "key": "a secret", "service.name": "bean-counter", "service.instance.id": "i-7",
	} {
		if about[key] != want {
			t.Errorf("%s is %q, want %q", key, about[key], want)
		}
	}
	status := map[string]int{}
	for _, s := range got {
		status[s.Name] = s.Status.Code
		if len(s.TraceID) != 32 || len(s.SpanID) != 16 || len(s.StartTimeUnixNano) != 19 || s.Kind == 0 || len(s.Attributes) < 3 {
			t.Errorf("span %+v", s)
		}
	}
	want := map[string]int{"socket.io middleware": 0, "socket.io connection": 0, "socket.io receive works": 0, "socket.io receive fails": 2}
	if !maps.Equal(status, want) {
		t.Errorf("spans and their status: %v, want %v", status, want)
	}
}

func TestCollectorThatIsDownHarmsNothing(t *testing.T) {
	h, log := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1", Tracing: true, TracesEndpoint: "http://127.0.0.1:1"})
	done := running(t, h)
	session := connect(t, h)
	say(t, h, session, "1")
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Errorf("Run: %v", err)
	}
	if !strings.Contains(log.String(), "traces not sent") {
		t.Errorf("nothing of it in the log: %s", log)
	}
}

// What OpenTelemetry reads for itself, and panics of, is refused like any other value.
func TestNumbersOfTracingAreRefused(t *testing.T) {
	for _, name := range []string{"OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT"} {
		for _, value := range []string{"-1", "0", "many", "100000000000"} {
			t.Run(name+"="+value, func(t *testing.T) {
				t.Setenv(name, value)
				_, err := New(Config{Tracing: true})
				var bad *ValueError
				if !errors.As(err, &bad) || bad.Variable != name {
					t.Errorf("got %v", err)
				}
			})
		}
	}
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
	h, err := New(Config{Tracing: true, NoAdmin: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTracingSpeaksOneProtocol(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	_, err := New(Config{Tracing: true})
	var bad *ValueError
	if !errors.As(err, &bad) || bad.Variable != "OTEL_EXPORTER_OTLP_PROTOCOL" {
		t.Errorf("got %v", err)
	}
	if h, err := New(Config{NoAdmin: true}); err != nil {
		t.Errorf("without tracing: %v", err)
	} else if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestHeadersForTheCollector(t *testing.T) {
	for _, s := range []string{"hunter2", "=hunter2", "a b=hunter2", "a=hunter2%", "a=1,hunter2"} {
		_, err := fromEnv([]string{"OTEL_EXPORTER_OTLP_HEADERS=" + s})
		var bad *ValueError
		if !errors.As(err, &bad) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", s, err)
		}
	}
}
