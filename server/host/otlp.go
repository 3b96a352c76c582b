package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
)

// otlp sends spans to a collector by OTLP over HTTP, in JSON. OpenTelemetry's own exporter does so in
// Protobuf, for which it brings gRPC along: 19 MB more in every program on a host.
// Source: OpenTelemetry Protocol Specification 1, OTLP/HTTP and JSON Protobuf Encoding.
type otlp struct {
	url    string
	header http.Header
	client http.Client
}

var _ trace.SpanExporter = (*otlp)(nil)

// The form of a request, as far as it is used.
type (
	otlpRequest struct {
		ResourceSpans []otlpResourceSpans `json:"resourceSpans"`
	}
	otlpResourceSpans struct {
		Resource   otlpAttributes   `json:"resource"`
		ScopeSpans []otlpScopeSpans `json:"scopeSpans"`
	}
	otlpAttributes struct {
		Attributes []otlpAttribute `json:"attributes"`
	}
	otlpScopeSpans struct {
		Scope otlpScope  `json:"scope"`
		Spans []otlpSpan `json:"spans"`
	}
	otlpScope struct {
		Name string `json:"name"`
	}
	otlpSpan struct {
		TraceID    string          `json:"traceId"` // hexadecimal, unlike other bytes in JSON Protobuf
		SpanID     string          `json:"spanId"`
		Parent     string          `json:"parentSpanId,omitempty"`
		Name       string          `json:"name"`
		Kind       int             `json:"kind"`
		Start      string          `json:"startTimeUnixNano"`
		End        string          `json:"endTimeUnixNano"`
		Attributes []otlpAttribute `json:"attributes,omitempty"`
		Events     []otlpEvent     `json:"events,omitempty"`
		Status     otlpStatus      `json:"status"`
	}
	otlpEvent struct {
		Time       string          `json:"timeUnixNano"`
		Name       string          `json:"name"`
		Attributes []otlpAttribute `json:"attributes,omitempty"`
	}
	otlpStatus struct {
		Code    int    `json:"code,omitempty"` // 0 unset, 1 ok, 2 error: not the order of package codes
		Message string `json:"message,omitempty"`
	}
	otlpAttribute struct {
		Key   string            `json:"key"`
		Value map[string]string `json:"value"`
	}
)

// ExportSpans sends spans. The SDK calls it for batches and logs its error.
func (o *otlp) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	body, err := json.Marshal(otlpForm(spans))
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, values := range o.header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := o.client.Do(r)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is used again
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%d spans lost: the collector answers %s", len(spans), res.Status)
	}
	return nil
}

// Shutdown closes the connections.
func (o *otlp) Shutdown(context.Context) error {
	o.client.CloseIdleConnections()
	return nil
}

// otlpForm is the request for spans, which are all of one resource.
func otlpForm(spans []trace.ReadOnlySpan) otlpRequest {
	if len(spans) == 0 {
		return otlpRequest{}
	}
	scopes := make(map[string]int)
	rs := otlpResourceSpans{Resource: otlpAttributes{otlpList(spans[0].Resource().Attributes())}}
	for _, s := range spans {
		name := s.InstrumentationScope().Name
		i, ok := scopes[name]
		if !ok {
			i = len(rs.ScopeSpans)
			scopes[name] = i
			rs.ScopeSpans = append(rs.ScopeSpans, otlpScopeSpans{Scope: otlpScope{name}})
		}
		rs.ScopeSpans[i].Spans = append(rs.ScopeSpans[i].Spans, otlpSpanOf(s))
	}
	return otlpRequest{[]otlpResourceSpans{rs}}
}

func otlpSpanOf(s trace.ReadOnlySpan) otlpSpan {
	out := otlpSpan{
		TraceID: s.SpanContext().TraceID().String(), SpanID: s.SpanContext().SpanID().String(),
		Name: s.Name(), Kind: int(s.SpanKind()), Start: nanos(s.StartTime()), End: nanos(s.EndTime()),
		Attributes: otlpList(s.Attributes()),
	}
	if s.Parent().SpanID().IsValid() {
		out.Parent = s.Parent().SpanID().String()
	}
	for _, e := range s.Events() {
		out.Events = append(out.Events, otlpEvent{nanos(e.Time), e.Name, otlpList(e.Attributes)})
	}
	switch s.Status().Code {
	case codes.Ok:
		out.Status.Code = 1
	case codes.Error:
		out.Status = otlpStatus{2, s.Status().Description}
	}
	return out
}

// nanos is a 64-bit number, which JSON Protobuf writes as a text.
func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// otlpList is a list of attributes. What is neither a text nor a whole number is sent as a text.
func otlpList(list []attribute.KeyValue) []otlpAttribute {
	out := make([]otlpAttribute, len(list))
	for i, kv := range list {
		kind := "stringValue"
		if kv.Value.Type() == attribute.INT64 {
			kind = "intValue"
		}
		out[i] = otlpAttribute{string(kv.Key), map[string]string{kind: kv.Value.String()}}
	}
	return out
}
