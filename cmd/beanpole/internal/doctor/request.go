package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 4 << 20

// instanceHeader is on the application's own answers.
const instanceHeader = "X-Beanpole"

// reply is an answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// by says who answered: the application, nginx, the load balancer, or something else.
func (r *reply) by() string {
	server := strings.ToLower(r.header.Get("Server"))
	code := r.code()
	switch {
	case r.header.Get(instanceHeader) != "" || code >= 0:
		return "the application"
	case strings.Contains(server, "awselb"):
		return "the load balancer"
	case strings.Contains(server, "cloudfront"):
		return "CloudFront"
	case strings.Contains(server, "nginx") && (bytes.Contains(r.body, []byte("<center>nginx")) || r.status >= 500):
		return "nginx"
	case bytes.Contains(r.body, []byte("<center>nginx")):
		return "nginx"
	case server != "":
		return "a server that calls itself " + server + " (nginx puts its name on answers of the application too)"
	}
	return "the load balancer or a proxy"
}

// code is the Engine.IO error code of the answer, or -1.
func (r *reply) code() int {
	var e struct {
		Code    *int
		Message string
	}
	if r.status < 400 || json.Unmarshal(r.body, &e) != nil || e.Code == nil {
		return -1
	}
	return *e.Code
}

// String describes the answer in a few words.
func (r *reply) String() string {
	text := strings.Join(strings.Fields(string(r.body)), " ")
	if len(text) > 80 {
		text = text[:80] + "…"
	}
	return strings.TrimSpace(fmt.Sprintf("%d from %s: %s", r.status, r.by(), text))
}

// target returns the URL of the Socket.IO path with a query.
func (d *doctor) target(query string) *url.URL {
	u := *d.base
	u.Path, u.RawQuery = d.Path, query
	return &u
}

// do sends a request and reads the answer. header is pairs of names and values.
func (d *doctor) do(ctx context.Context, method string, u *url.URL, body []byte, jar http.CookieJar, header ...string) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	return d.send(ctx, method, u, body, jar, header...)
}

// send is do with no deadline but ctx's.
func (d *doctor) send(ctx context.Context, method string, u *url.URL, body []byte, jar http.CookieJar, header ...string) (*reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	r.Header.Set("User-Agent", "beanpole-doctor")
	if d.Origin != "" {
		r.Header.Set("Origin", d.Origin)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	if jar != nil {
		for _, c := range jar.Cookies(u) {
			r.AddCookie(c)
		}
	}
	res, err := d.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if jar != nil {
		jar.SetCookies(u, res.Cookies())
	}
	return &reply{res.StatusCode, res.Header, text}, nil
}
