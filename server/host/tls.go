package host

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// certificateEvery is the time between two looks at the files of the certificate.
const certificateEvery = 5 * time.Second

// certificate is that of Config.TLSCert and TLSKey. It is read again when the files change, as programs that renew
// certificates replace them. That is looked at while the host runs, whether anybody connects or not.
type certificate struct {
	// Set by newCertificate, then read only.
	cfg   *Config
	log   *slog.Logger
	every time.Duration // from one look to the next

	served atomic.Pointer[tls.Certificate]

	// Owned by the goroutine that looks.
	files  [2]fileState // as served was read
	failed bool         // the last look found files that could not be used
	warned time.Time    // when the end of served was said last
	ended  bool         // what was said then
	said   string       // of the failures of files as they are now, the last in the log
}

// states returns those of the two files; of one that is not there the zero value.
func (cfg *Config) states() (files [2]fileState) {
	for i, name := range []string{cfg.TLSCert, cfg.TLSKey} {
		if info, err := os.Stat(name); err == nil {
			files[i] = stateOf(info)
		}
	}
	return files
}

// newCertificate returns the certificate of cfg, or nil if it has none. The error is a *ValueError.
func newCertificate(cfg *Config, log *slog.Logger) (*certificate, error) {
	if cfg.TLSCert == "" {
		return nil, nil
	}
	c := &certificate{cfg: cfg, log: log, every: certificateEvery, files: cfg.states()}
	pair, err := cfg.readCertificate()
	if err != nil {
		return nil, err
	}
	c.serve(pair, "certificate", time.Now())
	return c, nil
}

// serve has clients get pair from now on.
func (c *certificate) serve(pair *tls.Certificate, what string, now time.Time) {
	c.served.Store(pair)
	c.warned = time.Time{}
	if !c.ends(now) {
		c.log.Info(what, "until", pair.Leaf.NotAfter)
	}
}

// soonest is how long before its end a certificate should have been renewed, or a sixth of its time if that is shorter: what renews
// them does so when a third is left, or half of a few days. What is wrong is said again every day.
const (
	soonest    = 7 * 24 * time.Hour
	warnsEvery = 24 * time.Hour
)

// ends reports whether the certificate that clients get ends soon, or has ended, and says so.
func (c *certificate) ends(now time.Time) bool {
	leaf := c.served.Load().Leaf
	left := leaf.NotAfter.Sub(now)
	if left > min(soonest, leaf.NotAfter.Sub(leaf.NotBefore)/6) {
		return false
	}
	what := "the certificate ends soon and has not been renewed: clients will not connect with it then"
	if left < 0 {
		what = "the certificate has ended: clients do not connect with it"
	}
	if ended := left < 0; now.Sub(c.warned) >= warnsEvery || ended != c.ended {
		c.warned, c.ended = now, ended
		c.log.Error(what, "until", leaf.NotAfter, "advice", "renew it: the new files are read by themselves")
	}
	return true
}

// get is tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.served.Load(), nil
}

// watchCertificate looks at the files of the certificate every so often, until the function it returns is called.
func (h *Host) watchCertificate(ctx context.Context) (stop func()) {
	if h.certificate == nil {
		return func() {}
	}
	return repeat(ctx, h.certificate.every, func(context.Context) { h.certificate.look(time.Now()) })
}

// look reads the files if they have changed. What cannot be used is tried again with each look, and said from the second
// on: the two are replaced one after the other.
func (c *certificate) look(now time.Time) {
	c.ends(now)
	files := c.cfg.states()
	if files == c.files {
		c.failed, c.said = false, ""
		return
	}
	pair, err := c.cfg.readCertificate()
	if err == nil {
		c.files, c.failed, c.said = files, false, ""
		c.serve(pair, "the certificate has been renewed", now)
		return
	}
	if c.failed && c.said != err.Error() {
		c.said = err.Error()
		c.log.Warn("the new files of the certificate cannot be used: clients get the old one", "err", err, "until", c.served.Load().Leaf.NotAfter)
	}
	c.failed = true
}

// readCertificate reads the two files. The error is a *ValueError for the one that is wrong.
func (cfg *Config) readCertificate() (*tls.Certificate, error) {
	chain, err := os.ReadFile(cfg.TLSCert)
	if err == nil {
		err = checkChain(chain)
	}
	if err != nil {
		return nil, badFile("TLSCert", cfg.TLSCert, err)
	}
	key, err := os.ReadFile(cfg.TLSKey)
	if err != nil {
		return nil, badFile("TLSKey", cfg.TLSKey, err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, badFile("TLSKey", cfg.TLSKey, err)
	}
	return &pair, nil
}

// checkChain says what is wrong with the file of the certificate by itself.
func checkChain(chain []byte) error {
	found := false
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return err
		}
		found = true
	}
	if !found {
		return errors.New("there is no certificate in it")
	}
	return nil
}

// badFile is the error for a file that cannot be used, without its name where that is none to tell.
func badFile(field, name string, err error) error {
	if of := (*fs.PathError)(nil); errors.As(err, &of) {
		err = of.Err
	}
	f, _ := reflect.TypeFor[Config]().FieldByName(field)
	bad := badValue(f, name).(*ValueError)
	bad.Allowed += "; " + err.Error()
	return bad
}

// checkTLS returns a *ValueError for a file without the other.
func (cfg *Config) checkTLS() error {
	have, lack := "TLSCert", "TLSKey"
	switch {
	case (cfg.TLSCert == "") == (cfg.TLSKey == ""):
		return nil
	case cfg.TLSCert == "":
		have, lack = lack, have
	}
	missing, _ := reflect.TypeFor[Config]().FieldByName(lack)
	return badFile(have, cfg.TLSCert+cfg.TLSKey, errors.New(missing.Tag.Get("env")+" is not set"))
}

// scheme is what the host speaks on its port.
func (cfg *Config) scheme() string {
	if cfg.TLSCert != "" {
		return "https"
	}
	return "http"
}

// tlsConfig is that of the http.Server; nil without a certificate.
func (c *certificate) tlsConfig() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{GetCertificate: c.get}
}

// onlyHTTP1 are the protocols of the host: WebSockets need HTTP/1.1, and a stop looks at connections, of which each has
// to have one request at a time.
func onlyHTTP1() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	return &p
}

// serve serves l, by TLS if there is a certificate.
func (h *Host) serve(l net.Listener) error {
	if h.certificate == nil {
		return h.http.Serve(l)
	}
	return h.http.ServeTLS(l, "", "")
}

// errorLog takes what http.Server has to say. A handshake of TLS that fails is the client's matter, and lines of it are
// as many as anybody likes: one a minute is in the log, as it may be a certificate that nobody trusts, or a proxy that speaks
// plain HTTP. One that only looks whether the port is open is in none.
type errorLog struct{ h *Host }

// Write writes a line.
func (e errorLog) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	_, what, ok := strings.Cut(text, "TLS handshake error from ")
	switch {
	case !ok:
		e.h.log.Warn(text)
	case strings.HasSuffix(what, ": EOF"), strings.HasSuffix(what, "connection reset by peer"), !e.h.notice.News("TLS handshake", time.Now()):
		e.h.log.Debug("TLS handshake failed", "err", what)
	default:
		e.h.log.Warn("TLS handshake failed; others that do are at level debug", "err", what,
			"advice", "clients and proxies have to speak https to this port, and to trust the authority of its certificate for the name they ask for")
	}
	return len(line), nil
}

var certificateEnd = prometheus.NewDesc("beanpole_certificate_end_timestamp_seconds",
	"When the certificate that clients get ends (BEANPOLE_TLS_CERT), in seconds since 1970; 0 without one.", nil, nil)

// certificateCollector shows the end of the certificate to Prometheus. It has none if c is nil.
type certificateCollector struct{ c *certificate }

// Describe names the metric.
func (certificateCollector) Describe(out chan<- *prometheus.Desc) { out <- certificateEnd }

// Collect sends it.
func (m certificateCollector) Collect(out chan<- prometheus.Metric) {
	end := 0.0
	if m.c != nil {
		end = float64(m.c.served.Load().Leaf.NotAfter.Unix())
	}
	out <- prometheus.MustNewConstMetric(certificateEnd, prometheus.GaugeValue, end)
}
