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
	send := func(t prometheus.ValueType, name, help string, v float64, pairs ...string) {
		var labels, values []string
		for i := 0; i+1 < len(pairs); i += 2 {
			labels, values = append(labels, pairs[i]), append(values, pairs[i+1])
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("beanpole_cluster_"+name, help, labels, nil), t, v, values...)
	}
	count := func(name, help string, v uint64) { send(prometheus.CounterValue, name, help, float64(v)) }
	gauge := func(name, help string, v int) { send(prometheus.GaugeValue, name, help, float64(v)) }

	status, st := cc.c.redis.Status(), cc.c.redis.Stats()
	works := func(ok bool) float64 {
		if ok {
			return 1
		}
		return 0
	}
	send(prometheus.GaugeValue, "up", "1 while all parts of the cluster work, 0 while it is degraded.", works(status.Up))
	for _, p := range status.Parts {
		send(prometheus.GaugeValue, "part_up", "1 while a part of the cluster works, 0 while it does not.", works(p.Err == nil),
			"part", p.Kind.String(), "of", p.Of)
	}
	gauge("servers", "Live Beanpole servers, this one included.", status.Nodes)
	send(prometheus.GaugeValue, "lag_seconds", "How long a message takes through Redis and back, by the last heartbeat.", status.Lag.Seconds())
	send(prometheus.GaugeValue, "stream_lag_seconds", "How far this server is behind the end of a stream.", status.StreamLag.Seconds())
	send(prometheus.GaugeValue, "fetch_lag_seconds", "For how long messages of other servers have been missing that others wait behind.", status.FetchLag.Seconds())
	gauge("outbox_messages", "Messages that wait for Redis.", st.Waiting)
	gauge("outbox_bytes", "Bytes that wait for Redis.", st.WaitingBytes)
	count("published_total", "Messages that Redis has taken.", st.Published)
	count("received_total", "Messages from other servers.", st.Received)
	count("skipped_total", "Messages dropped unread: own, or for rooms with nobody here.", st.Skipped)
	count("fetched_total", "Messages of other servers that this one had missed and got from their sender.", st.Fetched)
	count("malformed_total", "Messages that could not be understood.", st.Malformed)
	count("reconnects_total", "Subscriptions that had to be made again.", st.Reconnects)
	lost := map[string]uint64{"outbox full": 0, "too old": 0, "unconfirmed": 0, "not kept": 0, "trimmed": 0, "stream lost": 0} // seen before they happen, for alerts
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
