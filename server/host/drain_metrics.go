package host

import "github.com/prometheus/client_golang/prometheus"

// drainCollector shows the progress of a drain to Prometheus when it asks.
type drainCollector struct{ h *Host }

var (
	drainingDesc = prometheus.NewDesc("beanpole_draining", "1 while new sessions are refused, to stop or to be replaced.", nil, nil)
	drainLeft    = prometheus.NewDesc("beanpole_drain_left_sessions", "Sessions that the drain which runs has still to close.", nil, nil)
	drainClosed  = prometheus.NewDesc("beanpole_drain_closed_sessions_total", "Sessions closed by drains.", nil, nil)
)

// Describe names the metrics.
func (drainCollector) Describe(out chan<- *prometheus.Desc) {
	out <- drainingDesc
	out <- drainLeft
	out <- drainClosed
}

// Collect sends them.
func (c drainCollector) Collect(out chan<- prometheus.Metric) {
	draining := 0.0
	if c.h.draining.Load() {
		draining = 1
	}
	d := &c.h.drainer
	out <- prometheus.MustNewConstMetric(drainingDesc, prometheus.GaugeValue, draining)
	out <- prometheus.MustNewConstMetric(drainLeft, prometheus.GaugeValue, float64(d.left.Load()))
	out <- prometheus.MustNewConstMetric(drainClosed, prometheus.CounterValue, float64(d.closed.Load()))
}
