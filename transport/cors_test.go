package transport

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCORS(t *testing.T) {
	const origin = "https://app.example.com"
	preflight := http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"},
		"Access-Control-Request-Headers": {"authorization,x-a"}}
	actual := http.Header{"Origin": {origin}}
	tests := []struct {
		name    string
		cors    CORS
		method  string
		header  http.Header
		handled bool
		want    map[string]string // "" means not there
	}{
		{"exact", CORS{Origins: []string{origin}}, "GET", actual, false,
			map[string]string{"Access-Control-Allow-Origin": origin, "Vary": "Origin", "Access-Control-Allow-Credentials": ""}},
		{"credentials", CORS{Origins: []string{origin}, Credentials: true}, "POST", actual, false,
			map[string]string{"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}},
		{"any", CORS{Origins: []string{"*"}}, "GET", actual, false, map[string]string{"Access-Control-Allow-Origin": "*"}},
		{"any by default", CORS{}, "GET", actual, false, map[string]string{"Access-Control-Allow-Origin": "*"}},
		{"pattern", CORS{Origins: []string{"https://*.example.com"}, Credentials: true}, "GET", actual, false,
			map[string]string{"Access-Control-Allow-Origin": origin}},
		{"several", CORS{Origins: []string{"http://a", origin}}, "GET", actual, false,
			map[string]string{"Access-Control-Allow-Origin": origin}},
		{"other origin", CORS{Origins: []string{"https://other.example.com"}}, "GET", actual, false,
			map[string]string{"Access-Control-Allow-Origin": "", "Vary": "Origin"}},
		{"no origin", CORS{Origins: []string{origin}}, "GET", nil, false,
			map[string]string{"Access-Control-Allow-Origin": "", "Vary": "Origin"}},
		{"decided", CORS{AllowOrigin: func(r *http.Request, o string) bool { return o == origin && r.URL.Path == "/socket.io/" },
			Credentials: true}, "GET", actual, false, map[string]string{"Access-Control-Allow-Origin": origin}},
		{"exposed", CORS{Origins: []string{origin}, Exposed: []string{"X-A", "X-B"}}, "GET", actual, false,
			map[string]string{"Access-Control-Expose-Headers": "X-A, X-B"}},
		{"preflight", CORS{Origins: []string{origin}, MaxAge: time.Minute}, "OPTIONS", preflight, true,
			map[string]string{"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Methods": "POST",
				"Access-Control-Allow-Headers": "authorization,x-a", "Access-Control-Max-Age": "60"}},
		{"preflight of other headers", CORS{Origins: []string{origin}, Headers: []string{"X-B"}}, "OPTIONS", preflight, true,
			map[string]string{"Access-Control-Allow-Origin": ""}},
		{"preflight of another method", CORS{Origins: []string{origin}, Methods: []string{"GET"}}, "OPTIONS", preflight, true,
			map[string]string{"Access-Control-Allow-Origin": ""}},
		{"preflight of another origin", CORS{Origins: []string{"http://a"}}, "OPTIONS", preflight, true,
			map[string]string{"Access-Control-Allow-Origin": ""}},
		{"OPTIONS that is no preflight", CORS{Origins: []string{origin}}, "OPTIONS", actual, true,
			map[string]string{"Access-Control-Allow-Origin": origin}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fn, err := newCORS(&tt.cors)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(tt.method, "/socket.io/?EIO=4&sid=gone", nil)
			r.Header = tt.header
			if r.Header == nil {
				r.Header = http.Header{}
			}
			w := httptest.NewRecorder()
			if got := fn(w, r); got != tt.handled {
				t.Errorf("handled %v, want %v", got, tt.handled)
			}
			if tt.handled && w.Code != http.StatusNoContent {
				t.Errorf("status %d, want 204", w.Code)
			}
			for name, want := range tt.want {
				if got := strings.Join(w.Header()[name], "|"); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestCORSOfNoConfigHandlesNothing(t *testing.T) {
	fn, err := newCORS(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if fn(w, httptest.NewRequest("OPTIONS", "/", nil)) || len(w.Header()) != 0 {
		t.Errorf("headers %v", w.Header())
	}
}

func TestCORSRefusesWhatBrowsersRefuse(t *testing.T) {
	tests := []struct {
		cors CORS
		want string // part of the error, "" for none
	}{
		{CORS{Origins: []string{"*"}, Credentials: true}, `set AllowOrigin`},
		{CORS{Origins: []string{"https://a", "*"}, Credentials: true}, `set AllowOrigin`},
		{CORS{Credentials: true}, "need Origins or AllowOrigin"},
		// Anybody can have a page of these.
		{CORS{Origins: []string{"https://*"}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"https://*:8443"}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"https://app*"}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"https://app.example.com*"}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"https://*example.com"}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"https://*.com"}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"https://*.com."}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"http://*.168.1.5"}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"http://192.168.1.*"}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"null"}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"https://*example.co.uk"}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"https://*.co.uk"}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"https://*.github.io"}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"file://"}, Credentials: true}, "pages of anybody"},
		{CORS{Origins: []string{"https://*.example.co.uk", "https://*.me.github.io"}, Credentials: true}, ""},
		{CORS{Origins: []string{"https://*.example.com", "https://pr-*.example.com:8443", "http://*.localhost:3000",
			"http://localhost:*", "http://[::1]:*"}, Credentials: true}, ""},
		{CORS{Origins: []string{"https://*", "https://*.com"}}, ""},
		{CORS{Origins: []string{"*://app.example.com"}}, `"*" in the scheme`},
		{CORS{Origins: []string{"https://me@app.example.com"}}, "nothing after it"},
		{CORS{Origins: []string{"https://app.example.com#x"}}, "nothing after it"},
		{CORS{Origins: []string{"https://bücher.example"}}, "xn--"},
		{CORS{Origins: []string{"https://a.example,b.example"}}, "no such host name"},
		{CORS{Origins: []string{"https://a/"}}, "nothing after it"},
		{CORS{Origins: []string{"a.example.com"}}, "no scheme"},
		{CORS{Origins: []string{"https://*.*.com"}}, `more than one "*"`},
		{CORS{Origins: []string{"null", "http://localhost:*", "capacitor://localhost", "*"}}, ""},
		{CORS{Credentials: true, AllowOrigin: func(*http.Request, string) bool { return true }}, ""},
	}
	for _, tt := range tests {
		_, err := newCORS(&tt.cors)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("newCORS(%+v): error %v, want %q", tt.cors, err, tt.want)
		}
	}
}
