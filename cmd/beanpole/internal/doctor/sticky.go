package doctor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

const stickiness = `StickinessEnabled: "true" in aws:elasticbeanstalk:environment:process:default`

// cookies are those that a new client gets: some balancers set them but once.
func (c *client) cookies() []*http.Cookie {
	if c.first == nil {
		return nil
	}
	return (&http.Response{Header: c.first.header}).Cookies()
}

// checkCookies looks at the cookies by which the balancer keeps clients at their instance, whatever they are called.
func (d *doctor) checkCookies(context.Context) []Result {
	list := d.polling()
	if len(list) == 0 {
		return []Result{d.clients[0].noPolls()}
	}
	c := list[0]
	var names []string
	found := make(map[string]*http.Cookie)
	var across, short *http.Cookie
	now := time.Now()
	if at, err := http.ParseTime(c.first.header.Get("Date")); err == nil {
		now = at
	}
	for _, cookie := range c.cookies() {
		found[cookie.Name] = cookie
		names = append(names, cookie.Name)
		if cookie.SameSite == http.SameSiteNoneMode && cookie.Secure {
			across = cookie
		}
		life := time.Duration(cookie.MaxAge) * time.Second
		if life == 0 && !cookie.Expires.IsZero() {
			life = cookie.Expires.Sub(now)
		}
		if life != 0 && life < c.open.silence() {
			short = cookie
		}
	}
	seen := strings.Join(names, ", ")
	result := func(r Result) []Result { return []Result{r} }
	alb := found["AWSALB"] != nil || found["AWSALBCORS"] != nil
	switch {
	case found["AWSELB"] != nil:
		return result(fail("AWSELB", "the load balancer is a classic one, which cannot upgrade to WebSocket", "a new environment with LoadBalancerType: application"))
	case found["AWSALBTG"] != nil:
		return result(warn("AWSALBTG", "two target groups share the traffic (TrafficSplitting): a polling session may be moved between them", "DeploymentPolicy: RollingWithAdditionalBatch"))
	case !c.stays && !alb:
		return result(none("%s: nobody is kept by cookies, as with one instance, a network load balancer or no stickiness", orElse(seen, "no cookies")))
	case short != nil:
		return result(fail(fmt.Sprintf("%s lives for less than %v", short.Name, c.open.silence()), "a poll that waits outlives the cookie: the next request goes to another instance",
			"StickinessLBCookieDuration (86400), or the like of whoever sets "+short.Name+", well above pingInterval and pingTimeout"))
	case alb && found["AWSALBCORS"] == nil:
		return result(warn("AWSALB without AWSALBCORS", "pages of other sites are not sticky", "leave both cookies as the load balancer sets them"))
	case across == nil && d.base.Scheme == "https" && (alb || d.Origin != "" && !d.samePage()):
		return result(warn(seen+" without SameSite=None; Secure", "browsers do not send it from pages of other sites",
			"something on the way rewrites cookies: see proxies and CDNs; with a balancer of your own set both, or serve the page from this site"))
	case d.Origin != "" && !d.samePage() && d.base.Scheme != "https" && !d.loopback():
		return result(warn(seen+" without Secure", "browsers keep cookies for pages of other sites over HTTPS only", "connect to https://"))
	}
	return result(ok("%s", seen))
}

// checkSticky sends requests of sessions with their cookies.
func (d *doctor) checkSticky(ctx context.Context) []Result {
	list := d.polling()
	if len(list) == 0 {
		return []Result{d.clients[0].noPolls()}
	}
	n, sent, lost, moved, failed := max(2, len(list)), 0, 0, 0, 0
	var last error
	var names []string
	for done, tries := 0, 0; done < n && tries < 3*n; tries++ {
		c := d.anybody(true)
		s, err := c.handshake(ctx)
		var e errAnswer
		switch {
		case errors.As(err, &e) && !d.counts(e.name()):
			continue
		case err != nil:
			done, failed, last = done+1, failed+1, err
			continue
		case !d.counts(s.open.reply.name()):
			s.end(ctx)
			continue
		}
		done++
		for _, cookie := range c.jar.Cookies(d.base) {
			names = append(names, cookie.Name)
		}
		for range max(2, d.Samples/n) {
			if rand.N(2) == 0 { // else a balancer that takes turns could bring all of them to one
				_, _ = d.anybody(false).ask(ctx)
			}
			sent++
			if r, err := c.ask(ctx); err == nil && r.serves() && r.name() != s.open.reply.name() {
				moved++
			}
			switch err := s.post(ctx, "40"+noNamespace+","); {
			case unknown(err):
				lost, last = lost+1, err
			case err != nil:
				failed, last = failed+1, err
			}
			if last != nil && (!errors.As(last, &e) || e.status == http.StatusBadRequest && e.code() < 0) {
				break // who does not answer is not asked twenty times, and what is not understood ends the session
			}
		}
		s.end(ctx)
	}
	if len(list) < 2 { // there is no other to go to
		failed, lost = failed+lost, 0
	}
	kept := "no cookies are set"
	if len(names) > 0 {
		kept = "with " + strings.Join(sortedKeys(set(names)), ", ")
	}
	switch {
	case lost > 0:
		means, do := "browsers on polling are thrown off again and again", stickiness+", and no proxy in front that drops or shares cookies"
		if strings.Contains(kept, "AWSALB") {
			means += ": the load balancer sets its cookies, and does not get them back"
			do = "let the header Cookie through on the way: in CloudFront the policy AllViewer; no proxy_set_header Cookie in front"
		}
		return []Result{fail(fmt.Sprintf("%d of %d requests with cookies did not find their session, %s: %s", lost, sent, kept, say(last)), means, do)}
	case moved > 0, len(list) > 1 && !list[0].stays:
		return []Result{warn(fmt.Sprintf("clients with cookies change their instance, %s", kept),
			"instances forward to each other, so that sessions are found: each poll is work for two, and a session ends with either", stickiness)}
	case failed > 0 && d.failed:
		return []Result{none("%d of %d requests failed: see above", failed, sent)}
	case failed > 0:
		return []Result{d.broken(last, fmt.Sprintf("%d of %d requests failed", failed, sent))}
	case len(list) < 2:
		return []Result{ok("%d requests found their session; only one instance was seen", sent)}
	}
	return []Result{ok("%d requests of %d clients found their session and instance, %s", sent, n, kept)}
}

func set(list []string) map[string]bool {
	m := make(map[string]bool)
	for _, s := range list {
		m[s] = true
	}
	return m
}

// checkLimits says whether handshakes were refused for this machine's address, which concerns the doctor first.
func (d *doctor) checkLimits(context.Context) []Result {
	n := d.limited.Load()
	if n == 0 {
		return []Result{ok("no handshake was refused for its address")}
	}
	return []Result{warn(fmt.Sprintf("%s refused for this address (429); waited %v for them", several(int(n), "handshake"), time.Duration(d.waited.Load()).Round(time.Second)),
		"one address has only so many sessions; what could not be looked at for that says so",
		"run doctor from an address of its own; if clients are refused too, see BEANPOLE_TRUSTED_HOPS (too few, and all clients have the load balancer's address), "+
			"then BEANPOLE_MAX_SESSIONS_PER_ADDR and BEANPOLE_HANDSHAKES_PER_SECOND_PER_ADDR")}
}
