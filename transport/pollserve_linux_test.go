package transport

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	oddTarget = "/engine.io/?EIO=4&transport=polling&sid=SID"
	oddPost   = "POST " + oddTarget + " HTTP/1.1\r\nHost: x\r\n"
)

// oddRequests are requests behind one that a pollConn has read. SID stands for the session's id.
var oddRequests = []struct {
	name, text string
	ours       int  // how many of them are served without net/http
	waits      bool // for more than there is
}{
	{name: "post", text: oddPost + "Content-Length: 2\r\n\r\n4x", ours: 1},
	{name: "post of a browser", text: oddPost + "Connection: keep-alive\r\nContent-Length: 2\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
		"Content-type: text/plain;charset=UTF-8\r\nAccept: */*\r\nOrigin: http://x\r\nReferer: http://x/a?b#c\r\nAccept-Encoding: gzip, deflate\r\n" +
		"Accept-Language: de,en;q=0.9\r\nCookie: a=b; c=\"d\"\r\nSec-Fetch-Site: same-origin\r\n\r\n4x", ours: 1},
	{name: "empty post", text: oddPost + "Content-Length: 0\r\n\r\n", ours: 1},
	{name: "a packet that is none", text: oddPost + "Content-Length: 2\r\n\r\nxx", ours: 1},
	{name: "names in any case", text: oddPost + "cOnTeNt-LeNgTh: 2\r\n\r\n4x", ours: 1},
	{name: "field twice", text: oddPost + "X-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\n4x", ours: 1},
	{name: "body too large", text: oddPost + "Content-Length: 2000000\r\n\r\n4x", waits: true},
	{name: "two posts", text: oddPost + "Content-Length: 2\r\n\r\n4x" + oddPost + "Content-Length: 2\r\n\r\n4y", ours: 1},
	{name: "part of a post", text: oddPost + "Content-Length: 4\r\n\r\n4x", ours: 1, waits: true},
	{name: "part of a head", text: oddPost + "Content-Le", waits: true},
	{name: "post without length", text: oddPost + "\r\n"},
	{name: "two lengths", text: oddPost + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n4xy"},
	{name: "the same length twice", text: oddPost + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "lengths in a list", text: oddPost + "Content-Length: 2, 2\r\n\r\n4x"},
	{name: "negative length", text: oddPost + "Content-Length: -2\r\n\r\n4x"},
	{name: "length with a sign", text: oddPost + "Content-Length: +2\r\n\r\n4x"},
	{name: "length with a zero", text: oddPost + "Content-Length: 02\r\n\r\n4x"},
	{name: "hexadecimal length", text: oddPost + "Content-Length: 0x2\r\n\r\n4x"},
	{name: "length beyond numbers", text: oddPost + "Content-Length: 99999999999999999999\r\n\r\n4x"},
	{name: "empty length", text: oddPost + "Content-Length: \r\n\r\n4x"},
	{name: "chunked", text: oddPost + "Transfer-Encoding: chunked\r\n\r\n2\r\n4x\r\n0\r\n\r\n"},
	{name: "chunked, with a length", text: oddPost + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n4x\r\n0\r\n\r\n"},
	{name: "chunked, hidden", text: oddPost + "Content-Length: 2\r\nTransfer-Encoding : chunked\r\n\r\n4x"},
	{name: "chunked, by a list", text: oddPost + "Transfer-Encoding: identity, chunked\r\n\r\n2\r\n4x\r\n0\r\n\r\n"},
	{name: "chunked, with a tab", text: oddPost + "Content-Length: 2\r\nTransfer-Encoding:\tchunked\r\n\r\n2\r\n4x\r\n0\r\n\r\n"},
	{name: "a request in the body", text: oddPost + "Content-Length: 47\r\n\r\n4GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", ours: 1},
	{name: "expect", text: oddPost + "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n4x"},
	{name: "expect something else", text: oddPost + "Content-Length: 2\r\nExpect: wonders\r\n\r\n4x"},
	{name: "trailer", text: oddPost + "Content-Length: 2\r\nTrailer: X-A\r\n\r\n4x"},
	{name: "upgrade", text: oddPost + "Content-Length: 2\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n4x"},
	{name: "connection: close", text: oddPost + "Content-Length: 2\r\nConnection: close\r\n\r\n4x"},
	{name: "connection names a field", text: oddPost + "Content-Length: 2\r\nConnection: keep-alive, X-A\r\n\r\n4x"},
	{name: "HTTP/1.0", text: strings.Replace(oddPost, "1.1", "1.0", 1) + "Content-Length: 2\r\n\r\n4x"},
	{name: "HTTP/1.2", text: strings.Replace(oddPost, "1.1", "1.2", 1) + "Content-Length: 2\r\n\r\n4x"},
	{name: "HTTP/2.0", text: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
	{name: "no version", text: "POST " + oddTarget + "\r\nHost: x\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "version in small letters", text: strings.Replace(oddPost, "HTTP", "http", 1) + "Content-Length: 2\r\n\r\n4x"},
	{name: "bare line feeds", text: strings.ReplaceAll(oddPost, "\r\n", "\n") + "Content-Length: 2\n\n4x"},
	{name: "one bare line feed", text: oddPost + "X-A: b\nContent-Length: 2\r\n\r\n4x"},
	{name: "bare carriage return", text: oddPost + "X-A: b\rContent-Length: 9\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "NUL", text: oddPost + "X-A: b\x00\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "bytes of Latin-1", text: oddPost + "X-A: \xe9\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "line before the request", text: "\r\n" + oddPost + "Content-Length: 2\r\n\r\n4x", ours: 1},
	{name: "continuation line", text: oddPost + "X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "continued length", text: oddPost + "Content-Length:\r\n 2\r\n\r\n4x"},
	{name: "space before the colon", text: oddPost + "Content-Length : 2\r\n\r\n4x"},
	{name: "space before the name", text: oddPost + " Content-Length: 2\r\n\r\n4x"},
	{name: "first field with a space", text: "POST " + oddTarget + " HTTP/1.1\r\n Host: x\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "no space behind the colon", text: oddPost + "Content-Length:2\r\n\r\n4x"},
	{name: "two spaces behind the colon", text: oddPost + "Content-Length:  2\r\n\r\n4x"},
	{name: "space at the end", text: oddPost + "Content-Length: 2 \r\n\r\n4x"},
	{name: "tab inside", text: oddPost + "X-A: a\tb\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "empty field", text: oddPost + "X-A:\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "no colon", text: oddPost + "X-A\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "no name", text: oddPost + ": x\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "no host", text: "POST " + oddTarget + " HTTP/1.1\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "two hosts", text: oddPost + "Host: y\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "the same host twice", text: oddPost + "Host: x\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "empty host", text: "POST " + oddTarget + " HTTP/1.1\r\nHost: \r\nContent-Length: 2\r\n\r\n4x"},
	{name: "host with a slash", text: "POST " + oddTarget + " HTTP/1.1\r\nHost: x/y\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "host with a user", text: "POST " + oddTarget + " HTTP/1.1\r\nHost: a@x\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "absolute form", text: "POST http://y" + oddTarget + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "authority form", text: "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"},
	{name: "asterisk form", text: "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"},
	{name: "two slashes", text: "POST /" + oddTarget + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "escaped path", text: strings.Replace(oddPost, "engine", "e%6egine", 1) + "Content-Length: 2\r\n\r\n4x"},
	{name: "fragment", text: strings.Replace(oddPost, "sid", "x#y&sid", 1) + "Content-Length: 2\r\n\r\n4x"},
	{name: "space in the target", text: strings.Replace(oddPost, "EIO", "a b&EIO", 1) + "Content-Length: 2\r\n\r\n4x"},
	{name: "another session", text: strings.Replace(oddPost, "SID", "nobody", 1) + "Content-Length: 2\r\n\r\n4x"},
	{name: "no session", text: "GET /engine.io/ HTTP/1.1\r\nHost: x\r\n\r\n"},
	{name: "unknown transport", text: strings.Replace(oddPost, "polling", "pigeon", 1) + "Content-Length: 2\r\n\r\n4x"},
	{name: "websocket's transport", text: strings.Replace(oddPost, "polling", "websocket", 1) + "Content-Length: 2\r\n\r\n4x"},
	{name: "another protocol", text: strings.Replace(oddPost, "EIO=4", "EIO=3", 1) + "Content-Length: 2\r\n\r\n4x", ours: 1},
	{name: "JSONP", text: strings.Replace(oddPost, "EIO", "j=0&EIO", 1) + "Content-Length: 2\r\n\r\n4x", ours: 1},
	{name: "binary body", text: oddPost + "Content-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\n4x", ours: 1},
	{name: "get", text: strings.Replace(oddPost, "POST", "GET", 1) + "\r\n", ours: 1},
	{name: "get with a body", text: strings.Replace(oddPost, "POST", "GET", 1) + "Content-Length: 2\r\n\r\n4x"},
	{name: "other methods", text: "PUT " + oddTarget + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n4x"},
	{name: "method in small letters", text: strings.Replace(oddPost, "POST", "post", 1) + "Content-Length: 2\r\n\r\n4x"},
	{name: "head", text: strings.Replace(oddPost, "POST", "HEAD", 1) + "\r\n"},
	{name: "no HTTP", text: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"},
	{name: "head beyond the limit", text: oddPost + "X-A: " + strings.Repeat("a", 12<<10) + "\r\nContent-Length: 2\r\n\r\n4x"},
}

// answersTo opens a session and a connection, on which it sends text when the server has answered a POST there, and
// behind that a request that is the last. In two steps, it waits for an answer in between. It returns all answers.
func answersTo(t *testing.T, h *harness, text string, steps bool) string {
	p, r := h.openRaw()
	sid := r.session.ID()
	p.send(strings.Replace(oddPost, "SID", sid, 1) + "Content-Length: 2\r\n\r\n4a")
	want(t, "post", p.body(), "ok")
	if r.onWork != nil {
		eventually(t, "echo", func() bool { _, bytes := r.session.Backlog(); return bytes > 0 })
	}
	const last = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	var got bytes.Buffer
	text = strings.ReplaceAll(text, "SID", sid)
	if steps {
		p.send(text)
		b, err := p.r.Peek(1)
		if err != nil && len(b) > 0 {
			t.Fatal(err)
		}
	} else {
		text += last
	}
	go func() { // what is too much is not read
		if steps {
			text = last
		}
		_, _ = io.WriteString(p.conn, text)
		_ = p.conn.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(&got, p.r)
	answers := dates.ReplaceAllString(strings.ReplaceAll(got.String(), sid, "SID"), "Date: now")
	return sids.ReplaceAllString(answers, `"sid":""`)
}

var (
	dates = regexp.MustCompile(`Date: [^\r]*`)
	sids  = regexp.MustCompile(`"sid":"[^"]*"`)
)

// Whatever comes on a connection is answered as net/http does, byte for byte, and what is no plain request of a session
// by net/http itself.
func TestOddRequestsAreNetHTTPs(t *testing.T) {
	servers := func(t *testing.T) (fast, plain *harness, ours *atomic.Int32) {
		ours = new(atomic.Int32)
		edit := func(web *http.Server) { web.MaxHeaderBytes = 1 << 10 } // and what net/http adds
		fast, plain = newReturningOn(t, Config{}, echo, edit), newHarnessOn(t, Config{}, echo, configured(edit))
		for _, h := range []*harness{fast, plain} {
			h.http.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, ok := w.(*pollWriter); ok {
					ours.Add(1)
				}
				h.srv.ServeHTTP(w, r)
			})
		}
		return fast, plain, ours
	}
	for _, tt := range oddRequests {
		t.Run(tt.name, func(t *testing.T) {
			for _, steps := range []bool{false, true} {
				if steps && tt.waits {
					continue
				}
				fast, plain, ours := servers(t)
				answer := answersTo(t, plain, tt.text, steps)
				if got := answersTo(t, fast, tt.text, steps); got != answer {
					t.Errorf("in steps %v:\n%s\nwithout net/http:\n%s", steps, answer, got)
				}
				if steps {
					want(t, "ours", int(ours.Load()), tt.ours)
				}
			}
		})
	}
}

// Slow heads and bodies have the time that they have in net/http, and then their connection ends.
func TestSlowRequestsOfPolling(t *testing.T) {
	edit := func(web *http.Server) { web.ReadHeaderTimeout = 50 * time.Millisecond }
	for name, text := range map[string]string{
		"head": oddPost + "Content-Le",
		"body": oddPost + "Content-Length: 3\r\n\r\n4x",
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{BodyTimeout: 50 * time.Millisecond}
			var answers [2]string
			for i, h := range []*harness{newHarnessOn(t, cfg, nil, configured(edit)), newReturningOn(t, cfg, nil, edit)} {
				p, r := h.openRaw()
				p.send(strings.Replace(oddPost, "SID", r.session.ID(), 1) + "Content-Length: 2\r\n\r\n4a")
				want(t, "post", p.body(), "ok")
				p.send(strings.Replace(text, "SID", r.session.ID(), 1))
				b, _ := io.ReadAll(p.r)
				answers[i] = dates.ReplaceAllString(string(b), "Date: now")
				if name == "body" {
					want(t, "reason", r.reason(t), "transport error")
				}
			}
			want(t, "answer", answers[1], answers[0])
		})
	}
}

// Large bodies come in parts.
func TestLargePostsWithoutNetHTTP(t *testing.T) {
	h := newReturning(t, Config{}, echo)
	p, r := h.openRaw()
	for _, size := range []int{10, 20 << 10, 300 << 10, 900 << 10} {
		text := strings.Repeat("x", size)
		p.send(strings.Replace(oddPost, "SID", r.session.ID(), 1)+fmt.Sprintf("Content-Length: %d\r\n\r\n4", size+1), text[:size/2], text[size/2:])
		want(t, "post", p.body(), "ok")
		p.send(getRequest(r.session.ID()))
		want(t, "echo", p.body() == "4"+text, true)
	}
}

// A handler that panics, or ends its goroutine, ends the connection and nothing else.
func TestHandlersThatFailWithoutNetHTTP(t *testing.T) {
	for how, fail := range faults {
		t.Run(how, func(t *testing.T) {
			var failing atomic.Bool
			h := newReturning(t, Config{}, echo)
			h.http.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if failing.Load() {
					fail()
				}
				h.srv.ServeHTTP(w, r)
			})
			p, r := h.openRaw()
			post := strings.Replace(oddPost, "SID", r.session.ID(), 1) + "Content-Length: 2\r\n\r\n4a"
			p.send(post)
			want(t, "post", p.body(), "ok")
			failing.Store(true)
			p.send(post)
			_, err := p.r.ReadByte()
			want(t, "end", err, io.EOF)
			failing.Store(false)
			p = h.raw()
			p.send(getRequest(r.session.ID()))
			want(t, "echo", p.body(), "4a")
		})
	}
}

// What a handler writes by itself leaves as from net/http.
func TestAnswersOfMiddlewareWithoutNetHTTP(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"nothing":    func(http.ResponseWriter, *http.Request) {},
		"text":       func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"parts":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("a")); _, _ = w.Write([]byte("b")) },
		"error":      func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTeapot) },
		"redirect":   func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusSeeOther) },
		"no content": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"own status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(799) },
		"broken lines": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-A", " a\r\nb: c ")
			w.Header().Set("A b", "c")
		},
		"own date": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", "x") },
		"close":    func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
		"less than it says": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			_, _ = w.Write([]byte("abc"))
		},
		"more than it says": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			_, _ = w.Write([]byte("abc"))
		},
		"body of the client": func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) },
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			var answers [2]string
			for i, h := range []*harness{newHarness(t, Config{}, nil), newReturning(t, Config{}, nil)} {
				var own atomic.Bool
				h.http.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if own.Load() && r.URL.Path != "/last" {
						handler(w, r)
						return
					}
					own.Store(r.Method == http.MethodPost)
					h.srv.ServeHTTP(w, r)
				})
				answers[i] = answersTo(t, h, oddPost+"Content-Length: 3\r\n\r\nabc", true)
			}
			if answers[0] != answers[1] {
				t.Errorf("net/http:\n%s\nwithout:\n%s", answers[0], answers[1])
			}
		})
	}
}
