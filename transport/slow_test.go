package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
)

// pipes is a listener of connections inside the process, so that an http.Server can run in virtual time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// servePipes serves handler, and returns what dials it.
func servePipes(t *testing.T, handler http.Handler) (dial func() *rawConn) {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(p) }()
	t.Cleanup(func() { _ = server.Close() })
	return func() *rawConn {
		client, server := net.Pipe()
		t.Cleanup(func() { _ = client.Close() })
		p.conns <- server
		return &rawConn{t: t, conn: client, r: bufio.NewReaderSize(client, 16)}
	}
}

// rawConn speaks HTTP on one connection.
type rawConn struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func (c *rawConn) get(sid string) {
	if sid != "" {
		sid = "&sid=" + sid
	}
	if _, err := io.WriteString(c.conn, "GET /?EIO=4&transport=polling"+sid+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		c.t.Errorf("request: %v", err)
	}
}

func (c *rawConn) answer() *http.Response {
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Errorf("answer: %v", err)
	}
	return res
}

func (c *rawConn) body() string {
	b, err := io.ReadAll(c.answer().Body)
	if err != nil {
		c.t.Errorf("answer: %v", err)
	}
	return string(b)
}

// slowly reads r to its end, a few kilobytes every so often.
func slowly(t *testing.T, r io.Reader, pause time.Duration) (size int) {
	b := make([]byte, 8<<10)
	for {
		n, err := io.ReadFull(r, b)
		size += n
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("after %d bytes: %v", size, err)
			}
			return size
		}
		time.Sleep(pause)
	}
}

const large = 256 << 10

// onBothPolls runs test with a client whose large answer is being written: by net/http, or to a connection
// that has left it.
func onBothPolls(t *testing.T, test func(t *testing.T, r *recorder, c *rawConn)) {
	t.Run("in net/http", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, opened := serverOnly(t, Config{ParkAfter: -1})
			dial := servePipes(t, srv)
			c := dial()
			c.get("")
			c.body()
			r := <-opened
			_ = r.session.Send(SendOptions{NoCompress: true}, Message{Data: make([]byte, large)})
			c.get(r.session.ID())
			test(t, r, c)
		})
	})
	t.Run("left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, opened := serverOnly(t, Config{})
			srv.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/?EIO=4&transport=polling", nil))
			r := <-opened
			client, server := net.Pipe()
			_ = srv.Returns()
			get := httptest.NewRequest("GET", "/", nil)
			get = get.WithContext(context.WithValue(get.Context(), http.ServerContextKey, new(http.Server)))
			p := &poll{left: new(leftPoll), conn: srv.newPollConn(get, server, nil)}
			r.session.mu.Lock()
			r.session.poll = p
			p.conn.waits(r.session, p)
			r.session.mu.Unlock()
			p.conn.start()
			_ = r.session.Send(SendOptions{NoCompress: true}, Message{Data: make([]byte, large)})
			test(t, r, &rawConn{t: t, conn: client, r: bufio.NewReaderSize(client, 16)})
			_ = client.Close()
		})
	})
}

// A client that reads an answer slowly is waited for as long as it reads, and so is its heartbeat.
func TestAnswerThatIsReadSlowly(t *testing.T) {
	onBothPolls(t, func(t *testing.T, r *recorder, c *rawConn) {
		start := time.Now()
		want(t, "size", slowly(t, c.answer().Body, 10*time.Second), large+1)
		if d := time.Since(start); d < 5*time.Minute {
			t.Errorf("the answer took only %v", d)
		}
		want(t, "open", r.session.Open(), true)
	})
}

// A client that takes nothing for WriteTimeout has lost what the answer held.
func TestAnswerThatIsNotRead(t *testing.T) {
	onBothPolls(t, func(t *testing.T, r *recorder, c *rawConn) {
		start := time.Now()
		<-r.done
		want(t, "time", time.Since(start), DefaultWriteTimeout)
		want(t, "reason", r.reason(t), "transport error")
		want(t, "cause", r.cause, errWriteTimeout)
	})
}

func TestAnswerWhoseClientGoes(t *testing.T) {
	onBothPolls(t, func(t *testing.T, r *recorder, c *rawConn) {
		_, _ = io.ReadFull(c.answer().Body, make([]byte, 1000))
		_ = c.conn.Close()
		want(t, "reason", r.reason(t), "transport error")
	})
}

// The same over WebSocket: the PONG cannot be expected of who has not had the PING.
func TestWebSocketThatIsReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, opened := serverOnly(t, Config{})
		dial := servePipes(t, srv)
		c := dial()
		go io.WriteString(c.conn, "GET /?EIO=4&transport=websocket HTTP/1.1\r\n"+wsHeaders+"\r\n")
		w := &wsClient{t: t, conn: c.conn, r: c.r}
		_, _ = w.readHead()
		w.text()
		r := <-opened
		_ = r.session.Send(SendOptions{}, Message{Data: make([]byte, large)})
		h, err := ws.ReadHeader(w.r)
		want(t, "err", err, nil)
		want(t, "length", h.Length, int64(large+1))
		want(t, "size", slowly(t, io.LimitReader(w.r, h.Length), 10*time.Second), large+1)
		want(t, "ping", w.text(), "2")
		time.Sleep(time.Second)
		w.send("3")
		synctest.Wait()
		want(t, "open", r.session.Open(), true)
		_ = r.session.Send(SendOptions{}, Message{Data: make([]byte, large)})
		start := time.Now()
		<-r.done
		want(t, "time", time.Since(start), DefaultWriteTimeout)
		want(t, "cause", r.cause, errWriteTimeout)
	})
}

// What an answer needed of its connection is not left to the next request, which may be another handler's.
func TestWriteDeadlineEndsWithTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, opened := serverOnly(t, Config{})
		c := servePipes(t, srv)()
		c.get("")
		c.body()
		r := <-opened
		time.Sleep(time.Second)
		_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
		c.get(r.session.ID())
		want(t, "answer", c.body(), "4x")
		time.Sleep(DefaultWriteTimeout + time.Second)
		c.get("nobody")
		want(t, "refusal", c.body(), `{"code":1,"message":"Session ID unknown"}`)
	})
}

// stubborn and quiet are writers that cannot be flushed, around which bold is one that tries.
type (
	stubborn struct{ w http.ResponseWriter }
	quiet    struct{ http.ResponseWriter }
	bold     struct{ http.ResponseWriter }
)

func (q quiet) Unwrap() http.ResponseWriter { return q.ResponseWriter }

func (s stubborn) Header() http.Header         { return s.w.Header() }
func (s stubborn) WriteHeader(code int)        { s.w.WriteHeader(code) }
func (s stubborn) Write(b []byte) (int, error) { return s.w.Write(b) }
func (b bold) Unwrap() http.ResponseWriter     { return b.ResponseWriter }
func (b bold) Flush()                          { b.ResponseWriter.(http.Flusher).Flush() }

func TestWriterThatCannotBeFlushed(t *testing.T) {
	for name, wrap := range map[string]func(http.ResponseWriter) http.ResponseWriter{
		"at all":     func(w http.ResponseWriter) http.ResponseWriter { return bold{stubborn{w}} },
		"in between": func(w http.ResponseWriter) http.ResponseWriter { return bold{quiet{w}} },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, Config{}, nil)
			h.http.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.srv.ServeHTTP(wrap(w), r) })
			c, r := h.openPolling()
			_ = r.session.Send(SendOptions{}, Message{Data: []byte("x")})
			want(t, "poll", c.get().body, "4x")
			want(t, "post", c.post("4y").body, "ok")
		})
	}
}

// What an answer has taken waits for the client until that has been written, and counts as long.
func TestAnswerThatIsNotReadCounts(t *testing.T) {
	onBothPolls(t, func(t *testing.T, r *recorder, c *rawConn) {
		synctest.Wait()
		_, bytes := r.session.Backlog()
		want(t, "backlog", bytes, large+1)
		part := Message{Data: make([]byte, large-1)}
		for range DefaultMaxBacklogBytes/large - 1 {
			want(t, "send", r.session.Send(SendOptions{NoCompress: true}, part), nil)
		}
		want(t, "writable", r.session.Writable(), false)
		for range 2 {
			_ = r.session.Send(SendOptions{NoCompress: true}, part)
		}
		want(t, "reason", r.reason(t), "slow consumer")
		_ = c.conn.Close()
	})
}

// A session has one answer on its way: the poll behind it waits, and is served when the client has all.
func TestPollWaitsForTheAnswerBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, opened := serverOnly(t, Config{})
		dial := servePipes(t, srv)
		c, second := dial(), dial()
		c.get("")
		c.body()
		r := <-opened
		_ = r.session.Send(SendOptions{NoCompress: true}, Message{Data: make([]byte, large)})
		c.get(r.session.ID())
		want(t, "first", c.answer().StatusCode, 200)
		_ = r.session.Send(SendOptions{}, Message{Data: []byte("behind")})
		second.get(r.session.ID())
		synctest.Wait()
		packets, _ := r.session.Backlog()
		want(t, "packets", packets, 2)
		want(t, "size", slowly(t, io.LimitReader(c.r, large+1), time.Millisecond), large+1)
		want(t, "second", second.body(), "4behind")
		synctest.Wait()
		packets, _ = r.session.Backlog()
		want(t, "packets", packets, 0)
		want(t, "open", r.session.Open(), true)
	})
}

// What is left of an answer when its session has ended is not kept for as long as somebody takes a little of it.
func TestAnswerOfAnEndedSession(t *testing.T) {
	onBothPolls(t, func(t *testing.T, r *recorder, c *rawConn) {
		_, _ = io.ReadFull(c.answer().Body, make([]byte, 1000))
		r.session.Abort(ReasonForcedServerClose)
		start := time.Now()
		for err := error(nil); err == nil; {
			time.Sleep(time.Second)
			_, err = io.ReadFull(c.r, make([]byte, 1000))
		}
		if d := time.Since(start); d > 2*DefaultWriteTimeout {
			t.Errorf("kept for %v", d)
		}
	})
}

// Over HTTP/2 a deadline that passes ends the request, though nobody writes: none stands while somebody else than
// the client is waited for.
func TestNoDeadlineWhileTheClientIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const long = 10 * (DefaultWriteTimeout + DefaultBodyTimeout)
		wait := func() { time.Sleep(long) }
		srv, opened := serverOnly(t, Config{
			PingInterval: 20 * long, PingTimeout: 20 * long,
			AllowRequest: func(*http.Request) error { wait(); return nil },
			UnknownSession: func(w http.ResponseWriter, _ *http.Request, _ string) bool {
				_, _ = io.WriteString(w, "part ")
				_ = http.NewResponseController(w).Flush()
				wait()
				_, _ = io.WriteString(w, "end")
				return true
			},
		})
		client := serveHTTP2(t, srv)
		ask := func(query, body string) string {
			method := http.MethodGet
			if body != "" {
				method = http.MethodPost
			}
			req, _ := http.NewRequest(method, "http://x/?EIO=4&transport=polling"+query, strings.NewReader(body))
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			want(t, "protocol", res.ProtoMajor, 2)
			b, err := io.ReadAll(res.Body)
			if err != nil {
				t.Errorf("%q %q: %v", query, body, err)
			}
			return string(b)
		}
		want(t, "handshake", ask("", "")[:1], "0")
		r := <-opened
		r.onReceive = func(*recorder, Message) { wait() }
		sid := "&sid=" + r.session.ID()
		want(t, "post", ask(sid, "4x"), "ok")
		time.AfterFunc(long, func() { _ = r.session.Send(SendOptions{}, Message{Data: []byte("late")}) })
		want(t, "poll", ask(sid, ""), "4late")
		want(t, "forwarded", ask("&sid=elsewhere", ""), "part end")
	})
}

// serveHTTP2 serves handler by HTTP/2 without TLS, and returns a client of it.
func serveHTTP2(t *testing.T, handler http.Handler) *http.Client {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: handler, Protocols: &protocols}
	go func() { _ = server.Serve(p) }()
	transport := &http.Transport{Protocols: &protocols, DialContext: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		p.conns <- server
		return client, nil
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
	})
	return &http.Client{Transport: transport}
}

// A session that has ended keeps its place as long as an answer is written for it that its client does not read.
func TestEndedSessionKeepsItsPlaceWhileItsOutputWaits(t *testing.T) {
	check := func(t *testing.T, r *recorder, conn net.Conn, reason string) {
		srv := r.session.srv
		srv.cfg.MaxSessions = 1
		synctest.Wait()
		r.session.Abort(ReasonSlowConsumer)
		want(t, "reason", r.reason(t), reason)
		synctest.Wait()
		want(t, "sessions", srv.Sessions(), 0)
		want(t, "refused", knock(srv, "192.0.2.1:1", nil).Code, http.StatusServiceUnavailable)
		_ = conn.Close()
		synctest.Wait()
		want(t, "let in", knock(srv, "192.0.2.1:1", nil).Code, http.StatusOK)
	}
	onBothPolls(t, func(t *testing.T, r *recorder, c *rawConn) { check(t, r, c.conn, "slow consumer") })
	t.Run("WebSocket", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, opened := serverOnly(t, Config{})
			c := servePipes(t, srv)()
			go io.WriteString(c.conn, "GET /?EIO=4&transport=websocket HTTP/1.1\r\n"+wsHeaders+"\r\n")
			w := &wsClient{t: t, conn: c.conn, r: c.r}
			_, _ = w.readHead()
			w.text()
			r := <-opened
			_ = r.session.Send(SendOptions{}, Message{Data: make([]byte, large)})
			w.write(maskedFrame(ws.OpClose, "")) // answered behind what is not read
			synctest.Wait()
			check(t, r, c.conn, "transport close")
		})
	})
	t.Run("stop", func(t *testing.T) {
		onBothPolls(t, func(t *testing.T, r *recorder, c *rawConn) {
			synctest.Wait()
			r.session.Abort(ReasonSlowConsumer)
			<-r.done
			start := time.Now()
			want(t, "Shutdown", r.session.srv.Shutdown(t.Context()), nil)
			if r.session.srv.cfg.ParkAfter < 0 { // else the server writes the answer, and waits until it is given up
				want(t, "time", time.Since(start), time.Duration(0))
			}
		})
	})
}
