package main

import (
	"crypto/rand"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// issuer is in every token, so that one made for something else with the same key is none of ours.
const issuer = "beanpole-example-auth"

var errToken = errors.New("not authorized") // all that a client is told

// tokens makes and checks tokens (RFC 7519), signed with a key of its own (HS256).
type tokens struct {
	key []byte
	ttl time.Duration
}

// newTokens uses key, or a random one, with which tokens end when the program does.
func newTokens(key string, ttl time.Duration) tokens {
	if key == "" {
		key = rand.Text()
	}
	return tokens{[]byte(key), ttl}
}

// issue makes a token for somebody whose password was right.
func (t tokens) issue(name string) (string, error) {
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer: issuer, Subject: name, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(t.ttl)),
	}).SignedString(t.key)
}

// check returns whose token it is and when it ends. The algorithm is named, since the token itself says
// which one it wants, and an expiry is required, since a token without one would be good for ever.
func (t tokens) check(token string) (name string, expires time.Time, err error) {
	var claims jwt.RegisteredClaims
	_, err = jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return t.key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer), jwt.WithExpirationRequired())
	if err != nil || claims.Subject == "" {
		return "", time.Time{}, errToken
	}
	return claims.Subject, claims.ExpiresAt.Time, nil
}
