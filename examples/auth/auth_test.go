package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/bcrypt"

	"github.com/beanpole/beanpole/server"
)

const patience = 20 * time.Second

// start serves a gate whose tokens live for ttl.
func start(t *testing.T, ttl time.Duration) (*gate, *httptest.Server) {
	t.Helper()
	srv, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGate(srv, newTokens("", ttl), map[string]string{"ada": "bean"}, bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	mux.HandleFunc("POST /login", g.login)
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return g, web
}

func login(t *testing.T, web *httptest.Server, body string) (status int, token string) {
	t.Helper()
	res, err := web.Client().Post(web.URL+"/login", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ Token string }
	if res.StatusCode == http.StatusOK {
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
	}
	return res.StatusCode, answer.Token
}

// peer is a client over a raw WebSocket.
type peer struct {
	t    *testing.T
	conn net.Conn
	io.Reader
}

func (p *peer) Write(b []byte) (int, error) { return p.conn.Write(b) }

func dial(t *testing.T, web *httptest.Server, token string) *peer {
	t.Helper()
	conn, br, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(web.URL, "http")+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	p := &peer{t: t, conn: conn, Reader: conn}
	if br != nil {
		p.Reader = io.MultiReader(br, conn)
	}
	p.expect("0{")
	auth, _ := json.Marshal(map[string]string{"token": token})
	p.send("40" + string(auth))
	return p
}

func (p *peer) send(packet string) {
	p.t.Helper()
	if err := wsutil.WriteClientText(p.conn, []byte(packet)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) expect(prefix string) string {
	p.t.Helper()
	got, err := wsutil.ReadServerText(p)
	if err != nil || !strings.HasPrefix(string(got), prefix) {
		p.t.Fatalf("got %q, %v, want %s…", got, err, prefix)
	}
	return string(got)
}

// ends waits for the server to close the session.
func (p *peer) ends() {
	p.t.Helper()
	for {
		_, err := wsutil.ReadServerText(p)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			p.t.Fatal("the session lives")
		}
		if err != nil {
			return
		}
	}
}

func TestLoginGivesATokenForTheRightPassword(t *testing.T) {
	g, web := start(t, time.Minute)
	for body, want := range map[string]int{
		`{"name":"ada","password":"bean"}`: 200, `{"name":"ada","password":"Bean"}`: 401, `{"name":"eve","password":"nobody"}`: 401,
		`{"name":"ada"}`: 401, `[]`: 400, `{"name":"` + strings.Repeat("a", 2000) + `"}`: 400,
	} {
		status, token := login(t, web, body)
		if status != want {
			t.Errorf("%.40s: %d, want %d", body, status, want)
		}
		if name, _, err := g.tokens.check(token); want == 200 && (name != "ada" || err != nil) {
			t.Errorf("the token is %q's, %v", name, err)
		}
	}
}

func TestOnlyGoodTokensLetIn(t *testing.T) {
	g, web := start(t, time.Minute)
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
		t.Run(name, func(t *testing.T) {
			if got := dial(t, web, token).expect("44"); got != `44{"message":"not authorized"}` {
				t.Error(got)
			}
		})
	}
	dial(t, web, sign(jwt.SigningMethodHS256, g.tokens.key, good)).expect("40")
}

func TestSocketEndsWithItsToken(t *testing.T) {
	g, web := start(t, 2*time.Second)
	_, token := login(t, web, `{"name":"ada","password":"bean"}`)
	p := dial(t, web, token)
	p.expect(`40{"sid"`)
	p.expect(`42["welcome",{"name":"ada"`)
	p.expect(`42["expired"]`)
	p.expect("41")
	p.ends()
	if g.mu.Lock(); g.expired != 1 {
		t.Errorf("%d expired", g.expired)
	}
	g.mu.Unlock()
	dial(t, web, token).expect(`44{"message":"not authorized"}`)
}

func TestRenewedTokenProlongsTheSocket(t *testing.T) {
	g, web := start(t, 2*time.Second)
	_, short := login(t, web, `{"name":"ada","password":"bean"}`)
	long := tokens{g.tokens.key, time.Minute}
	p := dial(t, web, short)
	p.expect("40")
	p.expect(`42["welcome"`)
	eves, err := long.issue("eve")
	if err != nil {
		t.Fatal(err)
	}
	p.send(`421["renew","` + eves + `"]`)
	p.expect(`431[{"error":"not authorized"}]`)
	adas, err := long.issue("ada")
	if err != nil {
		t.Fatal(err)
	}
	p.send(`422["renew","` + adas + `"]`)
	p.expect(`432[{"name":"ada"`)
	q := dial(t, web, short) // the measure of the time: it ends when the first would have ended
	q.expect("40")
	q.ends()
	p.send(`423["renew","` + adas + `"]`)
	p.expect(`433[{"name":"ada"`)
}

func TestOnePersonHasSoManySockets(t *testing.T) {
	_, web := start(t, time.Minute)
	_, token := login(t, web, `{"name":"ada","password":"bean"}`)
	var all []*peer
	for range maxSockets {
		p := dial(t, web, token)
		p.expect("40")
		p.expect(`42["welcome"`)
		all = append(all, p)
	}
	dial(t, web, token).expect(`44{"message":"too many connections","data":{"limit":3}}`)
	all[0].send(`42["leave everywhere"]`)
	for _, p := range all {
		p.expect("41")
		p.ends()
	}
}
