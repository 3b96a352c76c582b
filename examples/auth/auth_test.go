package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/bcrypt"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// start makes a gate whose tokens live for ttl. The header Addr says where a login comes from.
func start(t *testing.T, ttl time.Duration) *gate {
	t.Helper()
	cfg := server.Config{Recovery: &server.Recovery{}}
	adjust(&cfg)
	addr := func(r *http.Request) string { return r.Header.Get("Addr") }
	passwords := map[string]string{"ada": "bean", "eve": "pole"}
	g, err := newGate(servertest.Server(t, cfg), addr, newTokens("", ttl), passwords, bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *gate) post(body string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/login", strings.NewReader(body))
	r.Header = header
	w := httptest.NewRecorder()
	g.login(w, r)
	return w
}

func (g *gate) ask(t *testing.T, body string) (status int, token string) {
	t.Helper()
	w := g.post(body, http.Header{"Content-Type": {"application/json"}})
	var answer struct{ Token string }
	if w.Code == http.StatusOK {
		if err := json.NewDecoder(w.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
	}
	return w.Code, answer.Token
}

// ada and eve log in.
func (g *gate) ada(t *testing.T) string {
	_, token := g.ask(t, `{"name":"ada","password":"bean"}`)
	return token
}
func (g *gate) eve(t *testing.T) string {
	_, token := g.ask(t, `{"name":"eve","password":"pole"}`)
	return token
}

func with(token string) client.Config { return client.Config{Auth: map[string]string{"token": token}} }

// enter comes in with a token.
func (g *gate) enter(t *testing.T, token string) *servertest.Client {
	t.Helper()
	c := servertest.ConnectTo(t, g.io, "/", with(token))
	servertest.Expect[session](c, "welcome")
	return c
}

// refused comes with a token that does not let it in.
func (g *gate) refused(t *testing.T, token string) string {
	t.Helper()
	return servertest.Refused(t, g.io, "/", with(token)).Message
}

func TestLoginGivesATokenForTheRightPassword(t *testing.T) {
	g := start(t, time.Minute)
	for body, want := range map[string]int{
		`{"name":"ada","password":"bean"}`: 200, `{"name":"ada","password":"Bean"}`: 401, `{"name":"eve","password":"nobody"}`: 401,
		`{"name":"ada"}`: 401, `[]`: 400, `{"name":"` + strings.Repeat("a", 65) + `"}`: 400, `{"name":"` + strings.Repeat("a", 2000) + `"}`: 400,
	} {
		status, token := g.ask(t, body)
		if status != want {
			t.Errorf("%.40s: %d, want %d", body, status, want)
		}
		if p, err := g.tokens.check(token); want == 200 && (p.name != "ada" || err != nil) {
			t.Errorf("the token is %q's, %v", p.name, err)
		}
	}
}

func TestOnlyGoodTokensLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, time.Minute)
		sign := func(m jwt.SigningMethod, key any, c jwt.RegisteredClaims) string {
			t.Helper()
			token, err := jwt.NewWithClaims(m, c).SignedString(key)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		soon := jwt.NewNumericDate(time.Now().Add(time.Minute))
		good := jwt.RegisteredClaims{Issuer: issuer, Subject: "ada", ExpiresAt: soon}
		for name, token := range map[string]string{
			"none":              "",
			"rubbish":           "a.b.c",
			"no signature":      sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good),
			"another algorithm": sign(jwt.SigningMethodHS512, g.tokens.key, good),
			"another key":       sign(jwt.SigningMethodHS256, []byte("another key"), good),
			"another issuer":    sign(jwt.SigningMethodHS256, g.tokens.key, jwt.RegisteredClaims{Issuer: "x", Subject: "ada", ExpiresAt: soon}),
			"no expiry":         sign(jwt.SigningMethodHS256, g.tokens.key, jwt.RegisteredClaims{Issuer: issuer, Subject: "ada"}),
			"nobody's":          sign(jwt.SigningMethodHS256, g.tokens.key, jwt.RegisteredClaims{Issuer: issuer, ExpiresAt: soon}),
			"expired": sign(jwt.SigningMethodHS256, g.tokens.key, jwt.RegisteredClaims{
				Issuer: issuer, Subject: "ada", ExpiresAt: jwt.NewNumericDate(time.Now().Add(-time.Second)),
			}),
		} {
			if got := g.refused(t, token); got != "not authorized" {
				t.Errorf("%s: %s", name, got)
			}
		}
		g.enter(t, sign(jwt.SigningMethodHS256, g.tokens.key, good))
	})
}

func TestSocketEndsWithItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, time.Minute)
		token, began := g.ada(t), time.Now()
		c := g.enter(t, token)
		c.ExpectArgs("expired")
		if why := c.ExpectDisconnect(); why != client.ReasonServer {
			t.Errorf("ended by %q", why)
		}
		if d := time.Since(began); d != time.Minute || g.expired != 1 {
			t.Errorf("%d expired after %v", g.expired, d)
		}
		if got := g.refused(t, token); got != "not authorized" {
			t.Error(got)
		}
	})
}

func TestRenewedTokenProlongsTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, time.Minute)
		c := g.enter(t, g.ada(t))
		time.Sleep(30 * time.Second)
		if got := servertest.AskFails(c, "renew", g.eve(t)); got != "not authorized" {
			t.Error(got)
		}
		if s := servertest.Ask[session](c, "renew", g.ada(t)); s.Name != "ada" || !s.Expires.Equal(time.Now().Add(time.Minute)) {
			t.Errorf("renewed to %+v", s)
		}
		time.Sleep(59 * time.Second)
		c.ExpectNothing("expired")
		c.ExpectArgs("expired")
	})
}

func TestOnePersonHasSoManySockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, time.Minute)
		token := g.ada(t)
		var all []*servertest.Client
		for range maxSockets {
			all = append(all, g.enter(t, token))
		}
		refusal := servertest.Refused(t, g.io, "/", with(token))
		if refusal.Message != "too many connections" || string(refusal.Data) != `{"limit":3}` {
			t.Errorf("refused with %+v", refusal)
		}
		if err := all[0].Emit("leave everywhere"); err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			if why := c.ExpectDisconnect(); why != client.ReasonServer {
				t.Errorf("ended by %q", why)
			}
		}
	})
}

func TestWhoComesAtTheSameTimeIsCountedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, time.Minute)
		token, release := g.ada(t), make(chan struct{})
		g.io.Use(func(*server.Socket) error { <-release; return nil }) // behind the gate, and not in yet
		var all []*servertest.Client
		for range maxSockets {
			c := servertest.NewClient(t, g.io, "/", with(token))
			if err := c.Open(); err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		synctest.Wait()
		if got := g.refused(t, token); !strings.HasPrefix(got, "too many sessions") {
			t.Error(got)
		}
		close(release)
		for _, c := range all {
			servertest.Expect[session](c, "welcome")
		}
	})
}

// away comes in and loses the connection. Who comes back by it does so with the token that is returned.
func away(t *testing.T, g *gate) (c *servertest.Client, token *string) {
	t.Helper()
	now := g.ada(t)
	auth := func(context.Context, string) (any, error) { return map[string]string{"token": now}, nil }
	c = servertest.ConnectTo(t, g.io, "/", client.Config{AuthFunc: auth})
	servertest.Expect[session](c, "welcome")
	c.Cut()
	return c, &now
}

// back has a client come back that is not let in.
func back(t *testing.T, c *servertest.Client) {
	t.Helper()
	c.Mend()
	var refusal *client.ConnectError
	if err := c.Connect(t.Context()); !errors.As(err, &refusal) || refusal.Message != "not authorized" {
		t.Fatalf("coming back: %v", err)
	}
}

func TestLeaveEverywhereEndsTheTokenAndWhoIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, time.Minute)
		lost, token := away(t, g)
		if err := g.leave("ada", time.Now()); err != nil { // as the event of another socket does
			t.Fatal(err)
		}
		back(t, lost)
		if got := g.refused(t, *token); got != "not authorized" {
			t.Error(got)
		}
		g.enter(t, g.eve(t))
		time.Sleep(time.Second) // a token has whole seconds
		g.enter(t, g.ada(t))
	})
}

// What a lost connection has missed is its owner's, who has shown the password again.
func TestNewLoginRecoversWhatWasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, time.Minute)
		lost, token := away(t, g)
		if err := g.leave("ada", time.Now()); err != nil {
			t.Fatal(err)
		}
		back(t, lost)
		time.Sleep(time.Second)
		*token = g.ada(t)
		if !lost.Back() {
			t.Error("not recovered")
		}
	})
}

func TestLeaveEverywhereEndsWhoIsOnItsWayIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, time.Minute)
		g.io.Use(func(*server.Socket) error { return g.leave("ada", time.Now()) }) // behind the gate
		c := servertest.ConnectTo(t, g.io, "/", with(g.ada(t)))
		if why := c.ExpectDisconnect(); why != client.ReasonServer {
			t.Errorf("ended by %q", why)
		}
	})
}

func TestRecoveredSocketKeepsItsOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, time.Minute)
		lost, token := away(t, g)
		*token = g.eve(t)
		back(t, lost)
	})
}

// Servers that share a key are one.
func TestLeaveEverywhereIsOnAllServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := server.Config{}
		adjust(&cfg)
		var gates []*gate
		for _, io := range servertest.Cluster(t, 2, cfg) {
			g, err := newGate(io, func(*http.Request) string { return "" }, newTokens(strings.Repeat("k", minKey), time.Minute),
				map[string]string{"ada": "bean"}, bcrypt.MinCost)
			if err != nil {
				t.Fatal(err)
			}
			gates = append(gates, g)
		}
		token := gates[0].ada(t)
		here, there := gates[0].enter(t, token), gates[1].enter(t, token)
		if err := here.Emit("leave everywhere"); err != nil {
			t.Fatal(err)
		}
		there.ExpectDisconnect()
		if got := gates[1].refused(t, token); got != "not authorized" {
			t.Error(got)
		}
	})
}

func TestPagesOfOtherSitesCannotGuess(t *testing.T) {
	g := start(t, time.Minute)
	res := g.post(`{"name":"ada","password":"bean"}`, http.Header{"Content-Type": {"text/plain"}})
	if res.Code != http.StatusUnsupportedMediaType {
		t.Errorf("status %d", res.Code)
	}
}

func TestGuessesOfOneAddressAreRefusedInTheEnd(t *testing.T) {
	g := start(t, time.Minute)
	header := func(addr string) http.Header {
		return http.Header{"Content-Type": {"application/json"}, "Addr": {addr}}
	}
	for i := range maxPerAddress + 2 {
		res := g.post(`{"name":"ada","password":"guess"}`, header("192.0.2.1"))
		want := http.StatusUnauthorized
		if i >= maxPerAddress {
			want = http.StatusTooManyRequests
		}
		if res.Code != want || (want == 429) != (res.Header().Get("Retry-After") == "60") {
			t.Errorf("guess %d: status %d, %v, want %d", i, res.Code, res.Header(), want)
		}
	}
	res := g.post(`{"name":"ada","password":"bean"}`, header("192.0.2.2"))
	if res.Code != http.StatusOK {
		t.Errorf("from another address: status %d", res.Code)
	}
}
