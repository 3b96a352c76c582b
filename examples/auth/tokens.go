package main

import (
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// issuer is in every token, so that one made for something else with the same key is none of ours.
const issuer = "beanpole-example-auth"

var errToken = errors.New("not authorized") // all that a client is told

// pass is what a good token says.
type pass struct {
	name          string
	made, expires time.Time
}

// claims is a pass in a token. The claim iat has whole seconds, in which one can leave and log in again.
type claims struct {
	jwt.RegisteredClaims
	Made int64 `json:"made"` // microseconds since 1970
}

// tokens makes and checks tokens (RFC 7519), signed with a key of its own (HS256). Safe for concurrent use.
type tokens struct {
	// Set by newTokens, then read only.
	key []byte
	ttl time.Duration

	mu   sync.Mutex
	left map[string]time.Time // guarded by mu; before when the tokens of a name have ended
}

// newTokens uses key, or a random one, with which tokens end when the program does.
func newTokens(key string, ttl time.Duration) *tokens {
	if key == "" {
		key = rand.Text()
	}
	return &tokens{key: []byte(key), ttl: ttl, left: make(map[string]time.Time)}
}

// issue makes a token for somebody whose password was right.
func (t *tokens) issue(name string) (string, error) {
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{jwt.RegisteredClaims{
		Issuer: issuer, Subject: name, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(t.ttl)),
	}, now.UnixMicro()}).SignedString(t.key)
}

// check returns what a token says. The algorithm is named, since the token itself says which one it wants,
// and an expiry is required, since a token without one would be good for ever.
func (t *tokens) check(token string) (pass, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return t.key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired())
	if err != nil || c.Subject == "" {
		return pass{}, errToken
	}
	p := pass{c.Subject, time.UnixMicro(c.Made), c.ExpiresAt.Time}
	if t.ended(p) {
		return pass{}, errToken
	}
	return p, nil
}

// end ends the tokens of a name that were made until then. They are forgotten when they have expired. A
// server that starts later does not know: an application keeps this where its accounts are.
func (t *tokens) end(name string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for who, when := range t.left {
		if at.Sub(when) > t.ttl {
			delete(t.left, who)
		}
	}
	if at.After(t.left[name]) {
		t.left[name] = at
	}
}

// ended reports whether a token has been ended before it expires.
func (t *tokens) ended(p pass) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.left[p.name]
	return ok && !p.made.After(at)
}
