package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// The findings of a visit, in the first word of what a node is told.
const (
	findUnreached  = "unreached"
	findUnanswered = "unanswered"
	findElsewhere  = "elsewhere"
	findEnded      = "ended"
	findAuthority  = "authority"
	findName       = "name"
	findPlain      = "plain"
	findSecure     = "secure"
	findHandshake  = "handshake"
)

// meanings are what each of them says of the address.
var meanings = map[string]error{
	findUnreached:  errUnreached,
	findUnanswered: errUnanswered,
	findElsewhere:  errAstray,
	findEnded:      errEnded,
	findAuthority:  errAuthority,
	findName:       errOtherName,
	findPlain:      errPlain,
	findSecure:     errSecure,
	findHandshake:  errHandshake,
}

// reading returns what a node is told, and in whose words; of a word that this version does not know, that the address is
// not this node's.
func reading(text string) (kind error, detail string) {
	word, detail, _ := strings.Cut(text, " ")
	if kind = meanings[word]; kind == nil {
		kind = errAstray
	}
	return kind, detail
}

// visit asks at an address for a node, and returns what is wrong; empty if that node answers, and then what it says of the nodes of
// about. looked is false if this one could not ask.
func (v *visits) visit(ctx context.Context, node, addr string, about []string) (found, votes string, looked bool) {
	secret, sid := v.r.sharedSecret(), "visit."+rand.Text() // no session has such an id
	u, err := url.Parse(addr)
	if err != nil {
		return findUnreached + " " + short(err), "", true
	}
	there := url.URL{Scheme: u.Scheme, Host: u.Host, Path: v.path, RawQuery: "sid=" + sid} // as Forwarder.rewrite
	var greeting atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{TLSHandshakeStart: func() { greeting.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) { greeting.Store(err != nil) }})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, there.String(), nil)
	if err != nil {
		return findUnreached + " " + short(err), "", true
	}
	r.Header.Set(forwardedHeader, mark{at: time.Now().Unix(), from: v.r.node, addr: strings.Join(about, " ")}.sign(secret, sid))
	res, err := v.client.Do(r)
	if err != nil {
		if slices.ContainsFunc(lacking, func(own error) bool { return errors.Is(err, own) }) {
			return "", "", false
		}
		found = finding(err, greeting.Load()) + " " + short(err)
	} else {
		_ = res.Body.Close()
		switch m, ok := readMark(res.Header.Get(forwardedHeader), secret, answerTo(sid)); {
		case !ok:
			found = fmt.Sprintf("%s what answers there, with status %d, does not show that it is one of them", findElsewhere, res.StatusCode)
		case m.from != node:
			return findElsewhere + " server " + m.from + " answers there", "", true
		default:
			return "", m.addr, true
		}
	}
	if u.Scheme == "http" && !strings.HasPrefix(found, findUnreached) && v.greets(ctx, u) {
		_, detail := reading(found)
		found = findSecure + " " + detail
	}
	return found, "", true
}

// greets reports whether TLS is spoken at an address of http://.
func (v *visits) greets(ctx context.Context, at *url.URL) bool {
	ctx, cancel := context.WithTimeout(ctx, v.client.Timeout)
	defer cancel()
	conn, err := v.dial(ctx, "tcp", net.JoinHostPort(at.Hostname(), cmp.Or(at.Port(), "80")))
	if err != nil {
		return false
	}
	defer conn.Close()
	// Nothing is said there, and nothing believed.
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) == nil
}

// lacking are the failures of a dial that say of this node what it lacks, and nothing of the other.
var lacking = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL}

// finding is the word for the failure of a visit. greeting means that TLS had begun, and had not come about.
func finding(err error, greeting bool) string {
	var (
		op        *net.OpError
		invalid   x509.CertificateInvalidError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return findUnreached
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return findEnded
	case errors.As(err, &authority):
		return findAuthority
	case errors.As(err, &name):
		return findName
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return findPlain
	case greeting, op != nil && op.Op == "remote error": // by TLS, which misses a certificate after the handshake
		return findHandshake
	default:
		return findUnanswered
	}
}

// short is the text of an error of package net/http, without the URL that was asked for.
func short(err error) string {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err
	}
	return err.Error()[:min(len(err.Error()), 200)]
}
