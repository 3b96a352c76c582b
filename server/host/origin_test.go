package host

import (
	"net/http/httptest"
	"testing"
)

func TestOrigins(t *testing.T) {
	list := origins{"https://app.example.com", "https://*.trusted.org", "http://localhost:3000"}
	for _, tt := range []struct {
		origin, host string
		want         bool
	}{
		{"", "chat.example.com", true}, // no page: an app, a server
		{"https://app.example.com", "chat.example.com", true},
		{"HTTPS://APP.example.com", "chat.example.com", true},
		{"http://app.example.com", "chat.example.com", false},
		{"https://app.example.com:8443", "chat.example.com", false},
		{"https://app.example.com.evil.net", "chat.example.com", false},
		{"https://a.trusted.org", "chat.example.com", true},
		{"https://.trusted.org", "chat.example.com", false},
		{"https://trusted.org", "chat.example.com", false},
		{"https://evil.net/.trusted.org", "chat.example.com", false},
		{"http://localhost:3000", "chat.example.com", true},
		{"null", "chat.example.com", false},
		{"https://chat.example.com", "chat.example.com", true}, // the server's own page
		{"https://chat.example.com:8443", "chat.example.com", true},
		{"https://chat.example.com", "chat.example.com:443", true},
		{"https://chat.example.com", "chat.example.com:8443", false},
		{"wss://chat.example.com", "chat.example.com:443", true}, // the Swift client
		{"ws://chat.example.com", "chat.example.com:80", true},
		{"wss://evil.example.com", "chat.example.com:443", false},
		{"http://[::1]:5000", "[::1]:5000", true},
		{"http://[::1]", "[::1]", true},
		{"::bad::", "chat.example.com", false},
	} {
		r := httptest.NewRequest("GET", "/socket.io/", nil)
		r.Host = tt.host
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		if err := list.check(r); (err == nil) != tt.want {
			t.Errorf("origin %q at host %q: %v, want allowed %v", tt.origin, tt.host, err, tt.want)
		}
	}
}

func TestOriginWithPathInWildcard(t *testing.T) {
	if (origins{"https://*.trusted.org"}).allow("https://evil.net/.trusted.org") {
		t.Error("the part for * may not have a slash")
	}
}

func TestNoListRefusesNobody(t *testing.T) {
	r := httptest.NewRequest("GET", "/socket.io/", nil)
	r.Header.Set("Origin", "https://anywhere.example")
	if err := (origins)(nil).check(r); err != nil {
		t.Error(err)
	}
}
