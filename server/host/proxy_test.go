package host

import (
	"crypto/tls"
	"net/http/httptest"
	"testing"
)

func TestClientAddress(t *testing.T) {
	type header = map[string][]string
	for _, tt := range []struct {
		name   string
		hops   hops
		remote string
		header header
		tls    bool
		addr   string
		secure bool
	}{
		{"no proxy", 0, "192.0.2.1:1234", nil, false, "192.0.2.1", false},
		{"no proxy, a lie", 0, "192.0.2.1:1234", header{"X-Forwarded-For": {"1.1.1.1"}, "X-Forwarded-Proto": {"https"}}, false, "192.0.2.1", false},
		{"TLS here", 0, "192.0.2.1:1234", nil, true, "192.0.2.1", true},
		{"nginx", 1, "127.0.0.1:1", header{"X-Forwarded-For": {"198.51.100.7"}}, false, "198.51.100.7", false},
		{"nginx, a lie in front", 1, "127.0.0.1:1", header{"X-Forwarded-For": {"1.1.1.1, 198.51.100.7"}}, false, "198.51.100.7", false},
		{"balancer and nginx", 2, "127.0.0.1:1", header{"X-Forwarded-For": {"198.51.100.7, 10.0.0.9"}, "X-Forwarded-Proto": {"https"}}, false, "198.51.100.7", true},
		{"balancer and nginx, lies in front", 2, "127.0.0.1:1", header{"X-Forwarded-For": {"1.1.1.1,2.2.2.2", "198.51.100.7", "10.0.0.9"}}, false, "198.51.100.7", false},
		{"fewer entries than hops", 2, "127.0.0.1:1", header{"X-Forwarded-For": {"198.51.100.7"}}, false, "198.51.100.7", false},
		{"no header", 2, "127.0.0.1:1", nil, false, "127.0.0.1", false},
		{"with a port", 1, "127.0.0.1:1", header{"X-Forwarded-For": {"198.51.100.7:5511"}}, false, "198.51.100.7", false},
		{"IPv6", 1, "[::1]:1", header{"X-Forwarded-For": {"2001:db8::7"}}, false, "2001:db8::7", false},
		{"IPv6 with a port", 1, "[::1]:1", header{"X-Forwarded-For": {"[2001:db8::7]:443"}}, false, "2001:db8::7", false},
		{"IPv4 in IPv6", 0, "[::ffff:192.0.2.1]:1", nil, false, "192.0.2.1", false},
		{"no address", 2, "127.0.0.1:1", header{"X-Forwarded-For": {"198.51.100.7, unknown"}}, false, "127.0.0.1", false},
		{"protocol of each proxy", 2, "127.0.0.1:1", header{"X-Forwarded-Proto": {"http, https, http"}}, false, "127.0.0.1", true},
		{"a WebSocket over TLS", 1, "127.0.0.1:1", header{"X-Forwarded-Proto": {"wss"}}, false, "127.0.0.1", true},
		{"a WebSocket", 1, "127.0.0.1:1", header{"X-Forwarded-Proto": {"WSS, ws"}}, true, "127.0.0.1", false},
		{"a socket without address", 0, "@", nil, false, "@", false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.remote
		for k, v := range tt.header {
			r.Header[k] = v
		}
		if tt.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if addr, secure := tt.hops.client(r); addr != tt.addr || secure != tt.secure {
			t.Errorf("%s: %s, %v, want %s, %v", tt.name, addr, secure, tt.addr, tt.secure)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "[::1]:80", "::ffff:1.2.3.4%eth0", "unknown", ":"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if addr, ok := address(s); ok {
			if again, ok := address(addr); !ok || again != addr {
				t.Errorf("address(%q) = %q, which reads as %q, %v", s, addr, again, ok)
			}
		}
	})
}
