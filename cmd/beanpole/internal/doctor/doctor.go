package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure Run. The zero value of every field but URL is its default.
type Options struct {
	URL        string        // where clients connect, http or https; a path in it is the Socket.IO path
	Path       string        // "" means the path of URL, or /socket.io/
	HealthPath string        // "" means /healthz
	Origin     string        // origin of the page that connects; "" leaves the checks of other origins out
	Namespace  string        // "" means /
	Auth       string        // JSON sent with CONNECT; "" sends none
	ProbeToken string        // BEANPOLE_PROBE_TOKEN of the environment; "" leaves the broadcast check out
	Instances  int           // how many there should be; zero means that nobody knows
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

	// Of tests.
	requests int64 // of a run; zero means MaxRequests
	lookup   func(ctx context.Context, host string) ([]netip.Addr, error)
	hold     time.Duration // how long an answer may take beyond the way there and back; zero means 2 s
}

// MaxConnections bounds Options.Connections.
const MaxConnections = 5000

// MaxRequests is how many requests Run sends at most, beside those of Connections, and of Watch, which have a pace. Checks need some hundreds; but
// the server at the other end may be anybody's, and answer so that there is always another to ask for.
const MaxRequests = 5000

var errEnough = errors.New("as many requests were sent as a run may send")

// doctor is one run.
type doctor struct {
	Options
	base    *url.URL
	http    *http.Client
	direct  bool          // no proxy stands between this machine and the environment
	rtt     time.Duration // of a short answer, the median
	clients []*client     // one for each instance that serves
	found   []Instance
	failed  bool                    // a check has, before
	front   bool                    // something before the instances refuses some requests
	sent    atomic.Int64            // requests
	stop    context.CancelCauseFunc // ends the run
	limited atomic.Int64            // handshakes that were refused for this address
	waited  atomic.Int64            // how long was waited for them, in nanoseconds
}

// check is one check: of the environment, or of each instance by a client that reaches no other.
type check struct {
	name string
	once func(*doctor, context.Context) []Result
	each func(*client, context.Context) Result
	need bool // nothing more can be said when this fails: of the environment, or of an instance
	long bool // takes its time and is not done twice
}

// checks are all there are, in the order of a client's way in.
func checks() []check {
	return []check{
		{name: "tls", once: (*doctor).checkTLS},
		{name: "addresses", once: (*doctor).checkAddresses},
		{name: "reach", once: (*doctor).checkReach, need: true},
		{name: "instances", once: (*doctor).checkInstances, long: true},
		{name: "caching", each: (*client).checkCaching, need: true},
		{name: "handshake", each: (*client).checkHandshake, need: true},
		{name: "alike", once: (*doctor).checkAlike},
		{name: "health", each: (*client).checkHealth},
		{name: "polling", each: (*client).checkPolling},
		{name: "cookies", once: (*doctor).checkCookies},
		{name: "stickiness", once: (*doctor).checkSticky},
		{name: "without cookies", once: (*doctor).checkCookieless},
		{name: "buffering", each: (*client).checkBuffering},
		{name: "preflight", each: (*client).checkPreflight},
		{name: "cors", each: (*client).checkCORS},
		{name: "websocket", each: (*client).checkWebSocket},
		{name: "upgrade", each: (*client).checkUpgrade},
		{name: "body size", each: (*client).checkBody},
		{name: "heartbeat", each: (*client).checkHeartbeat},
		{name: "broadcast", once: (*doctor).checkBroadcast},
		{name: "idle", each: (*client).checkIdle, long: true},
		{name: "connections", once: (*doctor).checkRamp, long: true},
		{name: "limits", once: (*doctor).checkLimits},
		{name: "watch", once: (*doctor).checkWatch, long: true},
	}
}

// Run makes all checks and returns what they found; when ctx is cancelled, what they have found so far. The error is
// one of Options; what is wrong with the environment is in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	d, err := newDoctor(o)
	if err != nil {
		return Report{}, err
	}
	defer d.http.CloseIdleConnections()
	ctx, d.stop = context.WithCancelCause(ctx)
	defer d.stop(nil)
	r := Report{URL: o.URL, Began: time.Now()}
	stopped := ""
	all := checks()
	for i, c := range all {
		if stopped != "" {
			r.Results = append(r.Results, Result{Check: c.name, Verdict: NotApplicable, Seen: "not looked at: " + stopped})
			continue
		}
		if o.Progress != nil {
			o.Progress(c.name)
		}
		results := d.run(ctx, c)
		interrupted, last := ctx.Err() != nil, i == len(all)-1 // which has seen enough then
		if interrupted && !last {
			results = nil // it would be said to be the environment's fault
		}
		for _, result := range results {
			result.Check = c.name
			r.Results = append(r.Results, result)
			d.failed = d.failed || result.Verdict == Failure
		}
		switch {
		case interrupted:
			stopped = "interrupted"
			if errors.Is(context.Cause(ctx), errEnough) {
				stopped = errEnough.Error()
			}
			if !last {
				r.Results = append(r.Results, Result{Check: c.name, Verdict: Warning, Seen: stopped, Means: "this check and those below have not looked"})
			}
		case c.need && c.once != nil && worst(results) == Failure:
			stopped = c.name + " failed"
		case len(d.clients) == 0 && c.each != nil:
			stopped = c.name + " failed"
		case len(d.clients) == 0 && c.name == "instances":
			stopped = "no instance serves"
		}
	}
	r.Instances = d.found
	r.Seconds = time.Since(r.Began).Seconds()
	return r, nil
}

func newDoctor(o Options) (*doctor, error) {
	base, err := url.Parse(o.URL)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("%q is no http or https URL", o.URL)
	}
	if o.Connections > MaxConnections {
		return nil, fmt.Errorf("at most %d connections", MaxConnections)
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
	o.requests = cmp.Or(o.requests, MaxRequests) + int64(o.Connections)
	o.hold = cmp.Or(o.hold, 2*time.Second)
	if o.lookup == nil {
		o.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: base})
	if err != nil {
		return nil, err
	}
	return &doctor{Options: o, base: base, direct: proxy == nil, http: &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			TLSClientConfig:       &tls.Config{InsecureSkipVerify: o.Insecure, NextProtos: []string{"http/1.1"}}, //nolint:gosec // asked for by name
			TLSNextProto:          map[string]func(string, *tls.Conn) http.RoundTripper{},                        // WebSockets are upgrades of HTTP/1.1
			MaxIdleConnsPerHost:   4,
			ExpectContinueTimeout: time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// run makes one check, of all instances at once where it is about them.
func (d *doctor) run(ctx context.Context, c check) []Result {
	again := settle
	if c.long {
		again = func(run func() []Result) []Result { return run() }
	}
	if c.once != nil {
		return again(func() []Result { return c.once(d, ctx) })
	}
	names, results := make([]string, len(d.clients)), make([]Result, len(d.clients))
	var wg sync.WaitGroup
	for i, one := range d.clients {
		names[i] = one.label
		wg.Go(func() { results[i] = again(func() []Result { return []Result{c.each(one, ctx)} })[0] })
	}
	wg.Wait()
	if c.need {
		var left []*client
		for i, one := range d.clients {
			if results[i].Verdict != Failure {
				left = append(left, one)
			}
		}
		d.clients = left
	}
	return merge(names, results)
}
