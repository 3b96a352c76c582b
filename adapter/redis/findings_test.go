package redis_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
	"github.com/beanpole/beanpole/internal/authority"
)

// known is the authority that this process trusts, as it is made before anything has asked for those of the system.
var known = authority.New()

// serves is a server's TLS, with a certificate for an address that ends after some time.
func serves(a *authority.Authority, ip string, ends time.Duration) *tls.Config {
	der, key := a.Sign(&x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.ParseIP(ip)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(ends)})
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// serveTLS serves at an address until the end that it returns, without TLS if cfg is nil.
func serveTLS(t *testing.T, at string, cfg *tls.Config, h http.Handler) (end func()) {
	t.Helper()
	if cfg == nil {
		return serveAt(t, at, h)
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	_ = s.Listener.Close()
	s.Listener, s.TLS = l, cfg
	s.Config.ErrorLog = log.New(new(written), "", 0) // handshakes fail
	s.StartTLS()
	return s.Close
}

// What is wrong about TLS at a node's address is said by what it is, with what to do about it.
func TestAddressWithoutTheTLSThatItAnnounces(t *testing.T) {
	t.Parallel()
	defer http.DefaultClient.CloseIdleConnections()
	good := serves(known, "127.0.0.1", time.Hour)
	with := func(change func(*tls.Config)) *tls.Config {
		cfg := good.Clone()
		change(cfg)
		return cfg
	}
	for name, c := range map[string]struct {
		scheme       string
		serves       *tls.Config // nil: none
		says, advice string
	}{
		"a certificate that has ended":          {"https", serves(known, "127.0.0.1", -time.Minute), "is not in force", "renew the certificate"},
		"a certificate of another name":         {"https", serves(known, "127.0.0.9", time.Hour), "is of another name", "announce a name that the certificate has"},
		"a certificate of an unknown authority": {"https", serves(authority.New(), "127.0.0.1", time.Hour), "authority that the others do not know", "trust this authority"},
		"no TLS":                                {"https", nil, "no TLS is spoken", "announce the address with http://"},
		"TLS that was not announced":            {"http", good, "TLS is spoken", "announce the address with https://"},
		"an old version of TLS":                 {"https", with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), "do not agree on TLS", "TLS 1.2 or later"},
		"TLS that wants a certificate":          {"https", with(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }), "do not agree on TLS", "ask for no certificate"},
		"TLS 1.2 that wants a certificate":      {"https", with(func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 }), "do not agree on TLS", "ask for no certificate"},
		"TLS by name, and the address has none": {"https", with(func(c *tls.Config) { c.GetConfigForClient = refuses }), "do not agree on TLS", "for this name"},
		"TLS, and something else that answers":  {"https", good, "does not lead the others", "address at which the others reach it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := unique()
			var text written
			a := visited(t, "a", prefix, redis.ForwardConfig{}, new(written))
			at := fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t))
			b := visited(t, "b", prefix, redis.ForwardConfig{URL: c.scheme + "://" + at}, &text)
			behind := proxyTo(b.URL)
			if strings.Contains(name, "something else") {
				behind = http.NotFoundHandler()
			}
			end := serveTLS(t, at, c.serves, behind)
			b.says(t, "reach", c.says)
			saidOnce(t, &text)
			if !strings.Contains(text.String(), c.advice) {
				t.Errorf("the log does not say %q:\n%s", c.advice, text.String())
			}
			end()
			mended := good
			if c.scheme == "http" {
				mended = nil
			}
			defer serveTLS(t, at, mended, proxyTo(b.URL))()
			b.says(t, "reach", "")
			a.forwards(t, "b")
		})
	}
}

// refuses is a tls.Config's GetConfigForClient that knows no such name.
func refuses(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, fmt.Errorf("no such name") }

// Who cannot get out says so of itself, and blames none of those that it does not reach.
func TestServerThatReachesNobody(t *testing.T) {
	t.Parallel()
	prefix := unique()
	var shut atomic.Bool
	shut.Store(true)
	out := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if shut.Load() {
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ETIMEDOUT)}
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	var la, lb, lc written
	a, b := visited(t, "a", prefix, redis.ForwardConfig{}, &la), visited(t, "b", prefix, redis.ForwardConfig{}, &lb)
	takesVisits(t, prefix, 2) // who does not reach one, and knows no other, cannot know whose fault that is
	c := visited(t, "c", prefix, redis.ForwardConfig{Dial: out}, &lc)
	c.says(t, "out", "reaches none of the others")
	saidOnce(t, &lc)
	for name, x := range map[string]*front{"a": a, "b": b} {
		if n, err := shared.Client().Exists(t.Context(), prefix+"-beanpole:unreached:"+name).Result(); n != 0 || err != nil || !x.cluster.Status().Up {
			t.Errorf("%s: %d, %v, %+v", name, n, err, x.cluster.Status())
		}
	}
	if err := c.forwarding("reach"); err == nil || !strings.Contains(lc.String(), "let this server connect") {
		t.Errorf("it is told of its address: %v\n%s", err, lc.String())
	}
	shut.Store(false)
	c.says(t, "out", "")
	c.forwards(t, "a")
	if text := la.String() + lb.String(); strings.Contains(text, "degraded") {
		t.Errorf("the others say:\n%s", text)
	}
}

// takesVisits waits until n nodes have said that they take visits.
func takesVisits(t *testing.T, prefix string, n int64) {
	t.Helper()
	adaptertest.Eventually(t, func() error {
		if got, err := shared.Client().ZCard(t.Context(), prefix+"-beanpole:{"+prefix+"}:visited").Result(); got != n || err != nil {
			return fmt.Errorf("%d are listed, %v; want %d", got, err, n)
		}
		return nil
	})
}

// Who does not reach the only one that it knows looks whether more have come, before it blames that one.
func TestServerThatReachesNeitherOfTwo(t *testing.T) {
	t.Parallel()
	prefix := unique()
	come := make(chan struct{})
	out := func(ctx context.Context, network, addr string) (net.Conn, error) {
		select {
		case <-come:
		case <-ctx.Done():
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ETIMEDOUT)}
	}
	var log written
	_ = visited(t, "a", prefix, redis.ForwardConfig{}, new(written))
	takesVisits(t, prefix, 1)
	c := visited(t, "c", prefix, redis.ForwardConfig{Dial: out}, &log)
	takesVisits(t, prefix, 2)
	_ = visited(t, "b", prefix, redis.ForwardConfig{}, new(written))
	takesVisits(t, prefix, 3)
	close(come)
	c.says(t, "out", "reaches none of the others")
	if n, err := shared.Client().Exists(t.Context(), prefix+"-beanpole:unreached:a").Result(); n != 0 || err != nil {
		t.Errorf("it has blamed the one that it knew first: %d, %v", n, err)
	}
}

// Of several, one whose address leads nowhere is told so by those that reach another, and only it.
func TestOneOfThreeThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	prefix := unique()
	var la, lb, lc written
	a, c := visited(t, "a", prefix, redis.ForwardConfig{}, &la), visited(t, "c", prefix, redis.ForwardConfig{}, &lc)
	b := visited(t, "b", prefix, redis.ForwardConfig{URL: fmt.Sprintf("http://127.0.0.1:%d", redistest.FreePort(t))}, &lb)
	b.says(t, "reach", "connection refused")
	b.says(t, "reach", "connection refused")
	for _, x := range []*front{a, c} {
		if !x.cluster.Status().Up {
			t.Errorf("%+v", x.cluster.Status())
		}
	}
	if text := la.String() + lc.String(); strings.Contains(text, "degraded") {
		t.Errorf("the others say:\n%s", text)
	}
}
