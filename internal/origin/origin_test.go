package origin

import (
	"regexp"
	"strings"
	"testing"
)

// What no browser sends stops the start, with what it would send.
func TestEntriesThatNothingMatches(t *testing.T) {
	for entry, why := range map[string]string{
		"app.example.com": "no scheme", "://a": "no scheme", "*://a.example": `"*" in the scheme`, "https://*.*.example": `more than one "*"`,
		"https://a.example/": "nothing after it", "https://me@a.example": "nothing after it", "https://a.example?x": "nothing after it",
		"https://": "no host", "https://:443": "no host", "http://localhost:": "no port after", "http://localhost:99999": "no port 99999",
		"http://localhost:x": "no port x", "http://localhost:080": "no port", "http://localhost:0": "no port", "https://*:-1": "no port",
		"https://b\u00fccher.example": "xn--bcher-kva.example", "https://*.b\u00fccher.example": "xn--", "https://a b": "no such host",
		"https://..": "no such host", "https://a..b": "no such host", "https://*..example.com": "no such host", "https://.a": "no such host",
		"http://127.1": "four numbers", "http://0x7f.1": "four numbers", "http://10.0.0.08": "four numbers", "http://a.0x7f": "four numbers",
		"http://[2001:db8::*]": "no address", "http://[fe80::1%25eth0]": "no address", "http://[::1": "no address", "http://[1.2.3.4]": "no address",
		"file://*": "file://, all of them", "file:///a": "file://, all of them",
	} {
		_, err := ParsePattern(entry)
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", entry, err, why)
		}
	}
	for entry, why := range map[string]string{
		"": "name[:port]", "https://chat.example.com": "name[:port]", "chat.example.com/": "name[:port]", "me@chat.example.com": "name[:port]",
		"a b": "no such host", "a:b": "no port", "a,b:x": "no port", "*.example.com": "list the names", "chat.example.com:": "no port",
		"x:99999": "no port", "b\u00fccher.example": "xn--bcher-kva.example", "127.1": "four numbers", "::1": "no such host",
	} {
		_, err := ParseHosts([]string{"chat.example.com", entry})
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "\n") {
			t.Errorf("host %q: %v, want %q", entry, err, why)
		}
	}
}

// Whichever way an origin is written, it is one.
func TestPatternsMatchWhatBrowsersSend(t *testing.T) {
	for _, tt := range []struct{ entry, origin string }{
		{"https://app.example.com:443", "https://app.example.com"}, {"http://App.example.com:80", "http://app.example.com"},
		{"wss://app.example.com", "https://app.example.com"}, {"https://app.example.com", "wss://app.example.com"},
		{"http://[2001:DB8:0:0::1]", "http://[2001:db8::1]"}, {"http://[::ffff:127.0.0.1]", "http://[::ffff:7f00:1]"},
		{"http://localhost:*", "http://localhost"}, {"http://localhost:30*", "http://localhost:3000"}, {"http://192.168.*", "http://192.168.1.5"},
		{"https://app.example.com.", "https://app.example.com."}, {"https://1e100.net", "https://1e100.net"}, {"https://a_b.example", "https://a_b.example"},
		{"file://", "file://"}, {"null", "null"}, {"tauri://localhost", "tauri://localhost"}, {"app://.", "app://."}, {"app://-", "app://-"},
		{"chrome-extension://abcdef", "chrome-extension://abcdef"}, {"moz-extension://*", "moz-extension://a-b"},
	} {
		p, err := ParsePattern(tt.entry)
		if err != nil || !p.Matches(Parse(tt.origin)) {
			t.Errorf("%s does not match %s: %v", tt.entry, tt.origin, err)
		}
		for _, other := range []string{"", "nonsense", "https://", "https://evil.net", "https://evil.net/" + tt.origin} {
			if p.Matches(Parse(other)) {
				t.Errorf("%s matches %q", tt.entry, other)
			}
		}
	}
}

func TestAnybodys(t *testing.T) {
	for _, tt := range []struct {
		rule, origin string
		anybodys     bool
	}{
		{`^null$`, "null", true}, {`^file://$`, "file://", true}, {`^http://`, "http://evil.net", true},
		{`^https://.*\.github\.io$`, "https://evil.github.io", true}, {`^https://team-.*\.github\.io$`, "https://team-evil.github.io", true},
		{`^https://[a-z]{4}\.co\.uk$`, "https://evil.co.uk", true}, {`^https://[^.]+\.com(:\d+)?$`, "https://evil.com:8443", true},
		{`\.amazonaws\.com$`, "https://evil.s3.amazonaws.com", true}, {`^http://192\.168\.\d+\.\d+$`, "http://192.168.1.5", true},
		{`\.amazonaws\.com$`, "https://console.amazonaws.com", false}, {`^https://.*\.example\.com$`, "https://a.b.example.com", false},
		{`^https://app[12]\.github\.io$`, "https://app1.github.io", false}, {`^https://(a|b)\.example$`, "https://a.example", false},
		{`^http://.*\.localhost:\d+$`, "http://a.localhost:3000", false}, {`^http://localhost:\d+$`, "http://localhost:3000", false},
		{`^http://127\.0\.0\.1:\d+$`, "http://127.0.0.1:3000", false}, {`^http://\[::1\]$`, "http://[::1]", false},
	} {
		rule := regexp.MustCompile(tt.rule)
		if !rule.MatchString(tt.origin) {
			t.Fatalf("%s does not allow %s", tt.rule, tt.origin)
		}
		if got := Anybodys(tt.origin, rule.MatchString); got != tt.anybodys {
			t.Errorf("%s with %s: %v, want %v", tt.rule, tt.origin, got, tt.anybodys)
		}
	}
}

// No Origin header ends the process, and none is taken for the own one of a host that it does not name.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"https://a.example:443", "null", "file://", "http://[::1%25x]:80", "wss://", "://", "[", "https://a]:"} {
		f.Add(s)
	}
	p, err := ParsePattern("https://*.example.com")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if o := Parse(s); o.Host != "" && o == OfRequest("chat.example.com", true) && !strings.Contains(strings.ToLower(s), "chat.example.com") ||
			p.Matches(o) && !strings.Contains(strings.ToLower(s), ".example.com") {
			t.Errorf("%q is %+v", s, o)
		}
		_ = Anybodys(s, func(string) bool { return false })
	})
}
