package doctor

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/host"
	"github.com/beanpole/beanpole/transport"
)

// signed returns a certificate for a name or address that signs itself, and ends then.
func signed(name string, ends time.Time) *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: ends.Add(-90 * 24 * time.Hour), NotAfter: ends}
	if ip := net.ParseIP(name); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else {
		c.DNSNames = []string{name}
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

// rewrites is a proxy that changes requests and passes them on.
func rewrites(change func(*http.Request)) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		change(r)
		return false
	}
}

// switching changes the answers to WebSocket handshakes.
func switching(name, value string) func(*http.Response) error {
	return func(r *http.Response) error {
		if r.StatusCode == http.StatusSwitchingProtocols {
			r.Header.Set(name, value)
		}
		return nil
	}
}

// everyThird request is served otherwise.
func everyThird(serve func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool { return n.Add(1)%3 == 0 && serve(w, r) }
}

// mostly is everyThird turned round.
func mostly(serve func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool { return n.Add(1)%3 != 0 && serve(w, r) }
}

// down is an nginx without its application.
func down(w http.ResponseWriter, _ *http.Request) bool {
	nginxPage(w, http.StatusBadGateway)
	return true
}

// late is an instance that takes so long for what is no session's: long enough on a machine that has much to do.
func late(d time.Duration) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("transport") {
			select {
			case <-time.After(d):
			case <-r.Context().Done():
			}
		}
		return false
	}
}

// remembers is a proxy_cache of an nginx, with a handshake in it.
func remembers() func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if q := r.URL.Query(); r.Method != http.MethodGet || q.Has("sid") || q.Get("transport") != "polling" {
			return false
		}
		w.Header().Set(host.InstanceHeader, "b v1")
		_, _ = w.Write([]byte(`0{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":["websocket"],"pingInterval":1000,"pingTimeout":6000,"maxPayload":20000}`))
		return true
	}
}

// only is a configuration with another transport than both on the second instance.
func only(name transport.Name) func(int, *host.Config) {
	return func(i int, c *host.Config) {
		if i == 1 {
			c.Transports = []transport.Name{name}
		}
	}
}

// ifAsked is an nginx that serves some requests in its own way.
func ifAsked(is func(*http.Request) bool, serve http.HandlerFunc) nginx {
	return nginx{serve: func(w http.ResponseWriter, r *http.Request) bool {
		if is(r) {
			serve(w, r)
			return true
		}
		return false
	}}
}

func isOptions(r *http.Request) bool   { return r.Method == http.MethodOptions }
func isWebSocket(r *http.Request) bool { return r.Header.Get("Upgrade") != "" }
func hasBody(r *http.Request) bool     { return r.ContentLength > 0 }
func ofSession(r *http.Request) bool   { return r.URL.Query().Has("sid") }

// noServer answers as HAProxy does that has nobody to send a request to.
func noServer(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>", http.StatusServiceUnavailable)
}

// unanswered waits until the client does no more.
func unanswered(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // or the server does not see it go
	<-r.Context().Done()
}

// status answers as an nginx with its page of that status.
func status(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { nginxPage(w, n) }
}

// slowToForward has instances wait, as for Redis, before they say that they do not know another's session.
func slowToForward(_ int, cfg *host.Config) {
	before := cfg.Adjust
	cfg.Adjust = func(c *server.Config) {
		before(c)
		c.Transport.UnknownSession = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
			select {
			case <-time.After(4 * time.Second):
			case <-r.Context().Done():
			}
			return false
		}
	}
}

// degraded is a health path of instances that are apart.
func degraded(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte(`{"status":"degraded"}`))
}

// header changes what answers say.
func header(name, value string) func(*http.Response) error {
	return func(r *http.Response) error {
		if r.Header.Del(name); value != "" {
			r.Header.Set(name, value)
		}
		return nil
	}
}

// socketsTo sends WebSocket handshakes to the second instance, and all else to the first unless it is left to the balancer.
func socketsTo(all bool) func(*http.Request) (int, bool) {
	return func(r *http.Request) (int, bool) {
		if isWebSocket(r) {
			return 1, true
		}
		return 0, all
	}
}

// furtherEnvironments are broken where the others are not.
var furtherEnvironments = []broken{
	{"OPTIONS refused in one nginx", world{b: ifAsked(isOptions, status(405))}, nil, "preflight", Failure, "b", "takes no OPTIONS here", nil},
	{"OPTIONS not found in one nginx", world{b: ifAsked(isOptions, status(404))}, nil, "preflight", Failure, "b", "GET does", nil},
	{"OPTIONS answered in one nginx", world{b: ifAsked(isOptions, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })}, nil, "preflight", Failure, "b", "before it comes to the application", nil},
	{"bodies kept back in one nginx", world{b: ifAsked(hasBody, unanswered)}, quick, "polling", Failure, "b", "the body does not arrive", []string{"buffering", "upgrade", "body size"}},
	{"POST unanswered in one nginx", world{b: ifAsked(func(r *http.Request) bool { return r.Method == http.MethodPost }, unanswered)}, quick, "polling", Failure, "b", "POST does not get through", []string{"buffering", "upgrade", "body size"}},
	{"WebSocket handshakes unreadable for the balancer", world{b: ifAsked(isWebSocket, func(w http.ResponseWriter, _ *http.Request) { says("awselb/2.0", 502, "<html>")(w, nil) })}, nil, "websocket", Failure, "b", "Sec-WebSocket-Accept have to pass", []string{"upgrade"}},
	{"WebSocket handshakes unanswered", world{b: ifAsked(isWebSocket, unanswered)}, quick, "websocket", Failure, "b", "does not let it through", []string{"upgrade"}},
	{"WebSocket handshakes to where nobody listens, from one nginx", world{b: ifAsked(isWebSocket, status(502))}, nil, "websocket", Failure, "b", "nobody listens where nginx sends it", []string{"upgrade"}},
	{"WebSocket handshakes to where nobody listens", world{before: ifAsked(isWebSocket, noServer).serve}, nil, "websocket", Failure, "", "a proxy without a name has nobody to send it to", []string{"upgrade"}},
	{"WebSocket handshakes forbidden in one nginx", world{b: ifAsked(isWebSocket, status(403))}, nil, "websocket", Failure, "b", "answers it itself", []string{"upgrade"}},
	{"WebSocket handshakes of sessions forbidden in one nginx", world{b: ifAsked(func(r *http.Request) bool { return isWebSocket(r) && ofSession(r) }, status(403))}, nil, "upgrade", Failure, "b", "one without a session does", nil},
	{"POST to where nobody listens, from one nginx", world{b: ifAsked(func(r *http.Request) bool { return r.Method == http.MethodPost }, status(502))}, nil, "polling", Failure, "b", "nobody listens where nginx sends it", []string{"buffering", "upgrade", "body size"}},
	{"requests of sessions not found in one nginx", world{b: ifAsked(ofSession, status(404))}, nil, "polling", Failure, "b", "requests with a session id do not get through", []string{"buffering", "preflight", "upgrade", "body size"}},
	{"WebSockets of all at one instance", world{rule: socketsTo(false), probe: true}, nil, "broadcast", NotApplicable, "", "not two instances", nil},
	{"WebSocket handshakes to another instance", world{rule: socketsTo(true), cookies: "none"}, nil, "websocket", OK, "", "with b", nil},
	{"WebSocket handshakes to another instance than cookies say", world{rule: socketsTo(false)}, nil, "websocket", OK, "", "with b", nil},
	{"WebSocket handshakes to another instance that takes none", world{rule: socketsTo(true), cookies: "none", config: only(transport.Polling)}, nil, "websocket", Failure, "", "with b", []string{"upgrade"}},
	{"WebSocket handshakes to another instance that does not forward", world{rule: socketsTo(true), cookies: "none", lonely: true}, nil, "upgrade", Failure, "", "not known to b", nil},
	{"pages of the site over TLS taken for plain HTTP", world{tls: true}, func(o *Options) { o.Origin = o.URL }, "handshake", Failure, "", "not $scheme", nil},
	{"the port dropped on the way, and pages of the site", world{before: rewrites(func(r *http.Request) { r.Host = "127.0.0.1" })}, func(o *Options) { o.Origin = o.URL }, "handshake", Failure, "", "$http_host", nil},
	{"pages of plain HTTP of a site that has TLS", world{count: 1, before: func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("transport") {
			return false
		}
		w.Header().Set(host.InstanceHeader, "a v1")
		if r.Header.Get("Origin") == "https://"+r.Host {
			w.WriteHeader(400)
			_, _ = w.Write([]byte(`{"code":1,"message":"Session ID unknown"}`))
			return true
		}
		w.WriteHeader(403)
		_, _ = w.Write([]byte(`{"code":4,"message":"origin not allowed"}`))
		return true
	}}, func(o *Options) { o.Origin = o.URL }, "handshake", Failure, "", "use https", nil},
	{"another Host on the way, and pages of the site", world{before: rewrites(func(r *http.Request) { r.Host = "internal.example" })}, func(o *Options) { o.Origin = o.URL }, "handshake", Failure, "", "another Host", nil},
	{"a check of the application's own", world{before: func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("transport") {
			return false
		}
		w.Header().Set(host.InstanceHeader, "a v1")
		w.WriteHeader(403)
		_, _ = w.Write([]byte(`{"code":4,"message":"not you"}`))
		return true
	}, count: 1}, nil, "handshake", Failure, "", "AllowRequest", nil},
	{"Origin dropped on the way", world{before: rewrites(func(r *http.Request) { r.Header.Del("Origin") })}, nil, "cors", Failure, "", "or does not get Origin", []string{"preflight"}},
	{"CORS lost on the way back", world{after: header("Access-Control-Allow-Origin", "")}, nil, "cors", Failure, "", "lost on the way back", []string{"preflight"}},
	{"CORS of somebody else", world{after: header("Access-Control-Allow-Origin", "https://old.example.com")}, nil, "cors", Failure, "", "another origin is named", []string{"preflight"}},
	{"sessions of others waited for too long", world{config: slowToForward}, quick, "without cookies", Warning, "", "had no answer in time", nil},
	{"sessions of others waited for too long, and degraded", world{config: slowToForward, before: refuse("/healthz", degraded)}, quick, "without cookies", Warning, "", "the check of health says", []string{"health"}},
	{"certificate that has ended", world{tls: true, certificate: signed("127.0.0.1", time.Now().Add(-36*time.Hour))}, func(o *Options) { o.Insecure = false }, "tls", Failure, "", "ended 2 days ago", []string{"reach"}},
	{"certificate of another name", world{tls: true, certificate: signed("other.example.com", time.Now().Add(36*time.Hour))}, func(o *Options) { o.Insecure = false }, "tls", Failure, "", "other.example.com", []string{"reach"}},
	{"a name of IPv6 alone", world{lookup: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("2001:db8::1")}, nil
	}}, nil, "addresses", Warning, "", "IPv4", nil},
	{"redirect that drops the query", world{before: redirect(func(r *http.Request) string { return "https://" + r.Host + r.URL.Path })}, nil, "reach", Failure, "", "drops the query", nil},
	{"cookies dropped on the way", world{lonely: true, before: rewrites(func(r *http.Request) { r.Header.Del("Cookie") })}, nil, "stickiness", Failure, "", "AllViewer", []string{"without cookies"}},
	{"another Host on the way", world{before: rewrites(func(r *http.Request) { r.Host = "internal.example" }), config: func(_ int, c *host.Config) { c.AllowedHosts = []string{"127.0.0.1"} }},
		nil, "handshake", Failure, "", "proxy_set_header Host $host", nil},
	{"queries in small letters", world{count: 1, before: rewrites(func(r *http.Request) { r.URL.RawQuery = strings.ToLower(r.URL.RawQuery) })}, nil, "handshake", Failure, "", "query does not arrive", nil},
	{"session ids in small letters", world{count: 1, before: rewrites(func(r *http.Request) {
		q := r.URL.Query()
		q.Set("sid", strings.ToLower(q.Get("sid")))
		if r.URL.Query().Has("sid") {
			r.URL.RawQuery = q.Encode()
		}
	})}, nil, "polling", Failure, "", "changed on the way", []string{"buffering", "upgrade", "body size"}},
	{"bodies lost on the way", world{count: 1, before: rewrites(func(r *http.Request) {
		if r.Method == http.MethodPost {
			r.Body, r.ContentLength = http.NoBody, 0
		}
	})}, quick, "polling", Failure, "", "cannot read the body", []string{"buffering", "upgrade", "body size"}},
	{"a script put into answers", world{after: func(r *http.Response) error {
		if r.StatusCode == http.StatusOK && r.Request.Method == http.MethodGet {
			text, err := io.ReadAll(r.Body)
			text = append(text, "<script src=/x.js></script>"...)
			r.Body, r.ContentLength = readCloser{bytes.NewBuffer(text)}, int64(len(text))
			r.Header.Del("Content-Length")
			return err
		}
		return nil
	}}, nil, "handshake", Failure, "", "changes answers", nil},
	{"an extension nobody asked for", world{after: switching("Sec-WebSocket-Extensions", "permessage-deflate")}, nil, "websocket", Failure, "", "Sec-WebSocket-Extensions", []string{"upgrade"}},
	{"a handshake of somebody else", world{after: switching("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")}, nil, "websocket", Failure, "", "Sec-WebSocket-Accept", []string{"upgrade"}},
	{"WebSockets that may last only so long", world{count: 1, all: nginx{life: 2500 * time.Millisecond}}, func(o *Options) { o.Deep, o.Timeout = true, 3*time.Second }, "idle", Failure, "", "only so long", nil},
	{"pings that end after a while", world{count: 1, all: nginx{mute: 2500 * time.Millisecond}}, func(o *Options) { o.Deep, o.Timeout = true, 5*time.Second }, "idle", Warning, "", "held back", nil},
	{"one instance is slow", world{b: nginx{serve: late(time.Second)}}, func(o *Options) { o.Idle, o.Samples, o.hold = 30*time.Second, 4, 600*time.Millisecond }, "alike", Warning, "b", "slower", nil},
	{"refused in front now and then", world{count: 3, before: everyThird(says("awselb/2.0", 403, "<html>403 Forbidden</html>"))}, nil, "instances", Failure, "", "on the way to all instances", nil},
	{"refused in front more often than not", world{count: 3, before: mostly(says("awselb/2.0", 403, "<html>403 Forbidden</html>"))}, nil, "instances", Failure, "", "on the way to all instances", nil},
	{"one of three applications ends again and again", world{count: 3, b: nginx{serve: everyThird(down)}}, nil, "instances", Failure, "b", "again and again",
		[]string{"handshake", "caching", "health", "polling", "buffering", "preflight", "cors", "websocket", "upgrade", "body size"}},
	{"a cache in one nginx", world{count: 3, b: nginx{serve: remembers()}}, nil, "caching", Failure, "b", "proxy_cache", nil},
	{"a rate limit in one nginx", world{count: 3, b: nginx{serve: says("nginx", 429, "<center>nginx</center>")}}, nil, "instances", Failure, "1 without a name", "nginx limits", nil},
	{"no polling on one instance", world{count: 3, config: only(transport.WebSocket)}, nil, "alike", Warning, "b", "WebSocket alone on b", nil},
	{"no WebSocket on one instance", world{count: 3, config: only(transport.Polling)}, nil, "websocket", Failure, "b", "BEANPOLE_TRANSPORTS", []string{"alike", "upgrade"}},
	{"a balancer that sets its cookie once", world{tls: true, cookies: "once"}, func(o *Options) { o.Origin = "" }, "cookies", OK, "", "SERVERID", nil},
	{"HTTP/1.0 between nginx and application", world{b: nginx{serve: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Upgrade") == "" {
			return false
		}
		w.Header().Set(host.InstanceHeader, "b v1")
		http.Error(w, "HTTP/1.1 required", http.StatusBadRequest)
		return true
	}}}, nil, "websocket", Failure, "b", "proxy_http_version 1.1", []string{"upgrade"}},
	{"HTTPS to a listener of HTTP", world{}, func(o *Options) { o.URL = "https" + strings.TrimPrefix(o.URL, "http") }, "tls", Failure, "", "speaks no TLS", []string{"reach"}},
	{"HTTP to a listener of HTTPS", world{tls: true}, func(o *Options) { o.URL = "http" + strings.TrimPrefix(o.URL, "https") }, "instances", Failure, "", "speaks TLS alone", nil},
	{"HTTP/2 alone", world{tls: true, alone: "h3"}, // Go's own lets those in that only speak HTTP/1.1 when it is told h2
		nil, "tls", Failure, "", "AlpnPolicy", []string{"reach"}},
	{"more instances than there should be", world{count: 3}, func(o *Options) { o.Instances = 2 }, "instances", Warning, "", "3 instead of 2", nil},
	{"one of the instances that there should be dead", world{count: 3, b: nginx{down: true}}, func(o *Options) { o.Instances = 3 }, "instances", Failure, "1 without a name", "a, c serve well", nil},
	{"body limit of 1 kB", world{all: nginx{maxBody: 1000}}, nil, "body size", Failure, "", "client_max_body_size", nil},
}

func TestFurtherEnvironments(t *testing.T) { lookAt(t, furtherEnvironments) }

// Each address has to speak TLS as the others do.
func TestOneOfTheAddressesSpeaksNoTLS(t *testing.T) {
	e := start(t, world{tls: true, lookup: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.78")}, nil
	}})
	l, err := net.Listen("tcp", "127.0.0.78:"+e.front.URL[strings.LastIndex(e.front.URL, ":")+1:])
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	served := make(chan struct{})
	go func() { defer close(served); _ = other.Serve(l) }()
	defer func() { _ = other.Close(); <-served }()
	r := e.look(t, func(o *Options) { o.Timeout = 5 * time.Second })
	if got := r.Of("addresses"); got.Verdict != Failure || got.Instance != "127.0.0.78" || !strings.Contains(got.Means, "speaks no TLS") {
		t.Errorf("addresses: %+v", got)
	}
}

// A machine without IPv6 is not the environment's fault.
func TestNoWayToAnAddress(t *testing.T) {
	err := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
	if c := explain(err); !strings.Contains(c.means, "no IPv6 here") {
		t.Errorf("%+v", c)
	}
}
