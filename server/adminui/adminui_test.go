package adminui_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/adapter/redis/redistest"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/adminui"
	"github.com/beanpole/beanpole/transport"
)

const login = `{"username":"admin","password":"changeit"}`

func withPassword() adminui.Config { return adminui.Config{Username: "admin", PasswordHash: hash} }

func open() adminui.Config { return adminui.Config{NoAuth: true, Development: true} }

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	io, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer io.Close()
	for name, cfg := range map[string]adminui.Config{
		"Username":     {},
		"NoAuth":       {NoAuth: true, Username: "admin"},
		"PasswordHash": {Username: "admin", PasswordHash: "changeit"},
		"SessionTTL":   {NoAuth: true, SessionTTL: -1},

		"AllowedOrigins": {NoAuth: true, AllowedOrigins: []string{"*"}},
	} {
		if _, err := adminui.Attach(io, cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: %v, want an error about %s", cfg, err, name)
		}
	}
}

func TestPasswordIsAskedForOnce(t *testing.T) {
	t.Parallel()
	_, url := start(t, server.Config{}, withPassword(), nil)
	const refused = `44/admin,{"message":"invalid credentials"}`
	for _, auth := range []string{
		"", `{}`, `{"username":"admin","password":"wrong"}`, `{"username":"root","password":"changeit"}`, `{"username":1}`,
		`{"sessionId":"AAAA"}`, `{"sessionId":"` + strings.Repeat("A", 75) + `"}`,
	} {
		if _, got := dial(t, url, "/admin", auth); got != refused {
			t.Errorf("%s: %s", auth, got)
		}
	}
	p, _ := dial(t, url, "/admin", login)
	session := string(p.event("session")[0])
	if got := string(p.event("config")[0]); got != `{"supportedFeatures":["EMIT","JOIN","LEAVE","DISCONNECT","MJOIN","MLEAVE","MDISCONNECT","AGGREGATED_EVENTS"]}` {
		t.Error(got)
	}
	p.event("server_stats")

	// Another server with the same configuration, or this one after a restart.
	_, other := start(t, server.Config{}, withPassword(), nil)
	q, got := dial(t, other, "/admin", `{"sessionId":`+session+`}`)
	if !strings.HasPrefix(got, "40") {
		t.Fatal(got)
	}
	if next := q.next(); !strings.HasPrefix(next, `42/admin,["config"`) {
		t.Errorf("%s, want no second session", next)
	}
	changed := withPassword()
	changed.Username = "root"
	_, third := start(t, server.Config{}, changed, nil)
	if _, got := dial(t, third, "/admin", `{"sessionId":`+session+`}`); got != refused {
		t.Errorf("after a change of the credentials: %s", got)
	}
	short := withPassword()
	short.SessionTTL = time.Nanosecond
	_, fourth := start(t, server.Config{}, short, nil)
	p, _ = dial(t, fourth, "/admin", login)
	if _, got := dial(t, fourth, "/admin", `{"sessionId":`+string(p.event("session")[0])+`}`); got != refused {
		t.Errorf("after the session's end: %s", got)
	}
}

func TestGuessingIsBounded(t *testing.T) {
	t.Parallel()
	_, url := start(t, server.Config{}, withPassword(), nil)
	for range 10 {
		dial(t, url, "/admin", `{"username":"admin","password":"guess"}`)
	}
	if _, got := dial(t, url, "/admin", login); !strings.HasPrefix(got, "44") {
		t.Errorf("the eleventh: %s", got)
	}
}

// A page of any site that the administrator looks at is on his network, and has his address.
func TestPagesOfOtherOrigins(t *testing.T) {
	t.Parallel()
	const refused = `44/admin,{"message":"origin not allowed"}`
	var log lines
	guarded, none := withPassword(), open()
	guarded.Logger = slog.New(slog.NewTextHandler(&log, nil))
	none.AllowedOrigins = []string{"https://admin.socket.io"}
	_, url := start(t, server.Config{}, guarded, nil)
	for range 15 {
		if _, got := dialFrom(t, url, "Origin: http://evil.example", "/admin", `{"username":"admin","password":"guess"}`); got != refused {
			t.Fatalf("a guess of a foreign page: %s", got)
		}
	}
	if !strings.Contains(log.String(), "origin=http://evil.example") || !strings.Contains(log.String(), "AllowedOrigins") {
		t.Errorf("log %s", log.String())
	}
	if _, got := dialFrom(t, url, "Origin: "+url, "/admin", login); !strings.HasPrefix(got, "40/admin,") {
		t.Errorf("the administrator after it: %s", got)
	}
	any, some := server.Config{}, server.Config{}
	any.Transport.CORS = &transport.CORS{Origins: []string{"*"}}
	some.Transport.CORS = &transport.CORS{Origins: []string{"https://own.example"}}
	for name, tt := range map[string]struct {
		sc      server.Config
		allowed []string
	}{
		"no list":   {server.Config{}, []string{"https://admin.socket.io"}},
		"any page":  {any, []string{"https://admin.socket.io"}},
		"some page": {some, []string{"https://own.example"}},
	} {
		_, url := start(t, tt.sc, none, nil)
		tt.allowed = append(tt.allowed, url)
		for _, page := range []string{"https://admin.socket.io", "https://own.example", url, "https" + strings.TrimPrefix(url, "http"), "null"} {
			if name == "some page" && !slices.Contains(tt.allowed, page) {
				continue // opens no session
			}
			_, got := dialFrom(t, url, "Origin: "+page, "/admin", "")
			if want := slices.Contains(tt.allowed, page); want == (got == refused) || want != strings.HasPrefix(got, "40/admin,") {
				t.Errorf("%s: a page of %s: %s", name, page, got)
			}
		}
		if _, got := dial(t, url, "/admin", ""); !strings.HasPrefix(got, "40/admin,") {
			t.Errorf("%s: a program: %s", name, got)
		}
	}
}

// Another page could have a click on the Admin UI made unawares.
func TestPageIsShownInNoFrame(t *testing.T) {
	t.Parallel()
	page := adminui.Page(fstest.MapFS{"index.html": {Data: []byte("<title>admin</title>")}})
	for path, status := range map[string]int{"/": 200, "/gone": 404} {
		w := httptest.NewRecorder()
		page.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if h := w.Header(); w.Code != status || h.Get("Content-Security-Policy") != "frame-ancestors 'none'" || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %d %v", path, w.Code, h)
		}
	}
}

func TestReadOnlyDoesNothing(t *testing.T) {
	t.Parallel()
	cfg := withPassword()
	cfg.ReadOnly = true
	io, url := start(t, server.Config{}, cfg, nil)
	s, _ := dial(t, url, "/", "")
	p, _ := dial(t, url, "/admin", login)
	if got := string(p.event("config")[0]); got != `{"supportedFeatures":["AGGREGATED_EVENTS"]}` {
		t.Error(got)
	}
	p.send(`42/admin,["join","/","room"]`, `42/admin,["_disconnect","/",true]`, `42/admin,["emit","/",null,"x"]`)
	p.event("server_stats") // a whole interval
	p.event("server_stats")
	if n := len(io.Socket(s.sid).Rooms()); n != 1 {
		t.Errorf("%d rooms", n)
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	cfg := adminui.Config{NoAuth: true}
	io, url := start(t, server.Config{}, cfg, nil)
	games := 0
	io.OfPattern(regexp.MustCompile(`^/game-\d$`)).OnConnection(func(*server.Socket) { games++ })
	a, _ := dial(t, url, "/", "")
	b, _ := dial(t, url, "/", "")
	p, _ := dial(t, url, "/admin", "")
	p.event("config")
	in := func(room string) (n int) {
		n, err := io.In(room).Count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// done says that all commands sent so far have run: those of one socket run one after the other.
	done := func() {
		t.Helper()
		p.send(fmt.Sprintf(`42/admin,["emit","/",%q,"done",{"n":1},null]`, a.sid))
		for {
			if got := a.next(); got == `42["done",{"n":1},null]` {
				return
			}
		}
	}
	p.send(`42/admin,["join","/","all"]`, fmt.Sprintf(`42/admin,["join","/","one",%q]`, b.sid), `42/admin,["join","/unknown","x"]`,
		`42/admin,["join","/game-1","x"]`, `42/admin,["emit","/",null,"disconnect"]`, `42/admin,["join"]`)
	done()
	if in("all") != 2 || in("one") != 1 {
		t.Errorf("%d in all, %d in one", in("all"), in("one"))
	}
	if n := len(io.Namespaces()); n != 2 {
		t.Errorf("%d namespaces: the page made one", n)
	}
	p.send(fmt.Sprintf(`42/admin,["leave","/","all",%q]`, b.sid), `42/admin,["emit","/","one","hello",1]`)
	done()
	if in("all") != 1 {
		t.Errorf("%d in all after b has left", in("all"))
	}
	if got := b.next(); got != `42["hello",1]` {
		t.Error(got)
	}
	p.send(`42/admin,["_disconnect","/",false,"one"]`)
	if got := b.next(); got != "41" {
		t.Error(got)
	}
	done()
}

func TestStatsSayWhatWasAdded(t *testing.T) {
	t.Parallel()
	_, url := start(t, server.Config{}, adminui.Config{NoAuth: true, ServerID: "s1"}, nil)
	p, _ := dial(t, url, "/admin", "")
	p.event("server_stats", `"serverId":"s1"`, `"clientsCount":1`, `"aggregatedEvents":[]`)
	a, _ := dial(t, url, "/", "")
	a.send(`42["x"]`)
	p.event("server_stats", `"type":"rawConnection"`, `"type":"packetsIn"`, `"type":"bytesOut"`, `{"name":"/","socketsCount":1}`,
		`{"name":"/admin","socketsCount":1}`, `"pollingClientsCount":0`)
	_ = a.conn.Close()
	p.event("server_stats", `"type":"rawDisconnection","subType":"transport close","count":1`, `"clientsCount":1`)
}

func TestDevelopmentTellsEverything(t *testing.T) {
	t.Parallel()
	_, url := start(t, server.Config{}, open(), func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.Data.Set("name", "ada")
			_ = s.Emit("welcome", []byte{1, 2})
			s.On("join", func(room string) { s.Join(room) })
			s.On("leave", func(room string) { s.Leave(room) })
			s.On("rename", func(to string) { s.Data.Set("name", to) })
		})
	})
	before, _ := dial(t, url, "/", "")
	before.next() // the welcome, whose binary is no text
	p, _ := dial(t, url, "/admin", "")
	if got := string(p.event("config")[0]); !strings.Contains(got, `"ALL_EVENTS"`) {
		t.Error(got)
	}
	all := string(p.event("all_sockets", before.sid)[0])
	for _, want := range []string{`"data":{"name":"ada"}`, `"transport":"websocket"`, `"nsp":"/"`, `"via":"1.1 seen"`, `"v":"1"`, `"rooms":["` + before.sid} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in %s", want, all)
		}
	}
	for _, not := range []string{"secret", "_admin", "cookie", "authorization", "x-api-key", "token", "referer", "x-whatever"} {
		if strings.Contains(all, not) {
			t.Errorf("%s in %s", not, all)
		}
	}
	a, _ := dial(t, url, "/", `{"token":"secret"}`)
	id := fmt.Sprintf("%q", a.sid)
	p.event("room_joined", `"/",`+id+`,`+id)
	connected := p.event("socket_connected", id)
	if len(connected) != 2 || strings.Contains(string(connected[0]), "secret") {
		t.Errorf("%s", connected)
	}
	if _, err := time.Parse(`"2006-01-02T15:04:05.000Z"`, string(connected[1])); err != nil {
		t.Error(err)
	}
	p.event("event_sent", `"/",`+id+`,["welcome",{"_placeholder":true,"num":0}]`)
	p.event("socket_updated", id, `"data":{"name":"ada"}`)
	a.send(`42["join","r"]`)
	p.event("event_received", `"/",`+id+`,["join","r"]`)
	p.event("room_joined", `"/","r",`+id)
	a.send(`42["leave","r"]`, `42["rename","eve"]`, `42["long","`+strings.Repeat("x", 20_000)+`"]`)
	p.event("room_left", `"/","r",`+id)
	p.event("event_received", `(1 more, too long to show)`)
	p.event("socket_updated", id, `"data":{"name":"eve"}`)
	_ = a.conn.Close()
	p.event("room_left", `"/",`+id)
	p.event("socket_disconnected", `"/",`+id+`,"transport close"`)
}

func TestRecoveredSocketsAndPages(t *testing.T) {
	t.Parallel()
	// With recovery the rooms are told of under the adapter's order lock: this must not wait for itself.
	_, url := start(t, server.Config{Recovery: &server.Recovery{}}, open(), func(io *server.Server) {
		io.On("join", func(s *server.Socket, room string) { s.Join(room) })
	})
	p, answer := dial(t, url, "/admin", "")
	var connect struct{ PID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(answer, "40/admin,")), &connect); err != nil {
		t.Fatal(err)
	}
	p.event("server_stats")
	all := p.event("server_stats") // its last element is the offset
	_ = p.conn.Close()
	p, _ = dial(t, url, "/admin", fmt.Sprintf(`{"pid":%q,"offset":%s}`, connect.PID, all[len(all)-1]))
	a, _ := dial(t, url, "/", "")
	a.send(`42["join","r"]`)
	p.event("room_joined", `"/","r"`, a.sid)
}

func TestPageSeesTheCluster(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip(err)
	}
	r := redistest.Start(t)
	node := func(id string) (*server.Server, string) {
		t.Helper()
		cluster, err := redis.New(redis.Config{URL: r.URL()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_ = cluster.Close(ctx)
		})
		cfg := open()
		cfg.ServerID = id
		io, url := start(t, server.Config{Adapter: cluster.Adapter()}, cfg, nil)
		if err := cluster.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		return io, url
	}
	first, one := node("one")
	two, other := node("two")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C { // they find each other by heartbeat
		n, err := first.Servers(t.Context())
		if n == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d servers, %v", n, err)
		}
	}
	before, _ := dial(t, other, "/", "")
	p, _ := dial(t, one, "/admin", "")
	if all := string(p.event("all_sockets", before.sid)[0]); strings.Contains(all, `"clientId":""`) {
		t.Errorf("a socket without its client: %s", all)
	}
	p.event("server_stats", `"serverId":"two"`)
	a, _ := dial(t, other, "/", "")
	p.event("socket_connected", a.sid)
	p.send(fmt.Sprintf(`42/admin,["join","/","r",%q]`, a.sid))
	p.event("room_joined", `"r"`, a.sid)
	if rooms := two.Socket(a.sid).Rooms(); len(rooms) != 2 {
		t.Errorf("rooms %q", rooms)
	}
	p.send(fmt.Sprintf(`42/admin,["_disconnect","/",true,%q]`, a.sid))
	p.event("socket_disconnected", a.sid, "server namespace disconnect")
}
