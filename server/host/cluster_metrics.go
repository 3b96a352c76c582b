package host

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// clusterCollector shows the cluster to Prometheus when it asks.
type clusterCollector struct{ c *cluster }

// Describe sends nothing: some labels are not known before they are counted.
func (clusterCollector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the cluster's counters.
func (cc clusterCollector) Collect(out chan<- prometheus.Metric) {
	send := func(t prometheus.ValueType, name, help string, v float64, label, value string) {
		var labels, values []string
		if label != "" {
			labels, values = []string{label}, []string{value}
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("beanpole_cluster_"+name, help, labels, nil), t, v, values...)
	}
	count := func(name, help string, v uint64) { send(prometheus.CounterValue, name, help, float64(v), "", "") }
	gauge := func(name, help string, v int) { send(prometheus.GaugeValue, name, help, float64(v), "", "") }

	status, st := cc.c.redis.Status(), cc.c.redis.Stats()
	up := 0
	if status.Up {
		up = 1
	}
	gauge("up", "1 while what this server publishes comes back to it, 0 while the cluster is degraded.", up)
	gauge("servers", "Live Beanpole servers, this one included.", status.Nodes)
	send(prometheus.GaugeValue, "lag_seconds", "How long a message takes through Redis and back, by the last heartbeat.", status.Lag.Seconds(), "", "")
	gauge("outbox_messages", "Messages that wait for Redis.", st.Waiting)
	gauge("outbox_bytes", "Bytes that wait for Redis.", st.WaitingBytes)
	count("published_total", "Commands that Redis has acknowledged.", st.Published)
	count("received_total", "Messages from other servers.", st.Received)
	count("skipped_total", "Messages dropped unread: own, or for rooms with nobody here.", st.Skipped)
	count("malformed_total", "Messages that could not be understood.", st.Malformed)
	count("reconnects_total", "Subscriptions that had to be made again.", st.Reconnects)
	lost := map[string]uint64{"outbox full": 0, "too old": 0, "unconfirmed": 0, "not kept": 0} // seen before they happen, for alerts
	maps.Copy(lost, st.Lost)
	for _, cause := range slices.Sorted(maps.Keys(lost)) {
		send(prometheus.CounterValue, "lost_total", "Messages not published, or of others and missed, by cause.", float64(lost[cause]), "cause", cause)
	}
	if f := cc.c.forwarder.Load(); f != nil {
		counts := f.Counts()
		for _, cause := range slices.Sorted(maps.Keys(counts)) {
			send(prometheus.CounterValue, "unknown_sessions_total",
				"Requests of sessions this server does not hold, by what became of them; forwarded means stickiness is off.",
				float64(counts[cause]), "cause", cause)
		}
	}
}
