package host

import (
	"bufio"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/redis/redistest"
	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/internal/authority"
	"github.com/beanpole/beanpole/internal/logs"
	"github.com/beanpole/beanpole/server"
)

// testAuthority is an authority that this process trusts, by a file.
var (
	testAuthority = authority.New()
	authorityFile string
)

// issue writes a certificate for 127.0.0.1 and its key over those that are there.
func issue(t *testing.T, cfg Config, serial int64, until time.Time) {
	t.Helper()
	der, key := testAuthority.Sign(&x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	writeFile(t, cfg.TLSCert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	writeFile(t, cfg.TLSKey, keyPEM(t, key))
}

func keyPEM(t *testing.T, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// withTLS returns cfg with a certificate of testAuthority.
func withTLS(t *testing.T, cfg Config) Config {
	t.Helper()
	folder := t.TempDir()
	cfg.TLSCert, cfg.TLSKey = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	issue(t, cfg, 2, time.Now().Add(time.Hour))
	return cfg
}

// Clients of all transports reach a host with a certificate, by https and wss.
func TestHostSpeaksTLS(t *testing.T) {
	h, _ := newTestHost(t, withTLS(t, Config{Port: AnyPort, Host: "127.0.0.1", StopDrainTime: 10 * time.Millisecond}))
	h.IO().OnConnection(func(s *server.Socket) {
		s.On("ask", func() bool { return s.Handshake().Secure() })
	})
	ctx, cancel := context.WithCancel(t.Context())
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	defer func() {
		cancel()
		if err := await(t, done); err != nil {
			t.Error(err)
		}
	}()
	if !strings.HasPrefix(h.URL(), "https://127.0.0.1:") || !strings.HasPrefix(h.AdminURL(), "http://") {
		t.Errorf("URL %s, admin listener %s", h.URL(), h.AdminURL())
	}
	if got := get(t, h, "healthz"); !strings.Contains(got, `"status":"ok"`) {
		t.Errorf("healthz answers %s", got)
	}
	for _, transports := range [][]client.Transport{{client.Polling}, {client.WebSocket}, nil} {
		c, err := client.New(h.URL(), client.Config{Transports: transports})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Socket().Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		secure, err := client.Ask[bool](t.Context(), c.Socket(), "ask")
		if err != nil || !secure {
			t.Errorf("%v: secure %v, %v", transports, secure, err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	t.Run("node", func(t *testing.T) { nodeOverTLS(t, h.URL()) })
	conn, err := tls.Dial("tcp", h.listener.Addr().String(), &tls.Config{NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("of h2 and http/1.1 the host takes %q", got)
	}
	_ = conn.Close()
}

// nodeOverTLS has socket.io-client connect. It needs Node and the client from the project's package.json (npm ci).
func nodeOverTLS(t *testing.T, url string) {
	if _, err := os.Stat("../../node_modules/socket.io-client"); err != nil {
		t.Skip("socket.io-client is not installed")
	}
	cmd := exec.CommandContext(t.Context(), "node", "--input-type=module", "-e", `
		import { io } from "socket.io-client";
		for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
			const socket = io(process.argv[1], { transports, reconnection: false });
			const upgraded = new Promise((done) => transports.length == 1 ? done() : socket.io.engine.once("upgrade", done));
			socket.on("connect_error", (err) => { throw err; });
			if (await socket.emitWithAck("ask") !== true) throw new Error("not secure");
			await upgraded;
			socket.disconnect();
		}`, url)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+authorityFile)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A session of one server is served by another, over https.
func TestForwardingOverTLS(t *testing.T) {
	r := redistest.Start(t)
	cfg := withTLS(t, Config{DrainTime: 10 * time.Millisecond, ShutdownTimeout: 5 * time.Second})
	a, b := newNode(t, r, cfg), newNode(t, r, cfg)
	acquainted(t, a, b)
	session := connect(t, a)
	if err := a.IO().Emit("hello", "through b"); err != nil {
		t.Fatal(err)
	}
	if got := get(t, b, session); got != `42["hello","through b"]` {
		t.Errorf("got %q", got)
	}
	res, err := http.Post(b.URL()+session, "text/plain", strings.NewReader("1")) // the client takes its leave
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}

// A new certificate is served without a restart; files that cannot be used leave the old one, which is said once.
func TestCertificateIsRenewed(t *testing.T) {
	cfg := withTLS(t, Config{})
	h, log := newTestHost(t, cfg)
	c := h.certificate
	now := time.Now()
	look := func() int64 {
		now = now.Add(certificateEvery)
		c.look(now)
		pair, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.SerialNumber.Int64()
	}
	steps := []struct {
		about  string
		change func()
		serial int64
		warned int
	}{
		{"nothing has changed", func() {}, 2, 0},
		{"renewed", func() { issue(t, cfg, 33333, now.Add(time.Hour)) }, 33333, 0},
		{"being written", func() { writeFile(t, cfg.TLSCert, []byte("-----BEGIN")) }, 33333, 0},
		{"left half written", func() {}, 33333, 1},
		{"and left so", func() {}, 33333, 1},
		{"gone", func() { _ = os.Remove(cfg.TLSCert) }, 33333, 2},
		{"there again", func() { issue(t, cfg, 4444444, now.Add(time.Hour)) }, 4444444, 2},
		{"another's key", func() { writeFile(t, cfg.TLSKey, keyPEM(t, testAuthority.Key)); look() }, 4444444, 3},
		{"ended already", func() { issue(t, cfg, 555555555, now.Add(-time.Minute)) }, 555555555, 4},
	}
	for _, s := range steps {
		s.change()
		if got := look(); got != s.serial {
			t.Errorf("%s: the certificate has number %d, want %d", s.about, got, s.serial)
		}
		logs.Flush(h.life, time.Minute)
		if got := strings.Count(log.String(), "level=WARN") + strings.Count(log.String(), "level=ERROR"); got != s.warned {
			t.Errorf("%s: %d warnings, want %d:\n%s", s.about, got, s.warned, log)
		}
	}
	if strings.Contains(log.String(), "BEGIN") {
		t.Error("what is in the files is in the log")
	}
}

// lineWriter takes the lines of a log.
type lineWriter chan string

func (w lineWriter) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}

// await waits for a line with what in it.
func (w lineWriter) await(t *testing.T, what string) {
	t.Helper()
	for end := time.After(20 * time.Second); ; {
		select {
		case line := <-w:
			if strings.Contains(line, what) {
				return
			}
		case <-end:
			t.Fatalf("the log never says %q", what)
		}
	}
}

// That happens while nobody connects, too: the metric has the new end, and the log what is wrong with files.
func TestCertificateIsLookedAtWithoutClients(t *testing.T) {
	log := make(lineWriter, 10000)
	cfg := withTLS(t, Config{Port: AnyPort, Host: "127.0.0.1", Logger: slog.New(slog.NewTextHandler(log, nil))})
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.certificate.every = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	log.await(t, "listening")
	end := time.Now().Add(5 * time.Hour)
	issue(t, cfg, 33333, end)
	log.await(t, "has been renewed")
	if got := shownEnd(t, h); got != end.Unix() {
		t.Errorf("the metric is %d, want %d", got, end.Unix())
	}
	_ = os.Remove(cfg.TLSCert)
	log.await(t, "cannot be used")
	issue(t, cfg, 4444444, time.Now().Add(time.Minute))
	log.await(t, "ends soon")
	cancel()
	if err := await(t, done); err != nil {
		t.Error(err)
	}
}

// shownEnd returns the end of the certificate as the metrics have it.
func shownEnd(t *testing.T, h *Host) int64 {
	t.Helper()
	shown := httptest.NewRecorder()
	h.Metrics().Handler().ServeHTTP(shown, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	_, text, _ := strings.Cut(shown.Body.String(), "\nbeanpole_certificate_end_timestamp_seconds ")
	text, _, _ = strings.Cut(text, "\n")
	got, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(got)
}

// A certificate that nobody renews is an error in the log from a week before its end on, or a sixth of its time, once a day; and its end is
// in the metrics, without it too.
func TestCertificateEnds(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	for _, c := range []struct {
		lasts time.Duration
		looks []time.Duration // before the end
		said  int
	}{
		{90 * day, []time.Duration{30 * day, 8 * day}, 0},
		{90 * day, []time.Duration{7 * day, 7*day - hour, 6*day - hour}, 2},
		{90 * day, []time.Duration{hour, -hour, -2 * hour, -26 * hour}, 3},
		{day, []time.Duration{8 * hour, 5 * hour}, 0},
		{day, []time.Duration{4 * hour, 3 * hour}, 1},
	} {
		cfg := withTLS(t, Config{})
		end := time.Now().Add(c.lasts)
		issue(t, cfg, 2, end)
		h, log := newTestHost(t, cfg)
		for _, before := range c.looks {
			h.certificate.look(end.Add(-before))
		}
		logs.Flush(h.life, time.Minute)
		if got := strings.Count(log.String(), "level=ERROR"); got != c.said {
			t.Errorf("of %v, %v before the end: said %d times, want %d:\n%s", c.lasts, c.looks, got, c.said, log)
		}
		if got := shownEnd(t, h); got != end.Unix() {
			t.Errorf("the metric is %d, want %d", got, end.Unix())
		}
	}
}

// Files that cannot be used stop the start with one line, without what is in them.
func TestBadCertificateStopsTheStart(t *testing.T) {
	good := withTLS(t, Config{})
	folder := t.TempDir()
	file := func(name, content string) string {
		writeFile(t, filepath.Join(folder, name), []byte(content))
		return filepath.Join(folder, name)
	}
	text, _ := os.ReadFile(good.TLSKey)
	for _, c := range []struct{ cert, key, variable, reason string }{
		{good.TLSCert, "", "BEANPOLE_TLS_CERT", "BEANPOLE_TLS_KEY is not set"},
		{"", good.TLSKey, "BEANPOLE_TLS_KEY", "BEANPOLE_TLS_CERT is not set"},
		{filepath.Join(folder, "none"), good.TLSKey, "BEANPOLE_TLS_CERT", "no such file or directory"},
		{folder, good.TLSKey, "BEANPOLE_TLS_CERT", "is a directory"},
		{file("empty", ""), good.TLSKey, "BEANPOLE_TLS_CERT", "there is no certificate in it"},
		{good.TLSKey, good.TLSKey, "BEANPOLE_TLS_CERT", "there is no certificate in it"},
		{file("bad", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), good.TLSKey, "BEANPOLE_TLS_CERT", "malformed certificate"},
		{good.TLSCert, filepath.Join(folder, "none"), "BEANPOLE_TLS_KEY", "no such file or directory"},
		{good.TLSCert, good.TLSCert, "BEANPOLE_TLS_KEY", ""},
		{good.TLSCert, file("other", string(keyPEM(t, testAuthority.Key))), "BEANPOLE_TLS_KEY", "private key does not match public key"},
		{good.TLSCert, string(text), "BEANPOLE_TLS_KEY", ""}, // what should be in the file
	} {
		_, err := New(Config{TLSCert: c.cert, TLSKey: c.key})
		var bad *ValueError
		if !errors.As(err, &bad) || bad.Variable != c.variable || !strings.HasSuffix(err.Error(), c.reason) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %s and %s", err, c.variable, c.reason)
		}
		if err != nil && strings.Contains(err.Error(), strings.Split(string(text), "\n")[1]) {
			t.Error("the key is in the line")
		}
	}
}

// Who speaks plain HTTP to the port is told, and the log has it once, however often they do.
func TestPlainHTTPToTLS(t *testing.T) {
	h, log := newTestHost(t, withTLS(t, Config{Port: AnyPort, Host: "127.0.0.1"}))
	ctx, cancel := context.WithCancel(t.Context())
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	get(t, h, "livez")
	for range 3 {
		conn, err := net.Dial("tcp", h.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != http.StatusBadRequest {
			t.Errorf("plain HTTP is answered %v, %v", res, err)
		}
		_ = conn.Close()
	}
	if conn, err := net.Dial("tcp", h.listener.Addr().String()); err == nil {
		_ = conn.Close() // as load balancers look at a port
	}
	cancel()
	if err := await(t, done); err != nil {
		t.Error(err)
	}
	if got := strings.Count(log.String(), "level=WARN msg=\"TLS handshake failed"); got != 1 {
		t.Errorf("%d lines:\n%s", got, log)
	}
}
