package transport

import (
	"net/http"
	"testing"
)

func TestCookieHeader(t *testing.T) {
	tests := []struct {
		cookie    Cookie
		sid, want string
	}{
		{Cookie{}, "abc_-123", "io=abc_-123; Path=/; HttpOnly; SameSite=Lax"},
		{Cookie{Name: "sid", Path: "/x", Domain: "example.com", MaxAge: 60, Secure: true, NotHTTPOnly: true,
			SameSite: http.SameSiteNoneMode}, "a", "sid=a; Path=/x; Domain=example.com; Max-Age=60; Secure; SameSite=None"},
		{Cookie{SameSite: http.SameSiteStrictMode}, "a", "io=a; Path=/; HttpOnly; SameSite=Strict"},
		{Cookie{}, "a b;c", "io=a%20b%3Bc; Path=/; HttpOnly; SameSite=Lax"},
	}
	for _, tt := range tests {
		if got := tt.cookie.header(tt.sid); got != tt.want {
			t.Errorf("header = %q, want %q", got, tt.want)
		}
	}
}

func TestCookieRefusesWhatBrowsersDrop(t *testing.T) {
	tests := []struct {
		cookie *Cookie
		ok     bool
	}{
		{nil, true},
		{&Cookie{}, true},
		{&Cookie{Name: "a b"}, false},
		{&Cookie{Domain: "a;b"}, false},
		{&Cookie{SameSite: http.SameSiteNoneMode}, false},
		{&Cookie{SameSite: http.SameSiteNoneMode, Secure: true}, true},
	}
	for _, tt := range tests {
		if err := tt.cookie.validate(); (err == nil) != tt.ok {
			t.Errorf("validate(%+v) = %v, want ok %v", tt.cookie, err, tt.ok)
		}
	}
}
