package protocol

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Engine.IO 4: Sending data. 200 with the text ok.
func TestEngine4PollingSendsAndReceives(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	p.join()
	a := p.post(`42["message","hello"]`)
	if a.status != 200 || a.body != "ok" || a.header.Get("Content-Type") != "text/html" {
		t.Errorf("POST: %d %q %q, want 200 ok text/html", a.status, a.body, a.header.Get("Content-Type"))
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	p.expect(`42["message-back","hello"]`)
	if got := a.header.Get("Set-Cookie"); got != "" {
		t.Errorf("a later answer sets the cookie %q", got)
	}
}

// Engine.IO 4: Packet encoding, HTTP long-polling. Several packets in one body, both ways.
func TestEngine4PayloadOfSeveralPackets(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	p.join()
	p.send(`42["message",1]`, `42["message",2]`, `42["message",3]`)
	p.expect(`42["message-back",1]`, `42["message-back",2]`, `42["message-back",3]`)
}

// Engine.IO 4: Packet encoding. Binary is base64 behind a b, in both directions.
func TestEngine4BinaryInPayload(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	p.join()
	p.send(`451-["message",{"_placeholder":true,"num":0}]`, "bAQIDBA==")
	p.expect(`451-["message-back",{"_placeholder":true,"num":0}]`, "bAQIDBA==")
	// Some clients leave the padding out, others use the URL alphabet; Node reads both.
	p.send(`451-["message",{"_placeholder":true,"num":0}]`, "b-_8")
	p.expect(`451-["message-back",{"_placeholder":true,"num":0}]`, "b+/8=")
}

func TestEngine4TextIsUTF8(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	p.join()
	p.send(`42["message","€ 😀 ` + "\u2028" + `"]`)
	p.expect(`42["message-back","€ 😀 ` + "\u2028" + `"]`)
}

// Engine.IO 4: Sending data. An invalid packet ends the session.
func TestEngine4InvalidPayloadClosesTheSession(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"letters": "abc", "empty packet": "40\x1e", "kind 7": "7", "emoji": "😀"} {
		t.Run(name, func(t *testing.T) {
			p := openPolling(t)
			p.post(body)
			p.gone()
		})
	}
}

// Engine.IO 4: Headers, and polling.ts: a body of protocol 4 is never binary.
func TestEngine4BinaryBodyClosesTheSession(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	if a := p.post("4hello", "Content-Type", "application/octet-stream"); a.status != 400 {
		t.Errorf("POST: %d %q, want 400", a.status, a.body)
	}
	p.gone()
}

// Engine.IO 4: Receiving data. Two polls at a time MUST be answered with 400 and end the session; the
// one that waited is told so by a CLOSE packet.
func TestEngine4OverlappingPolls(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	first := p.later(true)
	if a := request(t, "GET", p.uri+"&t=second", ""); a.status != 400 {
		t.Errorf("second poll: %d %q, want 400", a.status, a.body)
	}
	if a := first(); a.status != 200 || a.body != "1" {
		t.Errorf("first poll: %d %q, want 200 and CLOSE", a.status, a.body)
	}
	p.gone()
}

// Engine.IO 4: Sending data. Two POSTs at a time MUST be answered with 400 and end the session.
func TestEngine4OverlappingPosts(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "POST", target+p.uri, r)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if res, err := client.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	if _, err := w.Write([]byte("4")); err != nil { // net/http has taken it: the request is under way
		t.Fatal(err)
	}
	// The head of the first may still be on its way: until it is there the second is no overlap.
	for {
		a := p.post("3")
		if a.status == 400 {
			break
		}
		if a.status != 200 {
			t.Fatalf("second POST: %d %q, want 400", a.status, a.body)
		}
	}
	_ = w.Close()
	<-done
	p.gone()
}

// Engine.IO 4: packet type close. The pending poll ends with a NOOP.
func TestEngine4ClosePacketOverPolling(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	poll := p.later(true)
	p.send("1")
	if a := poll(); a.status != 200 || a.body != "6" {
		t.Errorf("poll: %d %q, want 200 and NOOP", a.status, a.body)
	}
	p.gone()
}

// Node, socket.disconnect(true): what was sent leaves, then CLOSE, on the poll that waits or the next.
func TestEngine4ServerClosesOverPolling(t *testing.T) {
	t.Parallel()
	for name, parked := range map[string]bool{"pending poll": true, "next poll": false} {
		t.Run(name, func(t *testing.T) {
			p := openPolling(t)
			p.join()
			var poll func() answer
			if parked {
				poll = p.later(true)
			}
			p.send(`42["leave",true]`)
			var got string
			if parked {
				got = poll().body
			}
			for deadline := 0; !strings.HasSuffix(got, "1") || strings.HasSuffix(got, "41"); deadline++ {
				a := p.poll()
				if a.status != 200 || deadline > 10 {
					t.Fatalf("after %q: %d %q, want CLOSE", got, a.status, a.body)
				}
				got += "\x1e" + a.body
			}
			// Node puts a NOOP before the CLOSE of a later poll.
			got = strings.NewReplacer("\x1e2\x1e", "\x1e", "\x1e6\x1e", "\x1e").Replace("\x1e" + got)
			got = strings.Trim(got, "\x1e")
			if want := "42[\"last\"]\x1e41\x1e1"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			p.gone()
		})
	}
}

// polling.ts, onRequest: a session takes GET and POST only.
func TestEngine4OtherMethods(t *testing.T) {
	t.Parallel()
	p := openPolling(t)
	p.join()
	for _, method := range []string{"PUT", "DELETE", "PATCH"} {
		if a := request(t, method, p.uri, ""); a.status != 500 {
			t.Errorf("%s: %d %q, want 500 as Node", method, a.status, a.body)
		}
	}
	p.echo()
}

// polling.ts, doWrite: large answers are compressed if the client accepts it.
func TestEngine4Compression(t *testing.T) {
	t.Parallel()
	tests := []struct {
		accept, want string
		size         int
	}{
		{"gzip, deflate, br", "gzip", 5000},
		{"deflate", "deflate", 5000},
		{"gzip;q=0", "", 5000},
		{"br", "", 5000},
		{"gzip", "", 500},
	}
	for _, tt := range tests {
		t.Run(tt.accept, func(t *testing.T) {
			p := openPolling(t)
			p.join()
			p.send(fmt.Sprintf(`42["large",%d]`, tt.size))
			for {
				a := request(t, "GET", p.uri, "", "Accept-Encoding", tt.accept)
				if a.status != 200 {
					t.Fatalf("%d %s", a.status, a.body)
				}
				if a.body == "2" {
					p.send("3")
					continue
				}
				if got := a.header.Get("Content-Encoding"); got != tt.want {
					t.Fatalf("Content-Encoding %q, want %q", got, tt.want)
				}
				var r io.Reader = strings.NewReader(a.body)
				var err error
				switch tt.want {
				case "gzip":
					r, err = gzip.NewReader(r)
				case "deflate":
					r, err = zlib.NewReader(r)
				}
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(r)
				if err != nil || !bytes.Contains(b, []byte(`42["large","`+strings.Repeat("x", tt.size)+`"]`)) {
					t.Errorf("%.100q, %v", b, err)
				}
				return
			}
		})
	}
}

// Engine.IO 3: JSONP, which Node serves to protocol 4 too (polling-jsonp.ts).
func TestJSONP(t *testing.T) {
	t.Parallel()
	a := request(t, "GET", strictPath+"?EIO=4&transport=polling&j=7", "")
	body, ok := strings.CutPrefix(a.body, `___eio[7]("0{\"sid\":\"`)
	if !ok || !strings.HasSuffix(body, `}");`) {
		t.Fatalf("handshake: %s", a.body)
	}
	sid, _, _ := strings.Cut(body, `\`)
	uri := strictPath + "?EIO=4&transport=polling&j=7&sid=" + sid
	post := func(form string) {
		t.Helper()
		if a := request(t, "POST", uri, form, "Content-Type", "application/x-www-form-urlencoded"); a.status != 200 || a.body != "ok" {
			t.Fatalf("POST: %d %q", a.status, a.body)
		}
	}
	post("d=40")
	got := ""
	read := func(until string) {
		t.Helper()
		for !strings.Contains(got, until) {
			a := request(t, "GET", uri, "")
			if a.status != 200 || !strings.HasPrefix(a.body, "___eio[7](") {
				t.Fatalf("poll: %d %s", a.status, a.body)
			}
			if strings.HasPrefix(a.body, `___eio[7]("2`) {
				post("d=3")
			}
			got += a.body
		}
	}
	read(`42[\"auth\",{}]`)
	// The client escapes newlines, because forms do not keep them.
	post(`d=42%5B%22message%22%2C%22a%5C%5Cnb%22%5D`)
	read(`42[\"message-back\",\"a\\nb\"]`)
}

// A digits-only rule: the index goes into a script.
func TestJSONPIndexIsDigitsOnly(t *testing.T) {
	t.Parallel()
	a := request(t, "GET", strictPath+"?EIO=4&transport=polling&j=1%5D%3Balert(1)%2F%2F", "")
	if !strings.HasPrefix(a.body, `___eio[11]("0`) {
		t.Errorf("%.60s", a.body)
	}
}

// Any page of any site may run a script of ours, so there is none unless the configuration says so. Node
// serves JSONP to everybody.
func TestJSONPIsOffByDefault(t *testing.T) {
	t.Parallel()
	for _, eio := range []string{"3", "4"} {
		a := request(t, "GET", path+"?EIO="+eio+"&transport=polling&j=0", "")
		if want := `{"code":3,"message":"Bad request"}`; !onNode && (a.status != 400 || a.body != want) {
			t.Errorf("EIO=%s: %d %s, want 400 %s", eio, a.status, a.body, want)
		} else if onNode && !strings.HasPrefix(a.body, `___eio[0]("`) {
			t.Errorf("EIO=%s: %d %s, want a script", eio, a.status, a.body)
		}
	}
}
