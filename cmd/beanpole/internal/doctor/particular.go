package doctor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// What a request has failed of, another tells that differs from it in one thing: an application that answers it is not
// dead, and what takes a page of one origin for a foreign one knows the list.

// broken is doctor.broken, of an instance that may answer other requests all the same.
func (c *client) broken(ctx context.Context, err error, what string) Result {
	r := c.doctor.broken(err, what)
	if answer := (errAnswer{}); errors.As(err, &answer) && c.foreign(answer.reply) {
		r.Seen += c.place(answer.reply)
		if unknown(err) {
			r.Means = what + ": the session is not known to " + answer.name()
			r.Do = "let all requests go one way, whatever their headers, method and query (if ($http_upgrade) in nginx, use_backend, a listener's rule); or have instances forward to each other: REDIS_URL, BEANPOLE_NODE_URL"
		}
	}
	if c.open == nil || c.front || !ofAll(err) || !c.answers(ctx) {
		return r
	}
	particular := c.particular(ctx, err)
	r.Means, r.Do = what+": "+particular.means, particular.do
	return r
}

// ofAll reports whether what explain says of err would hold for every request to the instance.
func ofAll(err error) bool {
	var answer errAnswer
	if errors.As(err, &answer) {
		ownRule := answer.by() == byNginx && (answer.status == http.StatusInternalServerError || answer.status == http.StatusServiceUnavailable)
		barred := (answer.status == http.StatusForbidden || answer.status == http.StatusUnauthorized) && !answer.firewall()
		return answer.by() != byApplication && !ownRule && (answer.status > 464 || barred || answer.status == http.StatusNotFound || answer.status/100 == 2)
	}
	var timeout net.Error
	return errors.Is(err, errSilent) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// answers reports whether the application of the client's instance answers at this moment.
func (c *client) answers(ctx context.Context) bool {
	r, err := c.ask(ctx)
	return err == nil && r.by() == byApplication
}

// errUpgrade is an error of a WebSocket handshake.
type errUpgrade struct{ error }

// Unwrap returns it.
func (e errUpgrade) Unwrap() error { return e.error }

// particular is why a request of one kind fails while the instance answers others.
func (c *client) particular(ctx context.Context, err error) cause {
	var answer errAnswer
	errors.As(err, &answer)
	method, session := asked(err)
	switch {
	case method == methodUpgrade && session && c.connects(ctx):
		return answer.apart("the handshake of a WebSocket for a session does", "one without a session does", "query (if ($arg_sid) in nginx)")
	case method == methodUpgrade:
		return answer.apart("the handshake of a WebSocket does", "what else is asked does", "Upgrade (if ($http_upgrade) in nginx, use_backend, a listener's rule)")
	case method == http.MethodPost && answer.reply == nil && c.takesNothing(ctx):
		return cause{Failure, "a POST with a body is not answered, and one without is, as everything else: the body does not arrive",
			"pass on bodies as they come: no proxy_pass_request_body off in nginx; see proxies and firewalls that inspect what goes through"}
	case !session || c.passes(ctx, method):
		return cause{Failure, "the application does not answer this request, and others of the same instance it does: what is on the way treats it in another way, or does not wait for it",
			"see what stands in front for rules by path, query and size, and for time-outs below the ping interval, as polls wait so long; and the application's log"}
	case method != http.MethodGet && c.passes(ctx, http.MethodGet):
		return answer.apart(method+" does", "GET does", "method (limit_except and if ($request_method …) in nginx, the methods that a CDN allows)")
	}
	return answer.apart("requests with a session id do", "those without do", "query (if ($arg_sid) in nginx)")
}

// asked is the method of the request that has failed, and whether it was for a session.
func asked(err error) (method string, session bool) {
	var answer errAnswer
	var of *url.Error
	upgrade := errors.As(err, new(errUpgrade))
	switch {
	case errors.As(err, &answer):
		return answer.method, answer.session
	case errors.As(err, &of):
		u, _ := url.Parse(of.URL)
		method, session = strings.ToUpper(of.Op), u != nil && u.Query().Has("sid")
	default: // a poll, which has waited for so long
		method, session = http.MethodGet, errors.Is(err, errSilent) && !upgrade
	}
	if upgrade {
		method = methodUpgrade
	}
	return method, session
}

// apart is why one sort of requests does not get through while another does, as far as the answer shows, which may be none.
// rules are those that tell the two apart.
func (e errAnswer) apart(sort, other, rules string) cause {
	means := sort + " not get through to the application, and " + other + ": "
	do := "see what stands in front for rules by " + rules
	socket := e.reply != nil && e.method == methodUpgrade
	switch {
	case e.reply == nil:
		return cause{Failure, means + "what is on the way does not let it through, or waits for somebody who does not answer",
			do + ", firewalls and proxies that inspect what goes through, and the log of each"}
	case e.status == http.StatusServiceUnavailable:
		return cause{Failure, means + e.by() + " has nobody to send it to: nobody listens there, or nobody is registered or healthy", do + ", and whether somebody listens where they lead"}
	case e.status == http.StatusGatewayTimeout:
		return cause{Failure, means + "whom " + e.by() + " sends it to does not answer in time", do + ", and who is where they lead"}
	case e.status == http.StatusBadGateway && e.by() == byNginx:
		return cause{Failure, means + "nobody listens where nginx sends it, or the connection ends there without an answer",
			do + ", and whether somebody listens where they lead; error.log of nginx says which (connect() failed, upstream prematurely closed connection)"}
	case e.status == http.StatusBadGateway && socket:
		return cause{Failure, means + "nobody listens where " + e.by() + " sends it, or the answer from there is none to a handshake: its headers are taken away or changed before that, or the connection ends",
			do + ", whether somebody listens where they lead, and what hides or sets headers of answers there (proxy_hide_header; Upgrade, Connection and Sec-WebSocket-Accept have to pass)"}
	case e.status == http.StatusBadGateway:
		return cause{Failure, means + "nobody listens where " + e.by() + " sends it, or the connection ends there without an answer", do + ", and whether somebody listens where they lead"}
	}
	return cause{Failure, means + e.by() + " answers it itself", do}
}

// connects reports whether a WebSocket handshake that opens a session is answered by one.
func (c *client) connects(ctx context.Context) bool {
	s, err := c.dial(ctx, nil)
	s.close()
	return err == nil
}

// foreignSession is the id of a session that there cannot be.
const foreignSession = "aaaaaaaaaaaaaaaaaaaa"

// passes reports whether the application answers a request for a session that there cannot be, as it does at once whatever
// the method.
func (c *client) passes(ctx context.Context, method string) bool {
	var body []byte
	if method == http.MethodPost {
		body = []byte("40" + noNamespace + ",")
	}
	r, err := c.do(ctx, method, c.target("EIO=4&transport=polling&sid="+foreignSession), body)
	return err == nil && r.by() == byApplication
}

// takesNothing reports whether a POST without a body is answered.
func (c *client) takesNothing(ctx context.Context) bool {
	s, err := c.handshake(ctx)
	if err != nil {
		return false
	}
	_, err = c.do(ctx, http.MethodPost, c.target(s.query()), []byte{})
	return err == nil
}

// asPage asks, as a page of an origin would, for a session that there cannot be, which opens nothing: the application
// looks at the origin first.
func (c *client) asPage(ctx context.Context, origin string) *reply {
	r, err := c.do(ctx, http.MethodGet, c.target("EIO=4&transport=polling&sid=none"), nil, "Origin", origin)
	if err != nil {
		return &reply{}
	}
	return r
}

// letsIn reports whether an answer to asPage is that of an application that takes the page for one of its own.
func (r *reply) letsIn() bool { return r.code() == 1 }

// foreignSelf is why pages of the site itself are refused. The application lets in those of the site that it takes a
// request to be for: which that is shows what is lost on the way.
func (c *client) foreignSelf(ctx context.Context) cause {
	const means = "the application takes pages of the site itself for those of another: "
	const host = "proxy_set_header Host $http_host in nginx, as $host has no port; AllViewer in CloudFront"
	const scheme = "pass on in X-Forwarded-Proto what the load balancer says (in nginx proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto, not $scheme), " +
		"and have BEANPOLE_TRUSTED_HOPS count the proxies"
	if over := "https://" + c.base.Host; c.base.Scheme == "http" && c.asPage(ctx, over).letsIn() {
		return cause{Failure, "the application lets in pages of " + over + ", and those of plain HTTP not, as they are whoever's is on the wire", "have clients and pages use https"}
	}
	for _, site := range []url.URL{{Scheme: "http", Host: c.base.Host}, {Scheme: c.base.Scheme, Host: c.base.Hostname()}, {Scheme: "http", Host: c.base.Hostname()}} {
		if site.Scheme == c.base.Scheme && site.Host == c.base.Host || !c.asPage(ctx, site.String()).letsIn() {
			continue
		}
		do := host
		if site.Host == c.base.Host {
			do = scheme
		} else if site.Scheme != c.base.Scheme {
			do += "; " + scheme
		}
		return cause{Failure, means + "it takes requests to be for " + site.String(), do + "; or list the site in BEANPOLE_ALLOWED_ORIGINS"}
	}
	return cause{Failure, means + "requests come to it with another Host than they were sent with", "no proxy may pass on another Host than it gets: " + host}
}

// unnamed is why an answer has no Access-Control-Allow-Origin, of an application that has let a page of the origin in.
func (c *client) unnamed(ctx context.Context) (means, do string) {
	means = "browsers refuse polls from " + c.Origin
	if r := c.asPage(ctx, strange); (errAnswer{r}).refusesOrigin() {
		return means + ": the application has this origin in its list, as it refuses another, and what it says of it is lost on the way back",
			"let its headers pass: no proxy_hide_header, nothing in a load balancer or CDN that takes Access-Control-Allow-Origin away"
	}
	return means + ": pages of any origin are let in, so that the application has no list of them, or does not get Origin",
		"set BEANPOLE_ALLOWED_ORIGINS to " + c.Origin + "; where it is set, see what drops Origin on the way: AllViewer in CloudFront, no rule of a load balancer that takes it away, no proxy_set_header Origin"
}
