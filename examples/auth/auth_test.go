package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/bcrypt"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
)

const patience = 20 * time.Second

// start serves a gate whose tokens live for ttl. The header Addr says where a login comes from.
func start(t *testing.T, ttl time.Duration) (*gate, *httptest.Server) {
	t.Helper()
	cfg := server.Config{Recovery: &server.Recovery{Recovery: adapter.Recovery{MaxDisconnection: time.Minute}}}
	adjust(&cfg)
	srv, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	addr := func(r *http.Request) string { return r.Header.Get("Addr") }
	g, err := newGate(srv, addr, newTokens("", ttl), map[string]string{"ada": "bean", "eve": "pole"}, bcrypt.MinCost)
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
	res := post(t, web, body, http.Header{"Content-Type": {"application/json"}})
	defer res.Body.Close()
	var answer struct{ Token string }
	if res.StatusCode == http.StatusOK {
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
	}
	return res.StatusCode, answer.Token
}

func post(t *testing.T, web *httptest.Server, body string, header http.Header) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", web.URL+"/login", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	res, err := web.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return res
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
	return back(t, web, map[string]string{"token": token})
}

// back is dial with an auth payload that may ask for recovery.
func back(t *testing.T, web *httptest.Server, payload map[string]string) *peer {
	t.Helper()
	p := open(t, web)
	p.send(connect(payload))
	return p
}

// open has a session without a namespace.
func open(t *testing.T, web *httptest.Server) *peer {
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
	return p
}

func connect(payload map[string]string) string {
	auth, _ := json.Marshal(payload)
	return "40" + string(auth)
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
		`{"name":"ada"}`: 401, `[]`: 400, `{"name":"` + strings.Repeat("a", 65) + `"}`: 400, `{"name":"` + strings.Repeat("a", 2000) + `"}`: 400,
	} {
		status, token := login(t, web, body)
		if status != want {
			t.Errorf("%.40s: %d, want %d", body, status, want)
		}
		if p, err := g.tokens.check(token); want == 200 && (p.name != "ada" || err != nil) {
			t.Errorf("the token is %q's, %v", p.name, err)
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
	p.expect(`42["expired"`)
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
	long := newTokens(string(g.tokens.key), time.Minute)
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

func TestWhoComesAtTheSameTimeIsCountedToo(t *testing.T) {
	g, web := start(t, time.Minute)
	_, token := login(t, web, `{"name":"ada","password":"bean"}`)
	var n atomic.Int32
	held, release := make(chan struct{}), make(chan struct{})
	g.io.Use(func(*server.Socket) error { // behind the gate, and not in yet
		if n.Add(1) <= maxSockets {
			held <- struct{}{}
			<-release
		}
		return nil
	})
	var all []*peer
	for range maxSockets {
		all = append(all, dial(t, web, token))
	}
	for range maxSockets {
		<-held
	}
	dial(t, web, token).expect(`44{"message":"too many sessions`)
	close(release)
	for _, p := range all {
		p.expect("40")
	}
}

// away connects, and loses the connection; it returns what the client comes back with.
func away(t *testing.T, g *gate, web *httptest.Server, token string) map[string]string {
	t.Helper()
	gone := make(chan struct{}, 1)
	g.io.OnConnection(func(s *server.Socket) {
		s.OnDisconnect(func(server.Disconnection) {
			select {
			case gone <- struct{}{}: // the first is the one
			default:
			}
		})
	})
	p := dial(t, web, token)
	var connected struct{ PID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(p.expect(`40{"sid"`), "40")), &connected); err != nil {
		t.Fatal(err)
	}
	var welcome []any
	if err := json.Unmarshal([]byte(strings.TrimPrefix(p.expect(`42["welcome"`), "42")), &welcome); err != nil {
		t.Fatal(err)
	}
	_ = p.conn.Close()
	<-gone
	return map[string]string{"token": token, "pid": connected.PID, "offset": welcome[len(welcome)-1].(string)}
}

func TestLeaveEverywhereEndsTheTokenAndWhoIsAway(t *testing.T) {
	g, web := start(t, time.Minute)
	_, token := login(t, web, `{"name":"ada","password":"bean"}`)
	_, eves := login(t, web, `{"name":"eve","password":"pole"}`)
	lost := away(t, g, web, token)
	if err := g.leave("ada", time.Now()); err != nil { // as the event of another socket does
		t.Fatal(err)
	}
	back(t, web, lost).expect(`44{"message":"not authorized"}`)
	dial(t, web, token).expect(`44{"message":"not authorized"}`)
	dial(t, web, eves).expect("40")
	_, token = login(t, web, `{"name":"ada","password":"bean"}`)
	dial(t, web, token).expect("40")
}

// What a lost connection has missed is its owner's, who has shown the password again.
func TestNewLoginRecoversWhatWasLeft(t *testing.T) {
	g, web := start(t, time.Minute)
	_, token := login(t, web, `{"name":"ada","password":"bean"}`)
	lost := away(t, g, web, token)
	if err := g.leave("ada", time.Now()); err != nil {
		t.Fatal(err)
	}
	back(t, web, lost).expect(`44{"message":"not authorized"}`)
	_, lost["token"] = login(t, web, `{"name":"ada","password":"bean"}`)
	if got := back(t, web, lost).expect(`40{"sid":"`); !strings.Contains(got, lost["pid"]) {
		t.Errorf("not recovered: %s", got)
	}
}

func TestLeaveEverywhereEndsWhoIsOnItsWayIn(t *testing.T) {
	g, web := start(t, time.Minute)
	_, token := login(t, web, `{"name":"ada","password":"bean"}`)
	g.io.Use(func(*server.Socket) error { return g.leave("ada", time.Now()) }) // behind the gate
	p := dial(t, web, token)
	p.expect("40")
	p.expect("41")
	p.ends()
}

func TestRecoveredSocketKeepsItsOwner(t *testing.T) {
	g, web := start(t, time.Minute)
	_, token := login(t, web, `{"name":"ada","password":"bean"}`)
	_, eves := login(t, web, `{"name":"eve","password":"pole"}`)
	lost := away(t, g, web, token)
	lost["token"] = eves
	back(t, web, lost).expect(`44{"message":"not authorized"}`)
}

func TestPagesOfOtherSitesCannotGuess(t *testing.T) {
	_, web := start(t, time.Minute)
	res := post(t, web, `{"name":"ada","password":"bean"}`, http.Header{"Content-Type": {"text/plain"}})
	defer res.Body.Close()
	if res.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestGuessesOfOneAddressAreRefusedInTheEnd(t *testing.T) {
	_, web := start(t, time.Minute)
	header := func(addr string) http.Header {
		return http.Header{"Content-Type": {"application/json"}, "Addr": {addr}}
	}
	for i := range maxPerAddress + 2 {
		res := post(t, web, `{"name":"ada","password":"guess"}`, header("192.0.2.1"))
		_ = res.Body.Close()
		want := http.StatusUnauthorized
		if i >= maxPerAddress {
			want = http.StatusTooManyRequests
		}
		if res.StatusCode != want || (want == 429) != (res.Header.Get("Retry-After") == "60") {
			t.Errorf("guess %d: status %d, %v, want %d", i, res.StatusCode, res.Header, want)
		}
	}
	res := post(t, web, `{"name":"ada","password":"bean"}`, header("192.0.2.2"))
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("from another address: status %d", res.StatusCode)
	}
}
