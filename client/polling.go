package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// separator stands between the packets of a polling payload. Protocol: Packet encoding, HTTP long-polling.
const separator = "\x1e"

// address returns the URL of a transport, of a session if it has one.
func (e *engine) address(t Transport) string {
	u := *e.url
	q := url.Values{}
	for k, v := range e.cfg.Query {
		q[k] = v
	}
	q.Set("EIO", "4")
	q.Set("transport", string(t))
	if e.hello.SID != "" {
		q.Set("sid", e.hello.SID)
	}
	u.Path, u.RawQuery = e.cfg.Path, q.Encode()
	return u.String()
}

// request makes one request and returns the body of its answer.
func (e *engine) request(ctx context.Context, method string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, e.address(Polling), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	r.Header = e.cfg.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	res, err := e.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, int64(e.cfg.MaxMessageBytes)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("client: %w", err)
	case res.StatusCode != http.StatusOK:
		return nil, &StatusError{res.StatusCode, string(b[:min(len(b), 200)])}
	case len(b) > e.cfg.MaxMessageBytes:
		return nil, fmt.Errorf("client: answer to a poll of more than %d bytes", e.cfg.MaxMessageBytes)
	}
	return b, nil
}

// once keeps an http.Transport from repeating a GET whose connection has broken before the answer, as it does: a poll that is repeated
// after the server has answered it has lost what was in that answer. A body that nobody knows how to read again does.
type once struct{ http.RoundTripper }

// RoundTrip sends a request at most once.
func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == http.NoBody && r.Header.Get("Upgrade") == "" {
		r = r.WithContext(r.Context())
		r.Body, r.GetBody = io.NopCloser(bytes.NewReader(nil)), nil
	}
	return o.RoundTripper.RoundTrip(r)
}

// CloseIdleConnections does what http.Client's asks of its transport.
func (o once) CloseIdleConnections() {
	if c, ok := o.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// poll asks for packets until the session ends or is about to be upgraded.
func (e *engine) poll() {
	defer close(e.polled)
	for !e.stopsPolling() {
		body, err := e.request(e.ctx, http.MethodGet, nil)
		if err != nil {
			e.end(ReasonTransportError, err)
			return
		}
		if !e.payload(body) {
			return
		}
	}
}

func (e *engine) stopsPolling() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pausing || e.ended
}

// payload takes the packets of a poll's answer. It reports false when the session has ended.
func (e *engine) payload(body []byte) bool {
	for one := range strings.SplitSeq(string(body), separator) {
		f := frame{data: []byte(one)}
		if strings.HasPrefix(one, "b") {
			b, err := base64.StdEncoding.DecodeString(one[1:])
			if err != nil {
				e.end(ReasonParseError, fmt.Errorf("client: binary in a poll: %w", err))
				return false
			}
			f = frame{b, true}
		}
		if !e.packet(f) {
			return false
		}
	}
	return true
}

// post sends packets in one body.
func (e *engine) post(batch []frame) error {
	var b []byte
	for i, f := range batch {
		if i > 0 {
			b = append(b, separator...)
		}
		if f.binary {
			b = base64.StdEncoding.AppendEncode(append(b, 'b'), f.data)
		} else {
			b = append(b, f.data...)
		}
	}
	_, err := e.request(e.ctx, http.MethodPost, b)
	return err
}

// fits returns how many of the packets fit into one body: one at least.
func (e *engine) fits(list []frame) int {
	if e.hello.MaxPayload <= 0 {
		return len(list)
	}
	size := 0
	for i, f := range list {
		n := len(f.data) + 1
		if f.binary {
			n = base64.StdEncoding.EncodedLen(len(f.data)) + 2
		}
		if size += n; i > 0 && size > e.hello.MaxPayload {
			return i
		}
	}
	return len(list)
}
