package host

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/beanpole/beanpole/adapter"
)

// requests measures what this server asks the others of its cluster.
type requests struct {
	took     *prometheus.HistogramVec // by kind
	outcomes *prometheus.CounterVec   // by kind and outcome
}

func newRequests() *requests {
	return &requests{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "beanpole_cluster_request_seconds", Buckets: []float64{1e-3, 5e-3, 25e-3, .1, .5, 1, 2.5, 5, 10},
			Help: "Time until the other servers had answered, by kind; acks wait for their clients too.",
		}, []string{"kind"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "beanpole_cluster_requests_total", Help: "Questions to the other servers, by kind and outcome.",
		}, []string{"kind", "outcome"}),
	}
}

// watch returns the factory with the questions of its adapters measured.
func (r *requests) watch(f adapter.Factory) adapter.Factory {
	return func(n adapter.Namespace) (adapter.Adapter, error) {
		a, err := f(n)
		if err != nil {
			return nil, err
		}
		return asking{a, r}, nil
	}
}

// asking is an adapter whose questions are measured.
type asking struct {
	adapter.Adapter
	requests *requests
}

// Unwrap returns the adapter, for adapter.As.
func (a asking) Unwrap() adapter.Adapter { return a.Adapter }

// measure notes the end of a question that began at start.
func (a asking) measure(kind string, local bool, start time.Time, err error) {
	if local {
		return
	}
	outcome := "answered"
	var partial *adapter.PartialError
	switch {
	case errors.As(err, &partial):
		outcome = "partial"
	case err != nil:
		outcome = "failed"
	}
	a.requests.took.WithLabelValues(kind).Observe(time.Since(start).Seconds())
	a.requests.outcomes.WithLabelValues(kind, outcome).Inc()
}

func (a asking) BroadcastWithAck(ctx context.Context, m adapter.Message, t adapter.Target, answer func(adapter.Message), done func(error)) {
	start := time.Now()
	a.Adapter.BroadcastWithAck(ctx, m, t, answer, func(err error) {
		a.measure("acks", t.Local, start, err)
		done(err)
	})
}

func (a asking) Fetch(ctx context.Context, t adapter.Target) ([]adapter.Details, error) {
	start := time.Now()
	list, err := a.Adapter.Fetch(ctx, t)
	a.measure("fetch", t.Local, start, err)
	return list, err
}

func (a asking) Count(ctx context.Context, t adapter.Target) (int, error) {
	start := time.Now()
	n, err := a.Adapter.Count(ctx, t)
	a.measure("count", t.Local, start, err)
	return n, err
}

func (a asking) ServerSideEmitWithAck(ctx context.Context, m adapter.Message, answer func(adapter.Message)) error {
	start := time.Now()
	err := a.Adapter.ServerSideEmitWithAck(ctx, m, answer)
	a.measure("server side", false, start, err)
	return err
}

func (a asking) Restore(ctx context.Context, pid, offset string) (*adapter.Session, error) {
	start := time.Now()
	s, err := a.Adapter.Restore(ctx, pid, offset)
	if errors.Is(err, adapter.ErrNoRecovery) {
		a.measure("restore", false, start, nil) // an answer too
		return s, err
	}
	a.measure("restore", false, start, err)
	return s, err
}
