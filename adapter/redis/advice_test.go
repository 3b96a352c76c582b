package redis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// startTLS starts a server that has TLS on a second port, with a certificate that nobody knows, and a password.
func startTLS(t *testing.T) (s *redistest.Server, port int) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: certificate}, "key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port = redistest.FreePort(t)
	return redistest.Start(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", filepath.Join(dir, "cert"), "--tls-key-file", filepath.Join(dir, "key"),
		"--tls-ca-cert-file", filepath.Join(dir, "cert"), "--tls-auth-clients", "no"), port
}

// The commonest wrong URLs are told apart, in the first thing that the log says.
func TestAdviceAboutAWrongURL(t *testing.T) {
	t.Parallel()
	s, port := startTLS(t)
	for name, c := range map[string]struct{ url, advice string }{
		"TLS, where Redis has none":    {fmt.Sprintf("rediss://127.0.0.1:%d", s.Port), "TLS"},
		"no TLS, where Redis wants it": {fmt.Sprintf("redis://127.0.0.1:%d", port), "rediss:// if it wants TLS"},
		"a certificate of nobody":      {fmt.Sprintf("rediss://127.0.0.1:%d", port), "the certificate of Redis"},
		"a user that is not there":     {fmt.Sprintf("redis://nobody:secret@127.0.0.1:%d", s.Port), "user and password"},
	} {
		for _, mode := range []redis.Mode{redis.PubSub, redis.Streams} {
			t.Run(name+" in mode "+string(mode), func(t *testing.T) {
				t.Parallel()
				var log written
				start(t, redis.Config{URL: c.url, Mode: mode, Prefix: unique(), HeartbeatInterval: 100 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				adaptertest.Eventually(t, func() error {
					if !strings.Contains(log.String(), "degraded") {
						return fmt.Errorf("nothing is said: %s", log.String())
					}
					return nil
				})
				for line := range strings.Lines(log.String()) {
					if strings.Contains(line, "advice=") && !strings.Contains(line, c.advice) {
						t.Error(line)
					}
				}
			})
		}
	}
}
