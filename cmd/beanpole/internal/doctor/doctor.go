package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Verdict is what a check comes to.
type Verdict string

// The verdicts.
const (
	OK            Verdict = "ok"
	Warning       Verdict = "warning"
	Failure       Verdict = "failure"
	NotApplicable Verdict = "not applicable"
)

// Result is what one check has found.
type Result struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Seen    string  `json:"seen"`
	Means   string  `json:"means,omitempty"` // empty when all is well
	Do      string  `json:"do,omitempty"`
}

// Report is the result of all checks, in order.
type Report struct {
	URL     string    `json:"url"`
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
	Results []Result  `json:"results"`
}

// Worst returns the worst verdict: Failure, Warning or OK.
func (r Report) Worst() Verdict {
	worst := OK
	for _, c := range r.Results {
		switch {
		case c.Verdict == Failure:
			return Failure
		case c.Verdict == Warning:
			worst = Warning
		}
	}
	return worst
}

// Of returns the result of a check, or the zero Result.
func (r Report) Of(check string) Result {
	for _, c := range r.Results {
		if c.Check == check {
			return c
		}
	}
	return Result{}
}

// Options configure Run. The zero value of every field but URL is its default.
type Options struct {
	URL        string        // where clients connect, http or https; a path in it is the Socket.IO path
	Path       string        // "" means the path of URL, or /socket.io/
	HealthPath string        // "" means /healthz
	Origin     string        // origin of the page that connects; "" leaves the checks of other origins out
	Namespace  string        // "" means /
	Auth       string        // JSON sent with CONNECT; "" sends none
	ProbeToken string        // BEANPOLE_PROBE_TOKEN of the environment; "" leaves the broadcast check out
	Samples    int           // requests of the checks that repeat; zero means 20
	Timeout    time.Duration // of one answer; zero means 10 s
	Idle       time.Duration // idle timeout that the proxies have; zero means 60 s
	Deep       bool          // also what takes a few heartbeats
	// Connections is how many WebSockets to open at once for the ramp, at most MaxConnections. Zero opens none.
	Connections int
	// Watch is how long to watch clients come and go after the checks. Zero does not.
	Watch time.Duration
	// Insecure accepts any certificate, for environments on loopback.
	Insecure bool
	// Progress, if not nil, is called when a check begins.
	Progress func(check string)
}

// MaxConnections bounds Options.Connections.
const MaxConnections = 5000

// doctor is one run.
type doctor struct {
	Options
	base  *url.URL
	http  *http.Client
	open  *opened // what the first handshake said; nil when it failed
	who   map[string]int
	multi bool // more than one instance has answered
}

// check is one check. It returns its result without the name.
type check struct {
	name string
	run  func(*doctor, context.Context) Result
	need bool // nothing more can be said when this fails
}

// checks are all there are, in the order of a client's way in.
func checks() []check {
	return []check{
		{"tls", (*doctor).checkTLS, false},
		{"reach", (*doctor).checkReach, true},
		{"handshake", (*doctor).checkHandshake, true},
		{"health", (*doctor).checkHealth, false},
		{"instances", (*doctor).checkInstances, false},
		{"polling", (*doctor).checkPolling, false},
		{"cookies", (*doctor).checkCookies, false},
		{"stickiness", (*doctor).checkSticky, false},
		{"without cookies", (*doctor).checkCookieless, false},
		{"buffering", (*doctor).checkBuffering, false},
		{"preflight", (*doctor).checkPreflight, false},
		{"cors", (*doctor).checkCORS, false},
		{"websocket", (*doctor).checkWebSocket, false},
		{"upgrade", (*doctor).checkUpgrade, false},
		{"body size", (*doctor).checkBody, false},
		{"heartbeat", (*doctor).checkHeartbeat, false},
		{"broadcast", (*doctor).checkBroadcast, false},
		{"idle", (*doctor).checkIdle, false},
		{"connections", (*doctor).checkRamp, false},
		{"watch", (*doctor).checkWatch, false},
	}
}

// Run makes all checks and returns what they found. The error is one of Options; what is wrong with the
// environment is in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	base, err := url.Parse(o.URL)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return Report{}, fmt.Errorf("%q is no http or https URL", o.URL)
	}
	if o.Connections > MaxConnections {
		return Report{}, fmt.Errorf("at most %d connections", MaxConnections)
	}
	if o.Path == "" && strings.Trim(base.Path, "/") != "" {
		o.Path = base.Path
	}
	o.Path = "/" + strings.Trim(cmp.Or(o.Path, "/socket.io/"), "/") + "/"
	o.HealthPath = cmp.Or(o.HealthPath, "/healthz")
	o.Namespace = cmp.Or(o.Namespace, "/")
	o.Samples = cmp.Or(o.Samples, 20)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.Idle = cmp.Or(o.Idle, time.Minute)
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       &tls.Config{InsecureSkipVerify: o.Insecure},            //nolint:gosec // asked for by name
		TLSNextProto:          map[string]func(string, *tls.Conn) http.RoundTripper{}, // WebSockets are upgrades of HTTP/1.1
		MaxIdleConnsPerHost:   4,
		ResponseHeaderTimeout: 0,
	}
	defer transport.CloseIdleConnections()
	d := &doctor{Options: o, base: base, who: make(map[string]int), http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	r := Report{URL: o.URL, Began: time.Now()}
	stopped := ""
	for _, c := range checks() {
		if ctx.Err() != nil {
			break
		}
		if stopped != "" {
			r.Results = append(r.Results, Result{c.name, NotApplicable, "not looked at: " + stopped + " failed", "", ""})
			continue
		}
		if o.Progress != nil {
			o.Progress(c.name)
		}
		result := c.run(d, ctx)
		result.Check = c.name
		r.Results = append(r.Results, result)
		if c.need && result.Verdict == Failure {
			stopped = c.name
		}
	}
	r.Seconds = time.Since(r.Began).Seconds()
	if errors.Is(ctx.Err(), context.Canceled) {
		return r, ctx.Err()
	}
	return r, nil
}

func ok(format string, args ...any) Result {
	return Result{Verdict: OK, Seen: fmt.Sprintf(format, args...)}
}

func none(format string, args ...any) Result {
	return Result{Verdict: NotApplicable, Seen: fmt.Sprintf(format, args...)}
}

func warn(seen, means, do string) Result { return Result{"", Warning, seen, means, do} }
func fail(seen, means, do string) Result { return Result{"", Failure, seen, means, do} }
