package host

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

const (
	// defaultService is the name under which traces appear without OTEL_SERVICE_NAME.
	defaultService = "beanpole"
	// defaultCollector is where a collector listens on this machine.
	defaultCollector = "http://localhost:4318"
	// exportTimeout bounds one request to the collector. OTLP: the default of OTEL_EXPORTER_OTLP_TIMEOUT.
	exportTimeout = 10 * time.Second
)

// parseHeaders reads the headers for the collector: name=value with commas between, values percent-encoded.
// OpenTelemetry: Specifying headers via environment variables.
func parseHeaders(s string) (http.Header, error) {
	out := make(http.Header)
	for part := range strings.SplitSeq(s, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !ok || err != nil || !word.MatchString(name) {
			// The value is not shown: it is a key more often than not.
			return nil, &ValueError{"OTEL_EXPORTER_OTLP_HEADERS", "…", "a list such as api-key=value,other=value"}
		}
		out.Set(name, value)
	}
	return out, nil
}

// validCollector reports whether traces can be sent to the URL.
func validCollector(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && validPort(u)
}

// otlpProtocol is the variable that names the protocol spoken with the collector.
const otlpProtocol = "OTEL_EXPORTER_OTLP_PROTOCOL"

// checkTraces returns a *ValueError for each variable that is OpenTelemetry's to read and has a value that is not
// spoken, or with which its SDK panics, sends without a pause, or takes all the memory.
func checkTraces(value func(name string) string) (bad []error) {
	if p := value(otlpProtocol); p != "" && p != "http/json" {
		bad = append(bad, &ValueError{otlpProtocol, p, "http/json, or not set"})
	}
	for _, v := range []struct {
		name string
		most int
	}{
		{"OTEL_BSP_MAX_QUEUE_SIZE", 1 << 20}, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1 << 20}, // spans
		{"OTEL_BSP_SCHEDULE_DELAY", 3_600_000}, {"OTEL_BSP_EXPORT_TIMEOUT", 3_600_000}, // milliseconds
	} {
		text := value(v.name)
		if n, err := strconv.Atoi(text); text != "" && (err != nil || n < 1 || n > v.most) {
			bad = append(bad, &ValueError{v.name, text, fmt.Sprintf("a number from 1 to %d", v.most)})
		}
	}
	return bad
}

// checkTracing returns a *ValueError for headers that are none.
func (cfg *Config) checkTracing() error {
	_, err := parseHeaders(cfg.TracesHeaders)
	return err
}

// newTracing makes what sends spans to the collector that the OTEL_ variables name. It does
// not wait for the collector. h.traces has to be shut down.
func (h *Host) newTracing(ctx context.Context) error {
	if bad := checkTraces(os.Getenv); len(bad) > 0 {
		return bad[0]
	}
	header, err := parseHeaders(h.cfg.TracesHeaders)
	if err != nil {
		return err
	}
	exporter := &otlp{
		url:    strings.TrimSuffix(cmp.Or(h.cfg.TracesEndpoint, defaultCollector), "/") + "/v1/traces",
		header: header,
		client: http.Client{Timeout: exportTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}},
	}
	// What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say counts more than this.
	about, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", defaultService),
		attribute.String("service.instance.id", h.cfg.instance()),
		attribute.String("service.version", h.cfg.version()),
	), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { h.log.Warn("traces not sent", "err", err) }))
	h.traces = trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about))
	return nil
}

// endTracing sends what is left and ends it.
func (h *Host) endTracing(ctx context.Context) {
	if h.traces == nil {
		return
	}
	if err := h.traces.Shutdown(ctx); err != nil {
		h.log.Warn("traces not sent", "err", err) // a collector that is down is no reason to stop badly
	}
}
