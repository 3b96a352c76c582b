package transport

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/internal/limit"
)

// foreignServer returns a Server with the list, to which every request with the header X-Secure came over TLS.
func foreignServer(t *testing.T, list ...string) *Server {
	t.Helper()
	s, err := New(Config{
		Accept: func(*Session) Receiver { return nil },
		CORS:   &CORS{Origins: list},
		ClientAddr: func(r *http.Request) (string, bool) {
			return r.RemoteAddr, r.Header.Get("X-Secure") != ""
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOrigins(t *testing.T) {
	s := foreignServer(t, "https://app.example.com", "https://*.trusted.org", "http://localhost:3000", "http://127.0.0.1:*")
	for _, tt := range []struct {
		origin, url string // of the page, and of what it asks
		allowed     bool
	}{
		{"", "https://chat.example.com", true}, // no page: an app, a server
		{"https://app.example.com", "https://chat.example.com", true},
		{"HTTPS://APP.example.com", "https://chat.example.com", true},
		{"http://app.example.com", "https://chat.example.com", false},
		{"https://app.example.com:8443", "https://chat.example.com", false},
		{"https://app.example.com.evil.net", "https://chat.example.com", false},
		{"https://evilapp.example.com", "https://chat.example.com", false},
		{"http://localhost:3000", "https://chat.example.com", true},
		{"http://localhost:30000", "https://chat.example.com", false},
		{"null", "https://chat.example.com", false},
		{"http://127.0.0.1:8080", "https://chat.example.com", true},
		{"http://127.0.0.1", "https://chat.example.com", true}, // which is every port's
		{"http://127.0.0.1:", "https://chat.example.com", true},
		{"file://", "https://chat.example.com", false},
		// What stands for the "*" is part of a host name, over dots too.
		{"https://a.trusted.org", "https://chat.example.com", true},
		{"https://a.b_c-d.trusted.org", "https://chat.example.com", true},
		{"https://.trusted.org", "https://chat.example.com", false},
		{"https://trusted.org", "https://chat.example.com", false},
		{"https://evil.net/.trusted.org", "https://chat.example.com", false},
		{"https://evil.net:80.trusted.org", "https://chat.example.com", false},
		{"https://evil.net#.trusted.org", "https://chat.example.com", false},
		{"https://evil.net?.trusted.org", "https://chat.example.com", false},
		{`https://evil.net\.trusted.org`, "https://chat.example.com", false},
		{"https://a@b.trusted.org", "https://chat.example.com", false},
		{"https://a b.trusted.org", "https://chat.example.com", false},
		{"https://a.trusted.org.evil.net", "https://chat.example.com", false},
		// The server's own pages: scheme, name and port. Browsers leave the default port out of Host.
		{"https://chat.example.com", "https://chat.example.com", true},
		{"http://chat.example.com", "http://chat.example.com", true},
		{"http://chat.example.com", "https://chat.example.com", false},
		{"https://chat.example.com", "http://chat.example.com", false},
		{"https://chat.example.com", "https://chat.example.com:443", true},
		{"https://chat.example.com", "https://chat.example.com:8443", false},
		{"https://chat.example.com:443", "http://chat.example.com:443", false},
		{"https://chat.example.com:8443", "https://chat.example.com", false}, // nginx's $host too
		{"http://chat.example.com:8080", "http://chat.example.com", false},
		{"http://chat.example.com:443", "http://chat.example.com", false},
		{"http://chat.example.com:80", "http://chat.example.com", true},
		{"https://Chat.Example.com", "https://chat.example.COM", true},
		{"https://chat.example.com.evil.net", "https://chat.example.com", false},
		{"wss://chat.example.com", "https://chat.example.com:443", true}, // the Swift client
		{"ws://chat.example.com", "http://chat.example.com:80", true},
		{"ws://chat.example.com", "https://chat.example.com", false},
		{"wss://evil.example.com", "https://chat.example.com:443", false},
		{"ftp://chat.example.com", "http://chat.example.com", false},
		{"http://[::1]:5000", "http://[::1]:5000", true},
		{"http://[::1]", "http://[::1]", true},
		{"http://[::1]:5000", "http://[::1]:5001", false},
		{"chat.example.com", "http://chat.example.com", false},
		{"http://", "http://", false},
		{"::bad::", "https://chat.example.com", false},
	} {
		scheme, host, _ := strings.Cut(tt.url, "://")
		r := httptest.NewRequest("GET", "/socket.io/", nil)
		r.Host = host
		if scheme == "https" {
			r.Header.Set("X-Secure", "1")
		}
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		if s.foreign(r) == tt.allowed {
			t.Errorf("a page of %q at %s: allowed %v, want %v", tt.origin, tt.url, !tt.allowed, tt.allowed)
		}
	}
}

// What the list says of the server's own host settles what its own pages are, where no proxy says it.
func TestListNamesTheServersOwnHost(t *testing.T) {
	for _, tt := range []struct {
		list    string
		origin  string
		allowed bool
	}{
		{"https://chat.example.com", "https://chat.example.com", true},
		{"https://chat.example.com", "wss://chat.example.com", true},
		{"https://chat.example.com", "http://chat.example.com", false},
		{"https://chat.example.com", "http://chat.example.com:8081", false},
		{"https://*.example.com", "http://chat.example.com", false},
		{"https://chat.example.com:443,http://chat.example.com", "ws://chat.example.com", true},
		{"https://chat.example.com:8443", "https://chat.example.com:8443", true}, // a proxy drops the port from Host
		{"https://chat.example.com:8443", "https://chat.example.com", false},
		{"https://chat.example.com:8443", "http://chat.example.com", true}, // which is another server
		{"file://", "file://", true},
		{"file://", "null", false},
		{"null", "file://", false},
		{"capacitor://localhost", "capacitor://localhost", true},
		{"app://.", "app://.", true},
		{"moz-extension://*", "moz-extension://0b9a-11", true},
		{"http://[2001:db8:0:0::1]:3000", "http://[2001:db8::1]:3000", true},
	} {
		r := httptest.NewRequest("GET", "/socket.io/", nil)
		r.Host = "chat.example.com"
		r.Header.Set("Origin", tt.origin)
		if s := foreignServer(t, strings.Split(tt.list, ",")...); s.foreign(r) == tt.allowed {
			t.Errorf("a page of %s with the list %s: allowed %v, want %v", tt.origin, tt.list, !tt.allowed, tt.allowed)
		}
	}
}

// A page that loads something without reading it sends no Origin.
func TestFetchMetadataTellsForeignPages(t *testing.T) {
	s := foreignServer(t, "https://app.example.com")
	for metadata, foreign := range map[string]bool{
		"": false, "Site none": false, "Site same-origin": false, "Site same-site": true, "Site cross-site": true,
		"Site Cross-Site": true, "Site none, cross-site": true,
		// A page has had the browser go there: by speculation rules, or by a redirect of a typed address.
		"Site none Purpose prefetch": true, "Site none Purpose prefetch;prerender": true, "Site none Mode navigate": true,
		"Site same-origin Purpose prefetch": false,
		"Site same-origin Mode navigate":    false, // JSONP posts by a frame
		"Site none Mode no-cors":            false, // an extension's
	} {
		r := httptest.NewRequest("GET", "/socket.io/", nil)
		for header := range strings.SplitSeq(strings.NewReplacer(" Mode", "|Mode", " Purpose", "|Purpose").Replace(metadata), "|") {
			name, value, _ := strings.Cut(header, " ")
			if name == "Purpose" {
				r.Header.Set("Sec-Purpose", value)
			} else if name != "" {
				r.Header.Set("Sec-Fetch-"+name, value)
			}
		}
		want(t, "foreign "+metadata, s.foreign(r), foreign)
		r.Header.Set("Origin", "https://app.example.com")
		want(t, "foreign in the list "+metadata, s.foreign(r), false)
	}
	r := httptest.NewRequest("GET", "/socket.io/", nil)
	r.Header["Sec-Fetch-Site"] = []string{"", "cross-site"}
	want(t, "foreign by the second", s.foreign(r), true)
	r.Header["Origin"] = []string{"https://app.example.com", "https://evil.example.com"}
	want(t, "foreign by the second origin", s.foreign(r), true)
	for _, list := range [][]string{nil, {"*"}, {"https://app.example.com", "*"}} {
		r := httptest.NewRequest("GET", "/socket.io/", nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		want(t, "foreign of any", foreignServer(t, list...).foreign(r), false)
	}
}

// What is said of credentials holds for the names that a "*" stands for as well.
func TestCredentialsBelowAPublicSuffix(t *testing.T) {
	for _, credentials := range []bool{true, false} {
		c := &CORS{Origins: []string{"https://*.amazonaws.com", "https://*.example.com"}, Credentials: credentials}
		allowed := c.list()
		for page, own := range map[string]bool{"https://a.example.com": true, "https://a.b.example.com": true, "https://console.amazonaws.com": true,
			"https://evil-bucket.s3.amazonaws.com": false, "https://s3.amazonaws.com": false} {
			want(t, page, allowed(nil, page), own || !credentials)
		}
	}
}

// No cache may answer others with a refusal, and it allows nobody to read it.
func TestRefusalsAreNobodyElses(t *testing.T) {
	s, err := New(Config{Accept: func(*Session) Receiver { return nil }, AllowedHosts: []string{"chat.example.com"},
		CORS: &CORS{Origins: []string{"https://app.example.com"}, Credentials: true}})
	if err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]http.Header{
		"page": {"Sec-Fetch-Site": {"cross-site"}}, "origin": {"Origin": {"https://evil.example"}},
		"two": {"Origin": {"https://app.example.com", "https://evil.example"}}, "host": {"Host": {"evil.example"}},
		"upgrade": {"Origin": {"https://evil.example"}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"}},
	} {
		for _, method := range []string{"GET", "OPTIONS"} {
			r := httptest.NewRequest(method, "/socket.io/?EIO=4&transport=polling", nil)
			r.Header = header
			r.Header.Set("Access-Control-Request-Method", "GET")
			r.Host = "chat.example.com"
			if name == "host" {
				r.Host = header.Get("Host")
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			want(t, name+" may read", len(w.Header()["Access-Control-Allow-Origin"]), 0)
			if method == "GET" {
				want(t, name+" refused", w.Code >= 400, true)
				want(t, name+" is kept", w.Header().Get("Cache-Control"), "no-store")
				for _, by := range []string{"Origin", "Sec-Fetch-Site"} {
					want(t, name+" varies by "+by, headerHasToken(w.Header(), "Vary", by), true)
				}
			}
		}
	}
}

// A program can tell the pages of others where there is no list.
func TestHandshakeOfAnothersPage(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	for header, others := range map[string]bool{"X-None: 1": false, "Origin: http://x": false, "Origin: http://x:81": true,
		"Origin: https://x": true, "Origin: null": true, "Sec-Fetch-Site: cross-site": true, "Sec-Fetch-Site: same-origin": false} {
		w, status, err := h.tryDialWith("EIO=4&transport=websocket", header+"\r\n", nil)
		if err != nil || status != 101 {
			t.Fatalf("%s: %d, %v", header, status, err)
		}
		want(t, header, h.session().session.Handshake().OfOthers(), others)
		w.conn.Close()
	}
}

// Every request of a foreign page is refused, that for a session included, which is not touched by it.
func TestForeignPagesAreRefused(t *testing.T) {
	h := newHarness(t, Config{CORS: &CORS{Origins: []string{"https://app.example.com"}, Credentials: true}}, nil)
	c, r := h.openPolling()
	_ = r.session.Send(SendOptions{}, Message{Data: []byte("secret")})
	foreign := []string{"Origin: https://evil.example.com", "Origin: null", "Origin: https://" + h.addr, "Sec-Fetch-Site: cross-site",
		"Sec-Fetch-Site: same-site", "Origin: https://evil.example.com\r\nSec-Fetch-Site: same-origin"}
	for _, header := range foreign {
		for _, request := range []string{
			"GET EIO=4&transport=polling", "GET EIO=4&transport=polling&sid=" + c.sid, "POST EIO=4&transport=polling&sid=" + c.sid,
			"GET EIO=4&transport=polling&sid=nobody",
		} {
			method, query, _ := strings.Cut(request, " ")
			req, _ := http.NewRequest(method, c.base+"?"+query, strings.NewReader("4x"))
			for line := range strings.SplitSeq(header, "\r\n") {
				name, value, _ := strings.Cut(line, ": ")
				req.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			req.Host = h.addr
			h.srv.ServeHTTP(w, req)
			want(t, header+", "+request, fmt.Sprint(w.Code, w.Body), `403 {"code":4,"message":"origin not allowed"}`)
			want(t, "allowed", w.Header().Get("Access-Control-Allow-Origin"), "")
		}
		for _, query := range []string{"EIO=4&transport=websocket", "EIO=4&transport=websocket&sid=" + c.sid} {
			_, status, err := h.tryDialWith(query, header+"\r\n", nil)
			if err != nil || status != 400 {
				t.Errorf("%s, upgrade %s: %d, %v", header, query, status, err)
			}
		}
	}
	want(t, "refused", h.srv.Stats().Refused[causeForeign], uint64(6*len(foreign)))
	want(t, "sessions", h.srv.Sessions(), 1)
	want(t, "poll", c.get().body, "4secret") // nobody has taken it

	// The list's pages, the server's own and clients that are no pages go on.
	for _, header := range []string{"Origin: https://app.example.com", "Origin: http://x", "Sec-Fetch-Site: same-origin", "X-None: 1"} {
		w, status, err := h.tryDialWith("EIO=4&transport=websocket", header+"\r\n", nil)
		if err != nil || status != 101 {
			t.Errorf("%s: %d, %v", header, status, err)
		}
		w.conn.Close()
	}
}

// A page of the server's own that is refused for its scheme is a proxy's that nobody trusts: it is said once.
func TestUntrustedProxyIsTold(t *testing.T) {
	var log bytes.Buffer
	s := foreignServer(t, "https://app.example.com")
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	for _, tt := range []struct {
		origin, host, site string
		warnings           int
	}{
		{"https://chat.example.com", "chat.example.com", "", 1},
		{"http://chat.example.com:8080", "chat.example.com", "", 1},    // nginx's $host
		{"https://chat.example.com", "backend:5000", "same-origin", 1}, // nginx's default
		{"https://evil.example.com", "chat.example.com", "cross-site", 0},
		{"null", "chat.example.com", "", 0},
	} {
		log.Reset()
		s.notice = limit.Notice{}
		for range 3 {
			r := httptest.NewRequest("GET", "/socket.io/", nil)
			r.Host = tt.host
			r.Header.Set("Origin", tt.origin)
			r.Header.Set("Sec-Fetch-Site", tt.site)
			want(t, "foreign", s.foreign(r), true)
		}
		want(t, "warnings of "+tt.origin, strings.Count(log.String(), "level=WARN"), tt.warnings)
		want(t, "advice for "+tt.origin, strings.Count(log.String(), "list the origin"), tt.warnings)
		want(t, "lines about "+tt.origin, strings.Count(log.String(), "if they are yours, add"), 1-tt.warnings)
	}
}

// A page of an attacker's name that points at this server is of the same origin to the browser.
func TestAllowedHosts(t *testing.T) {
	var log bytes.Buffer
	s, err := New(Config{Accept: func(*Session) Receiver { return nil }, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		AllowedHosts: []string{"Chat.example.com", "localhost:5000", "[0:0::1]", "app.example.com:443"}})
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for host, status := range map[string]int{
		"chat.example.com": 200, "CHAT.example.com:8443": 200, "localhost:5000": 200, "localhost": 403, "localhost:80": 403, "[::1]:80": 200,
		"evil.example.com": 403, "chat.example.com.evil.net": 403, "evilchat.example.com": 403, "127.0.0.1:5000": 403, "": 403,
		"chat.example.com.": 200, "app.example.com": 200, "app.example.com:443": 200, "app.example.com:8443": 403,
	} {
		for _, method := range []string{"GET", "OPTIONS"} {
			r := httptest.NewRequest(method, "/socket.io/?EIO=4&transport=polling", nil)
			r.Host = host
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if status == 403 {
				refused++
			}
			if method == "OPTIONS" && status == 200 {
				want(t, method+" "+host, w.Code, 400)
				continue
			}
			want(t, method+" "+host, w.Code, status)
		}
	}
	want(t, "refused", s.Stats().Refused[causeHost], uint64(refused))
	want(t, "warnings", strings.Count(log.String(), "level=WARN"), 1)
	want(t, "settings named", strings.Count(log.String(), "BEANPOLE_ALLOWED_HOSTS"), 1)
	if _, err := New(Config{Accept: s.cfg.Accept, AllowedHosts: []string{"*.example.com"}}); err == nil {
		t.Error("a host with * starts")
	}
}

// A page that has another's session, which was opened without a word of whose page it is, is no better than one that
// opened it.
func TestSessionThatAnotherPageUses(t *testing.T) {
	h := newHarness(t, Config{}, nil)
	c, r := h.openPolling()
	want(t, "before", r.session.Handshake().OfOthers(), false)
	_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
	req, _ := http.NewRequest("GET", "http://"+h.addr+"/engine.io/?EIO=4&transport=polling&sid="+c.sid, nil)
	req.Header.Set("Origin", "http://evil.test")
	h.srv.ServeHTTP(httptest.NewRecorder(), req)
	want(t, "after", r.session.Handshake().OfOthers(), true)
}
