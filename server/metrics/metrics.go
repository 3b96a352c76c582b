package metrics

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

const (
	// maxEvents is how many event names become labels; the rest are "other".
	maxEvents = 100
	// other is the label of events without one of their own.
	other = "other"
	// maxServed is how many are shown the metrics at a time: what has been gathered for one is held until it has been read.
	maxServed = 4
)

// buckets of times, in seconds: 50 microseconds to 10 seconds.
var buckets = []float64{50e-6, 250e-6, 1e-3, 5e-3, 25e-3, .1, .5, 2.5, 10}

// Metrics are the metrics of one server. Make them with New; all methods may be called from any
// goroutine.
type Metrics struct {
	registry *prometheus.Registry     // what Handler shows: own, the process and the Go runtime
	own      *prometheus.Registry     // of the server, and what Register adds
	handler  http.Handler             // of all that show registry
	handlers *prometheus.HistogramVec // by event
	failures *prometheus.CounterVec   // by event
	panics   *prometheus.CounterVec   // by event
	acks     prometheus.Histogram
	ackFails prometheus.Counter

	events atomic.Pointer[map[string]*eventMetrics] // by event name; replaced, never changed
	mu     sync.Mutex                               // held to replace it

	watches atomic.Bool // a server
	untold  sync.Once   // done: it has been said that nobody tells of handlers
}

// eventMetrics are the metrics of one event, looked up once.
type eventMetrics struct {
	took   prometheus.Observer
	failed prometheus.Counter
	panics prometheus.Counter
}

var (
	_ server.Observer      = (*Metrics)(nil)
	_ prometheus.Collector = (*Metrics)(nil)
)

// New returns metrics of a server that is still to be made: they are one of its Observers. The process
// and the Go runtime are among them.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		own:      prometheus.NewRegistry(),
		handlers: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "beanpole_handler_seconds", Buckets: buckets,
			Help: "Time all handlers of an event took, by event; connection, middleware and disconnect among them.",
		}, []string{"event"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "beanpole_handler_failures_total", Help: "Events whose handlers returned an error or panicked, by event.",
		}, []string{"event"}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "beanpole_handler_panics_total", Help: "Those failures that were panics, by event.",
		}, []string{"event"}),
		acks: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "beanpole_ack_seconds", Buckets: buckets, Help: "Time clients took to acknowledge events.",
		}),
		ackFails: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "beanpole_ack_failures_total", Help: "Waits for an acknowledgement that ended without one.",
		}),
	}
	m.events.Store(&map[string]*eventMetrics{})
	m.own.MustRegister(m.handlers, m.failures, m.panics, m.acks, m.ackFails)
	m.registry.MustRegister(m,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxServed})
	return m
}

// Source is a server whose counters are shown: a *server.Server, or a *zishang.Handler.
type Source interface {
	// Engine returns the transport beneath.
	Engine() *transport.Server
	// Stats returns the server's own counters.
	Stats() server.Stats
	// SocketCounts returns the connected sockets of this server by namespace.
	SocketCounts() map[string]int
}

var _ Source = (*server.Server)(nil)

// Watch adds the counters of s. It panics when called twice: the metrics of a host watch its server already.
func (m *Metrics) Watch(s Source) {
	if !m.watches.CompareAndSwap(false, true) {
		panic("metrics: Watch is called twice; the metrics of a host watch its server already, and metrics are those of one server")
	}
	m.own.MustRegister(collector{s, m})
}

// sayUntold says once that the server watched has sockets come and go of which m is not told.
func (m *Metrics) sayUntold(gone uint64) {
	if gone > 0 && len(*m.events.Load()) == 0 {
		m.untold.Do(func() {
			slog.Warn("the metrics of handlers and acknowledgements stay empty: they are none of the server's observers; name them in Observers of server.Config")
		})
	}
}

// Register adds a collector of the application or of an adapter.
func (m *Metrics) Register(c prometheus.Collector) error { return m.own.Register(c) }

// Describe sends nothing: more may be registered, and some labels are not known before they are counted.
func (m *Metrics) Describe(chan<- *prometheus.Desc) {}

// Collect sends all that is not of the process and the Go runtime, which a registry of the application's own has already:
// prometheus.MustRegister(m).
func (m *Metrics) Collect(ch chan<- prometheus.Metric) { m.own.Collect(ch) }

// Handler serves the metrics in Prometheus' text form, to four who ask at a time, of all handlers of m together; others
// are answered 503. One who does not read is one of the four until the WriteTimeout of the http.Server ends it.
func (m *Metrics) Handler() http.Handler { return m.handler }

// Handling does nothing: all is known when the handlers have returned.
func (m *Metrics) Handling(ctx context.Context, _ *server.Socket, _ string, _ bool) context.Context {
	return ctx
}

// Handled measures the handlers of one event.
func (m *Metrics) Handled(_ context.Context, _ *server.Socket, event string, known bool, took time.Duration, err error) {
	if !known {
		event = other
	}
	e := m.event(event)
	e.took.Observe(took.Seconds())
	if err != nil {
		e.failed.Inc()
		if errors.Is(err, server.ErrPanic) {
			e.panics.Inc()
		}
	}
}

// Acknowledged measures one wait for an acknowledgement.
func (m *Metrics) Acknowledged(_ *server.Socket, took time.Duration, err error) {
	if err != nil {
		m.ackFails.Inc()
		return
	}
	m.acks.Observe(took.Seconds())
}

// event returns the metrics of an event, or those of the rest when there are too many.
func (m *Metrics) event(name string) *eventMetrics {
	if e := (*m.events.Load())[name]; e != nil {
		return e
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	events := *m.events.Load()
	if events[name] == nil && len(events) >= maxEvents {
		name = other
	}
	if e := events[name]; e != nil {
		return e
	}
	e := &eventMetrics{m.handlers.WithLabelValues(name), m.failures.WithLabelValues(name), m.panics.WithLabelValues(name)}
	events = maps.Clone(events)
	events[name] = e
	m.events.Store(&events)
	return e
}
