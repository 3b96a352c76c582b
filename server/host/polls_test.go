package host

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/beanpole/beanpole/server"
)

// A poll that waits for longer than it stays in net/http is answered like one that is answered at once, whatever
// the application's middlewares do with the ResponseWriter.
func TestWaitingPollsAndMiddlewares(t *testing.T) {
	quietGin()
	for name, middleware := range map[string]gin.HandlerFunc{
		"plain":  func(c *gin.Context) { c.Header("X-Early", "1") },
		"late":   func(c *gin.Context) { c.Writer = lateHeader{c.Writer} },
		"gzip":   compress,
		"around": nil, // by net/http's own means, outside gin
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			io, err := server.New(server.Config{})
			if err != nil {
				t.Fatal(err)
			}
			router := gin.New()
			handler := http.Handler(router)
			if middleware != nil {
				router.Use(middleware)
			} else {
				handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { router.ServeHTTP(plainLate{w}, r) })
			}
			router.Any("/socket.io/", gin.WrapH(io))
			url := serveWithReturns(t, handler, io)

			get := func(sid string) (http.Header, string) {
				res, err := http.Get(url + "/socket.io/?EIO=4&transport=polling" + sid)
				if err != nil {
					t.Error(err)
					return nil, ""
				}
				return res.Header, read(t, res.Body)
			}
			_, open := get("")
			sid := "&sid=" + strings.Split(open, `"`)[3]
			res, err := http.Post(url+"/socket.io/?EIO=4&transport=polling"+sid, "text/plain", strings.NewReader("40"))
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatal(res, err)
			}
			_ = res.Body.Close()
			connected, _ := get(sid)

			byWebSocket(t, url, nil, nil)

			type answer struct {
				header http.Header
				body   string
			}
			answers := make(chan answer, 1)
			go func() {
				h, body := get(sid)
				answers <- answer{h, body}
			}()
			time.Sleep(700 * time.Millisecond) // half a second, and it would leave net/http
			if err := io.Emit("late"); err != nil {
				t.Fatal(err)
			}
			a := <-answers
			if a.body != `42["late"]` {
				t.Errorf("answer %q", a.body)
			}
			for _, h := range []http.Header{connected, a.header} {
				h.Del("Date")
				h.Del("Content-Length")
			}
			for name, want := range connected {
				if got := a.header.Values(name); strings.Join(got, ",") != strings.Join(want, ",") {
					t.Errorf("%s is %q in an answer that came late, %q in one at once", name, got, want)
				}
			}
		})
	}
}

// serveWithReturns serves handler as Host does.
func serveWithReturns(t *testing.T, handler http.Handler, io *server.Server) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: handler}
	done := make(chan struct{}, 2)
	for _, l := range []net.Listener{l, io.Engine().Returns()} {
		go func() { _ = web.Serve(l); done <- struct{}{} }()
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := io.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		_ = web.Close()
		<-done
		<-done
		http.DefaultClient.CloseIdleConnections()
	})
	return "http://" + l.Addr().String()
}

func read(t *testing.T, body io.ReadCloser) string {
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// lateHeader adds to the head of an answer when it is written.
type lateHeader struct{ gin.ResponseWriter }

func (w lateHeader) WriteHeader(code int) {
	w.Header().Set("X-Late", "1")
	w.ResponseWriter.WriteHeader(code)
}

func (w lateHeader) Write(b []byte) (int, error) {
	w.Header().Set("X-Late", "1")
	return w.ResponseWriter.Write(b)
}

// plainLate does so without gin.
type plainLate struct{ http.ResponseWriter }

func (w plainLate) WriteHeader(code int) {
	w.Header().Set("X-Late", "1")
	w.ResponseWriter.WriteHeader(code)
}

func (w plainLate) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w plainLate) Write(b []byte) (int, error) {
	w.Header().Set("X-Late", "1")
	return w.ResponseWriter.Write(b)
}

// compress is a middleware that compresses every answer, as published ones do.
func compress(c *gin.Context) {
	z := gzip.NewWriter(c.Writer)
	c.Header("Content-Encoding", "gzip")
	c.Header("Vary", "Accept-Encoding")
	c.Writer = zipped{c.Writer, z}
	defer func() { _ = z.Close() }()
	c.Next()
}

type zipped struct {
	gin.ResponseWriter
	z *gzip.Writer
}

func (w zipped) Write(b []byte) (int, error) {
	w.Header().Del("Content-Length")
	return w.z.Write(b)
}

func (w zipped) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

func (w zipped) WriteHeader(code int) {
	w.Header().Del("Content-Length")
	w.ResponseWriter.WriteHeader(code)
}

func (w zipped) Flush() {
	_ = w.z.Flush()
	w.ResponseWriter.Flush()
}

// The requests behind the first on a connection are read without net/http, and come through gin all the same.
func TestRequestsOfOneConnectionThroughGin(t *testing.T) {
	quietGin()
	io, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	io.OnConnection(func(s *server.Socket) { s.On("echo", func(n int) int { return n }) })
	router := gin.New()
	var seen atomic.Int32
	router.Use(func(c *gin.Context) { seen.Add(1); c.Header("X-Seen", "1") })
	router.Any("/socket.io/", gin.WrapH(io))
	url := serveWithReturns(t, router, io) + "/socket.io/?EIO=4&transport=polling"
	answer := func(res *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if res.Header.Get("X-Seen") != "1" {
			t.Error("an answer that the middleware has not seen")
		}
		return read(t, res.Body)
	}
	url += "&sid=" + strings.Split(answer(http.Get(url)), `"`)[3]
	post := func(body string) {
		t.Helper()
		if got := answer(http.Post(url, "text/plain", strings.NewReader(body))); got != "ok" {
			t.Fatalf("post answered %q", got)
		}
	}
	post("40")
	answer(http.Get(url))
	const rounds = 50
	for i := range rounds {
		post(fmt.Sprintf(`42%d["echo",%d]`, i, i))
		if got, want := answer(http.Get(url)), fmt.Sprintf("43%d[%d]", i, i); got != want {
			t.Fatalf("echo %q, want %q", got, want)
		}
	}
	if got := seen.Load(); got != 3+2*rounds {
		t.Errorf("the middleware has seen %d requests, want %d", got, 3+2*rounds)
	}
}
