package doctor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 4 << 20

// instanceHeader is on the application's own answers.
const instanceHeader = "X-Beanpole"

// reply is an answer.
type reply struct {
	method  string // of the request
	session bool   // whether it named one
	status  int
	header  http.Header
	body    []byte
	began   time.Time
	took    time.Duration
	conn    io.ReadWriteCloser // of a WebSocket
}

// drop ends the connection of an answer that nobody wants, which may be nil.
func (r *reply) drop() {
	if r != nil && r.conn != nil {
		_ = r.conn.Close()
	}
}

// The usual answers to who has answered.
const (
	byApplication = "the application"
	byNginx       = "nginx"
	byBalancer    = "the load balancer"
	byCloudFront  = "CloudFront"
	byCloudflare  = "Cloudflare"
)

// name is that of the instance, or "".
func (r *reply) name() string {
	name, _, _ := strings.Cut(r.header.Get(instanceHeader), " ")
	return name
}

// by says who answered.
func (r *reply) by() string {
	server := strings.ToLower(r.header.Get("Server"))
	switch {
	case r.header.Get(instanceHeader) != "" || r.code() >= 0:
		return byApplication
	case strings.Contains(server, "awselb"):
		return byBalancer
	case strings.Contains(server, "cloudfront"):
		return byCloudFront
	case strings.Contains(server, "cloudflare"):
		return byCloudflare
	case bytes.Contains(r.body, []byte("<center>nginx")) || strings.Contains(server, "nginx") && r.status >= 500:
		return byNginx
	case server != "":
		return "a server that calls itself " + server + " (nginx puts its name on answers of the application too)"
	}
	return "a proxy without a name"
}

// messages are those of the Engine.IO error codes, with which requests for WebSockets are refused in plain text.
var messages = []string{"Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request", "Forbidden", "Unsupported protocol version"}

// code is the Engine.IO error code of the answer, or -1.
func (r *reply) code() int {
	var e struct {
		Code    *int
		Message string
	}
	switch {
	case r.status < 400:
	case json.Unmarshal(r.body, &e) == nil && e.Code != nil:
		return *e.Code
	case r.status == http.StatusBadRequest:
		return slices.Index(messages, string(r.body))
	}
	return -1
}

// says reports whether the application refuses with that message.
func (r *reply) says(message string) bool {
	return r.by() == byApplication && bytes.Contains(r.body, []byte(message))
}

// refusesOrigin reports whether the application refuses a page for its origin.
func (e errAnswer) refusesOrigin() bool {
	return e.status == http.StatusForbidden && e.says("origin not allowed")
}

// String describes the answer in a few words.
func (r *reply) String() string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(r.body), "?")), " ")
	if to := r.header.Get("Location"); to != "" {
		text = "to " + to
	}
	if len(text) > 80 {
		text = text[:80] + "…"
	}
	return strings.TrimSuffix(fmt.Sprintf("%d from %s: %s", r.status, r.by(), text), ": ")
}
