package zishang_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/engine.io/v2/utils"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server/zishang"
	"github.com/beanpole/beanpole/transport"
)

// The tests of this file, of what comes and goes over the wire, belong to the table of defects in doc.go.

func TestMalformedPacketsAreRefused(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) { onConnection(io.Sockets(), echo) })
	for _, packet := range []string{
		"42", "42[]", "42{}", "42[null]", `42["disconnect"]`, `42["connect"]`, "45", "451-", `451-["x"`, "46",
		`451-["x",{"_placeholder":true,"num":1}]`, "4", "49", `43{"a":1}`, "42\"x\"", "40[]", "44{}", "4299999999999999999999[\"x\"]",
		`42/nowhere,["x"]`, "41/nowhere,", "40",
	} {
		p, _ := join(t, n.url, "/")
		p.Send(packet)
		p.ExpectClosed()
	}
	p, _ := join(t, n.url, "/")
	p.Send(`451-["x",{"_placeholder":true,"num":0}]`, `42["x"]`) // a text instead of the binary
	p.ExpectClosed()
	p, _ = join(t, n.url, "/")
	p.SendBinary([]byte("nobody announced it"))
	p.ExpectClosed()
	p, _ = join(t, n.url, "/")
	p.Send(`42["echo","alive"]`)
	p.Expect(`42["echo","alive"]`)
}

func TestPongBeforePingIsHarmless(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) { onConnection(io.Sockets(), echo) })
	for range 20 {
		p := dial(t, n.url)
		p.Send("3", "3")
		p.Connect("/", "")
		p.Send("3", `42["echo",1]`)
		p.Expect(`42["echo",1]`)
	}
}

func TestAttachmentsAreBounded(t *testing.T) {
	cfg := zishang.Config{}
	cfg.Limits.MaxAttachments, cfg.Limits.MaxAttachmentBytes, cfg.Limits.AttachmentTimeout = 3, 1000, 50*time.Millisecond
	n := start(t, cfg, func(io *socket.Server) { onConnection(io.Sockets(), echo) })
	p, _ := join(t, n.url, "/")
	p.Send(`454-["x"]`)
	p.ExpectClosed()
	p, _ = join(t, n.url, "/")
	p.Send(`452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
	p.SendBinary(make([]byte, 600))
	p.SendBinary(make([]byte, 600))
	p.ExpectClosed()
	p, _ = join(t, n.url, "/")
	p.Send(`451-["x",{"_placeholder":true,"num":0}]`) // and then nothing
	p.ExpectClosed()
}

func TestPostBodyIsBounded(t *testing.T) {
	options := socket.DefaultServerOptions()
	options.SetMaxHttpBufferSize(100_000)
	n := start(t, zishang.Config{Options: options}, nil)
	p := poll(t, n.url)
	// Without a length, so that only reading can find out.
	body := io.MultiReader(strings.NewReader("4"), strings.NewReader(strings.Repeat("x", 1_000_000)))
	if status, _ := p.post(body); status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", status)
	}
}

func TestAddressComesFromTheTransport(t *testing.T) {
	got := make(chan *socket.Handshake, 1)
	n := start(t, zishang.Config{Transport: transport.Config{
		ClientAddr: func(r *http.Request) (string, bool) { return "203.0.113.9", true },
	}}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) { got <- s.Handshake() })
	})
	join(t, n.url, "/")
	if h := await(t, got); h.Address != "203.0.113.9" || !h.Secure {
		t.Errorf("address %s, secure %v", h.Address, h.Secure)
	}
}

func TestLargePacketsInPolling(t *testing.T) {
	got := make(chan int, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) {
			_ = s.On("big", func(args ...any) { got <- len(args[0].(string)) })
		})
	})
	p := poll(t, n.url)
	if status, answer := p.post(strings.NewReader("40")); status != 200 || answer != "ok" {
		t.Fatalf("%d %s", status, answer)
	}
	p.post(strings.NewReader(`42["big","` + strings.Repeat("x", 300_000) + `"]`))
	if got := await(t, got); got != 300_000 {
		t.Errorf("got %d characters", got)
	}
}

func TestBinaryPostIsAnswered(t *testing.T) {
	n := start(t, zishang.Config{}, nil)
	p := poll(t, n.url)
	p.contentType = "application/octet-stream"
	if status, _ := p.post(strings.NewReader("x")); status == 0 || status == http.StatusOK {
		t.Errorf("status %d", status)
	}
}

func TestCookieCarriesSession(t *testing.T) {
	options := socket.DefaultServerOptions()
	options.SetCookie(&http.Cookie{Name: "io", Path: "/"})
	n := start(t, zishang.Config{Options: options}, nil)
	p := poll(t, n.url)
	if got := p.header.Get("Set-Cookie"); got != "io="+p.sid+"; Path=/; HttpOnly; SameSite=Lax" {
		t.Errorf("cookie %q", got)
	}
}

func TestCompressionApplies(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		onConnection(io.Sockets(), func(s *socket.Socket) { _ = s.Emit("big", strings.Repeat("x", 5000)) })
	})
	p := poll(t, n.url)
	p.encoding = "gzip"
	p.post(strings.NewReader("40"))
	for range 10 {
		if p.get(); p.header.Get("Content-Encoding") == "gzip" {
			return
		}
	}
	t.Error("nothing was compressed")
}

func TestErrorCodesAreNodes(t *testing.T) {
	told := make(chan int, 1)
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		_ = io.Engine().On("connection_error", func(args ...any) { told <- args[0].(*types.ErrorMessage).Code })
	})
	res, err := http.Get(n.url + "/socket.io/?EIO=3&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if string(body) != `{"code":5,"message":"Unsupported protocol version"}` || await(t, told) != 5 {
		t.Errorf("answer %s", body)
	}
}

func TestHeadersOfOthersSurvive(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		_ = io.Engine().On("initial_headers", func(args ...any) {
			args[0].(*utils.ParameterBag).Set("X-App", "yes")
		})
		io.Engine().Use(func(ctx *types.HttpContext, next func(error)) {
			ctx.ResponseHeaders.Add("X-Used", "a")
			next(nil)
		})
	})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		n.handler.ServeHTTP(w, r)
	})
	w := recorded(t, h, "/socket.io/?EIO=4&transport=polling")
	if got := w.Header().Values("Set-Cookie"); len(got) != 2 || w.Header().Get("X-App") != "yes" || w.Header().Get("X-Used") != "a" {
		t.Errorf("headers %v", w.Header())
	}
}
