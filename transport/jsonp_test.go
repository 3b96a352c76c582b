package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestJSONPIndex(t *testing.T) {
	tests := []struct {
		query, want string
		ok          bool
	}{
		{"transport=polling", "", false},
		{"j=0", "0", true},
		{"j=12", "12", true},
		{"j=1);alert(2", "12", true},
		{"j=", "", true},
		{"j=1&j=2", "2", true},
	}
	for _, tt := range tests {
		q, _ := url.ParseQuery(strings.ReplaceAll(tt.query, ";", "%3B"))
		if got, ok := jsonpIndex(q); got != tt.want || ok != tt.ok {
			t.Errorf("jsonpIndex(%q) = %q, %v, want %q, %v", tt.query, got, ok, tt.want, tt.ok)
		}
	}
}

func TestAppendJSONP(t *testing.T) {
	tests := []struct{ in, want string }{
		{`0{"sid":"x"}`, `___eio[3]("0{\"sid\":\"x\"}");`},
		{"4a\x1e4b", `___eio[3]("4a\u001e4b");`},
		{"a\nb\tc\rd\be\ff\\g", `___eio[3]("a\nb\tc\rd\be\ff\\g");`},
		{"\u2028\u2029€😀", `___eio[3]("\u2028\u2029€😀");`},
		{"</script>&", `___eio[3]("</script>&");`},
		{"\x7f", "___eio[3](\"\x7f\");"},
		{"", `___eio[3]("");`},
	}
	for _, tt := range tests {
		if got := appendJSONP(nil, "3", []byte(tt.in)); string(got) != tt.want {
			t.Errorf("appendJSONP(%q) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

// The newline rules are those of polling-jsonp.ts.
func TestDecodeJSONPForm(t *testing.T) {
	tests := []struct {
		in, want string
		err      error
	}{
		{"d=4hello", "4hello", nil},
		{"d=4a%20b+c%26d", "4a b c&d", nil},
		{"x=1&d=4a&y", "4a", nil},
		{`d=4a\nb`, "4a\nb", nil},
		{`d=4a\\nb`, `4a\nb`, nil},
		{`d=4a\\\nb`, `4a\\nb`, nil},
		{`d=4a\tb\`, `4a\tb\`, nil},
		{"d=%5Cn%5C%5Cn", "\n\\n", nil},
		{"d=%E2%82%AC", "€", nil},
		{"d=100%", "100%", nil},
		{"d=%zz%4", "%zz%4", nil},
		{"d=a=b", "a=b", nil},
		{"d=", "", nil},
		{"d", "", nil},
		{"", "", errJSONPForm},
		{"x=1", "", errJSONPForm},
		{"d=1&d=2", "", errJSONPForm},
	}
	for _, tt := range tests {
		got, err := decodeJSONPForm([]byte(tt.in))
		if string(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("decodeJSONPForm(%q) = %q, %v, want %q, %v", tt.in, got, err, tt.want, tt.err)
		}
	}
}

func TestJSONPIsOffUnlessSaid(t *testing.T) {
	const polling = "transport=polling&j=0"
	for _, tt := range []struct {
		cfg  Config
		want string // the statuses with EIO=3 and EIO=4
	}{
		{Config{}, "400 400"},
		{Config{AllowEIO3: true}, "400 400"},
		{Config{AllowEIO3: true, JSONP: JSONPEIO3}, "200 400"},
		{Config{AllowEIO3: true, JSONP: JSONPAll}, "200 200"},
		{Config{JSONP: JSONPAll}, "400 200"},
		{Config{JSONP: JSONPAll, CORS: &CORS{}}, "400 200"},
		{Config{JSONP: JSONPDespiteOrigins, CORS: &CORS{Origins: []string{"https://a.example"}}}, "400 200"},
	} {
		h := newHarness(t, tt.cfg, nil)
		codes := ""
		for _, eio := range []string{"EIO=3&", "EIO=4&"} {
			codes += fmt.Sprint(h.poller(eio+polling).get().status, " ")
		}
		want(t, fmt.Sprintf("%+v", tt.cfg.JSONP), strings.TrimSpace(codes), tt.want)
	}

	// A session is of one protocol, whatever the query says later.
	h := newHarness(t, Config{AllowEIO3: true, JSONP: JSONPEIO3}, nil)
	c, r := h.openPolling()
	c.query = "EIO=3&" + polling
	for _, method := range []string{"GET", "POST"} {
		a, err := c.do(method, strings.NewReader("d=4x"), "application/x-www-form-urlencoded")
		want(t, "err", err, nil)
		want(t, method, fmt.Sprint(a.status, a.body, a.header.Get("Content-Type")), `400{"code":3,"message":"Bad request"}application/json`)
	}
	want(t, "refused", h.srv.Stats().Refused[causeOtherProtocol], uint64(2))
	_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
	c.query = "EIO=4&transport=polling"
	want(t, "poll", c.get().body, "4x")
}

func TestJSONPBesideAListIsRefused(t *testing.T) {
	list := &CORS{Origins: []string{"https://a.example"}}
	decided := &CORS{AllowOrigin: func(*http.Request, string) bool { return true }}
	for _, tt := range []struct {
		cfg  Config
		want string // part of the error, "" for none
	}{
		{Config{JSONP: JSONPAll, CORS: list}, "JSONPDespiteOrigins"},
		{Config{JSONP: JSONPAll, CORS: decided}, "JSONPDespiteOrigins"},
		{Config{JSONP: JSONPEIO3, AllowEIO3: true, CORS: list}, "JSONPDespiteOrigins"},
		{Config{JSONP: JSONPEIO3}, "AllowEIO3"},
		{Config{JSONP: "yes"}, "unknown JSONP"},
		{Config{JSONP: JSONPDespiteOrigins, CORS: list}, ""},
		{Config{JSONP: JSONPAll, CORS: &CORS{Origins: []string{"*"}}}, ""},
	} {
		tt.cfg.Accept = func(*Session) Receiver { return nil }
		_, err := New(tt.cfg)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%+v: error %v, want %q", tt.cfg.JSONP, err, tt.want)
		}
	}
}

// The list counts for JSONP too where the browser says whose page it is.
func TestJSONPDespiteOrigins(t *testing.T) {
	h := newHarness(t, Config{JSONP: JSONPDespiteOrigins, CORS: &CORS{Origins: []string{"https://a.example"}}}, nil)
	for site, status := range map[string]int{"": 200, "same-origin": 200, "cross-site": 403} {
		r := httptest.NewRequest("GET", "/?EIO=4&transport=polling&j=0", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		w := httptest.NewRecorder()
		h.srv.ServeHTTP(w, r)
		want(t, "script of "+site, w.Code, status)
	}
}

func FuzzAppendJSONP(f *testing.F) {
	f.Add("4a\x1e4b\u2028\n\\\"")
	f.Fuzz(func(t *testing.T, in string) {
		out := string(appendJSONP(nil, "0", []byte(in)))
		out, ok := strings.CutPrefix(out, "___eio[0](")
		out, ok2 := strings.CutSuffix(out, ");")
		var back string
		if err := json.Unmarshal([]byte(out), &back); !ok || !ok2 || err != nil {
			t.Fatalf("%q: %s, %v", in, out, err)
		}
		if utf8.ValidString(in) && back != in {
			t.Fatalf("%q came back as %q", in, back)
		}
		if strings.ContainsAny(out, "\u2028\u2029\n\r") {
			t.Fatalf("a line terminator in %q", out)
		}
	})
}

func FuzzDecodeJSONPForm(f *testing.F) {
	f.Add("4hello\n\\n")
	f.Fuzz(func(t *testing.T, in string) {
		decodeJSONPForm([]byte(in))
		// What the client does: escape \n, then newlines, then the form.
		escaped := strings.ReplaceAll(strings.ReplaceAll(in, `\n`, `\\n`), "\n", `\n`)
		got, err := decodeJSONPForm([]byte("d=" + url.QueryEscape(escaped)))
		if err != nil {
			t.Fatal(err)
		}
		// A backslash before a newline is ambiguous in the client's escape.
		if !strings.Contains(in, "\\\n") && string(got) != in {
			t.Fatalf("%q came back as %q", in, got)
		}
	})
}
