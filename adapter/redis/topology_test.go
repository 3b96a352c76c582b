package redis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/adaptertest"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// Rooms of one namespace are on different shards in sharded mode, so that events to different rooms
// may overtake each other; the suite's test of order is left out there.
func TestRedisCluster(t *testing.T) {
	t.Parallel()
	url := redistest.ClusterURL(redistest.Cluster(t))
	for name, cfg := range map[string]redis.Config{
		"pubsub":          {Mode: redis.PubSub},
		"pubsub dynamic":  {Mode: redis.PubSub, Subscriptions: redis.Dynamic},
		"sharded":         {Mode: redis.Sharded, Subscriptions: redis.Static},
		"sharded dynamic": {Mode: redis.Sharded},
		"streams":         {Mode: redis.Streams, BlockTime: time.Second},
		"streams sharded": {Mode: redis.Streams, ShardedPubSub: true, BlockTime: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.URL = url
			c := nodes(cfg)
			if name == "sharded dynamic" {
				adaptertest.RunUnordered(t, 2, c)
				return
			}
			adaptertest.Run(t, 2, c)
		})
	}
	t.Run("recovery", func(t *testing.T) {
		t.Parallel()
		adaptertest.RunRecovery(t, 2, nodes(redis.Config{URL: url, Mode: redis.Streams, Recovery: &adapter.Recovery{}}))
	})
}

// certificate writes a certificate for 127.0.0.1 and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, x, x, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	redistest.Start(t, "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "no", "--requirepass", "secret/word")
	url := "rediss://:secret%2Fword@127.0.0.1:" + strconv.Itoa(port)
	adaptertest.Run(t, 2, nodes(redis.Config{URL: url + "?skip_verify=true"}))

	// Without skip_verify the certificate is not trusted.
	c := start(t, redis.Config{URL: url, HeartbeatInterval: 50 * time.Millisecond})
	adaptertest.Eventually(t, func() error {
		if err := c.Status().Err; err != nil && strings.Contains(err.Error(), "certificate") {
			return nil
		} else if err != nil {
			return err
		}
		return errors.New("no error yet")
	})
}

func TestClientIsTakenAsOptions(t *testing.T) {
	t.Parallel()
	client := goredis.NewClient(&goredis.Options{Addr: shared.Addr()})
	defer client.Close()
	adaptertest.Run(t, 2, nodes(redis.Config{Client: client}))
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the client was closed: %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]redis.Config{
		"nothing":            {},
		"mode":               {URL: "redis://x", Mode: "x"},
		"subscriptions":      {URL: "redis://x", Subscriptions: "x"},
		"recovery in pubsub": {URL: "redis://x", Mode: redis.PubSub, Recovery: &adapter.Recovery{}},
		"negative":           {URL: "redis://x", MaxOutboxBytes: -1},
		"url":                {URL: "http://user:secret@x"},
		"bad url":            {URL: "redis://user:secret@x:y:z/%zz"},
	} {
		c, err := redis.New(cfg)
		if err == nil {
			_ = c.Close(t.Context())
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
}

// Namespaces that Node's adapter puts into a stream nobody reads are refused.
func TestStreamsRefuseNamespacesThatWouldNotBeRead(t *testing.T) {
	t.Parallel()
	c := start(t, redis.Config{URL: shared.URL(), Mode: redis.Streams, StreamCount: 7, Prefix: unique(), Stream: unique(), BlockTime: time.Second})
	refused := 0
	for i := range 20 {
		a, err := c.Adapter()(adaptertest.NewNamespace("/namespace" + strconv.Itoa(i)))
		if err != nil {
			refused++
			continue
		}
		_ = a.Close(t.Context())
	}
	if refused == 0 || refused == 20 {
		t.Errorf("%d of 20 refused", refused)
	}
}

func TestManyNamespacesShareConnections(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := start(t, redis.Config{URL: server.URL() + "?client_name=node"})
	for i := range 200 {
		adaptertest.NewNode(t, "/n"+strconv.Itoa(i), c.Adapter())
	}
	ready(t, c)
	list, err := server.Client().ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	subscribers, all := 0, 0
	for _, line := range strings.Split(list, "\n") {
		if strings.Contains(line, "name=node") {
			all++
			if !strings.Contains(line, " sub=0 ") || !strings.Contains(line, " psub=0 ") {
				subscribers++
			}
		}
	}
	if subscribers != 1 || all > 6 {
		t.Errorf("%d connections, %d of them with subscriptions", all, subscribers)
	}
}

// TestLag: the way through Redis and back is measured by the heartbeats.
func TestLag(t *testing.T) {
	t.Parallel()
	p := redistest.NewProxy(t, shared.Addr())
	c := start(t, redis.Config{URL: p.URL(), Prefix: unique(), HeartbeatInterval: 50 * time.Millisecond})
	ready(t, c)
	lag := func(what string, ok func(time.Duration) bool) {
		adaptertest.Eventually(t, func() error {
			if got := c.Status().Lag; !ok(got) {
				return fmt.Errorf("%s: lag %v", what, got)
			}
			return nil
		})
	}
	lag("at rest", func(d time.Duration) bool { return d > 0 })
	p.Slow(100 * time.Millisecond)
	lag("slow", func(d time.Duration) bool { return d >= 100*time.Millisecond })
	p.Slow(0)
	lag("again", func(d time.Duration) bool { return d < 100*time.Millisecond })
	p.Block()
	lag("while nothing comes back", func(d time.Duration) bool { return d > 300*time.Millisecond })
	p.Unblock()
}
