package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// Who was let in by one pattern or function comes back by that one, or passes the middlewares of another.
func TestRecoveryIsBoundToWhoLetTheClientIn(t *testing.T) {
	_, url := start(t, server.Config{Recovery: &server.Recovery{}}, func(io *server.Server) {
		io.OfFunc(func(_ context.Context, name string, auth json.RawMessage) bool {
			return strings.Contains(string(auth), "guest")
		}).OnConnection(func(s *server.Socket) { _ = s.Emit("welcome", "guest", s.Recovered()) })
		staff := io.OfPattern(regexp.MustCompile(`^/doc-`))
		staff.Use(func(s *server.Socket) error {
			if !strings.Contains(string(s.Handshake().RawAuth()), "staff") {
				return errors.New("not staff")
			}
			return nil
		})
		staff.OnConnection(func(s *server.Socket) { _ = s.Emit("welcome", "staff", s.Recovered()) })
	})
	come := func(auth string) (w welcome, greeting string) {
		t.Helper()
		p := dial(t, url)
		p.Send("40/doc-1," + auth)
		text, ok := strings.CutPrefix(p.Text(), "40/doc-1,")
		if !ok || json.Unmarshal([]byte(text), &w) != nil {
			return w, text
		}
		greeting = p.Text()
		p.Send("1") // the transport's, so that it may be recovered
		p.ExpectClosed()
		return w, greeting
	}
	guest, _ := come(`{"invite":"guest"}`)
	pid := func(more string) string { return fmt.Sprintf(`{"pid":%q%s}`, guest.PID, more) }
	if _, got := come(pid("")); !strings.Contains(got, "not staff") {
		t.Errorf("a guest without the invitation: %s", got)
	}
	if w, got := come(pid(`,"token":"staff"`)); w.SID == guest.SID || !strings.Contains(got, `"staff",false`) {
		t.Errorf("staff with a guest's pid: %v, %s", w, got)
	}
	if w, _ := come(pid(`,"invite":"guest"`)); w != guest {
		t.Errorf("the guest again: %v, want %v", w, guest)
	}
}

// slowResume is an adapter whose Resume goes on only when told, once the socket is a member.
type slowResume struct {
	adapter.Adapter
	in, on chan struct{}
}

func (a slowResume) Resume(ctx context.Context, m adapter.Member, s *adapter.Session, replay func(adapter.Message)) error {
	err := a.Adapter.Resume(ctx, m, s, replay)
	a.in <- struct{}{}
	<-a.on
	return err
}

// A socket is disconnected from the moment on that it is counted, and does not come back then.
func TestDisconnectWhileComingBack(t *testing.T) {
	for _, closeSession := range []bool{false, true} {
		t.Run(fmt.Sprint(closeSession), func(t *testing.T) {
			in, on := make(chan struct{}), make(chan struct{})
			r := adapter.Recovery{}
			memory := adapter.Memory(&r)
			sockets, out := make(chan *server.Socket, 8), make(chan struct{}, 8)
			srv, url := start(t, server.Config{Recovery: &server.Recovery{Recovery: r}, Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
				a, err := memory(n)
				return slowResume{a, in, on}, err
			}}, func(io *server.Server) {
				io.OnConnection(func(s *server.Socket) {
					s.OnDisconnect(func(server.Disconnection) { out <- struct{}{} })
					sockets <- s
				})
			})
			p := dial(t, url)
			first := p.connect("")
			await(t, sockets).Join("user:eve")
			_ = p.Conn.Close()
			await(t, out)
			q := dial(t, url)
			q.Send(`40{"pid":"` + first.PID + `"}`)
			await(t, in)
			if n := srv.LocalCount(); n != 1 {
				t.Fatalf("%d members", n)
			}
			if err := srv.To("user:eve").DisconnectSockets(closeSession); err != nil {
				t.Fatal(err)
			}
			close(on)
			if closeSession {
				q.ExpectClosed()
			} else {
				if got := q.Text(); !strings.HasPrefix(got, `40{"sid":"`+first.SID) {
					t.Errorf("got %s", got)
				}
				q.Expect("41")
			}
			eventually(t, "it is no member any more", func() bool { return srv.LocalCount() == 0 })
			if again := dial(t, url).connect(`{"pid":"` + first.PID + `"}`); again.SID == first.SID {
				t.Error("it was recovered")
			}
		})
	}
}

// The application does not wait until a client has taken what it missed: it could take its time, and what ends
// it is set up in the connection handler.
func TestHandlersDoNotWaitForTheReplay(t *testing.T) {
	srv, url, in, out := recovering(t, server.Recovery{}, nil)
	p := dial(t, url)
	first := p.connect("")
	await(t, in)
	_ = p.Conn.Close()
	await(t, out)
	for range 1200 {
		_ = srv.Emit("missed", strings.Repeat("x", 10_000))
	}
	q := dial(t, url)
	q.Send(`40{"pid":"` + first.PID + `"}`) // and reads nothing
	s := await(t, in)
	if !s.Recovered() {
		t.Fatal(s.RecoveryError())
	}
	s.Disconnect(true)
	if reason := await(t, out); reason != string(server.ReasonServerDisconnect) {
		t.Errorf("it ended by %q", reason)
	}
}

// What clients that come back do not read is bounded for all together. Who would exceed it begins anew.
func TestReplaysAreBounded(t *testing.T) {
	srv, url, in, out := recovering(t, server.Recovery{}, nil)
	pids := []string{}
	for range 2 {
		p := dial(t, url)
		pids = append(pids, p.connect("").PID)
		await(t, in)
		_ = p.Conn.Close()
		await(t, out)
	}
	for range 500 {
		_ = srv.Emit("missed", strings.Repeat("x", 10_000))
	}
	free := srv.Replaying(server.MaxReplaying)
	p := dial(t, url)
	p.Send(`40{"pid":"` + pids[0] + `"}`)
	if s := await(t, in); s.Recovered() || !errors.Is(s.RecoveryError(), adapter.ErrReplayFull) {
		t.Errorf("recovered %v: %v", s.Recovered(), s.RecoveryError())
	}
	free()
	q := dial(t, url)
	q.connect(`{"pid":"` + pids[1] + `"}`)
	if s := await(t, in); !s.Recovered() {
		t.Error(s.RecoveryError())
	}
	for range 500 {
		q.Text()
	}
	eventually(t, "nothing is reserved any more", func() bool { return srv.Replaying(0) != nil })
}

// comingBack returns a client that is recovered, has missed 12 MB, and has read nothing but the answer to CONNECT.
func comingBack(t *testing.T, setup func(*server.Server)) (srv *server.Server, q *peer, s *server.Socket, out chan string) {
	t.Helper()
	srv, url, in, out := recovering(t, server.Recovery{}, setup)
	p := dial(t, url)
	first := p.connect("")
	await(t, in)
	_ = p.Conn.Close()
	await(t, out)
	for range 1200 {
		_ = srv.Emit("missed", strings.Repeat("x", 10_000))
	}
	q = dial(t, url)
	if again := q.connect(`{"pid":"` + first.PID + `"}`); again != first {
		t.Fatalf("recovered as %v, want %v", again, first)
	}
	return srv, q, await(t, in), out
}

// What is emitted to a client that does not take what it missed is bounded as for any client.
func TestHoldIsBounded(t *testing.T) {
	_, _, s, out := comingBack(t, nil)
	for range 20 {
		_ = s.Emit("more", strings.Repeat("x", 1<<20))
	}
	if reason := await(t, out); reason != string(transport.ReasonSlowConsumer) {
		t.Errorf("it ended by %q", reason)
	}
}

// Nor does one large event end it, whatever is held before and behind that.
func TestHoldDoesNotCountTheLargest(t *testing.T) {
	_, q, s, _ := comingBack(t, nil)
	for range 2 {
		for i := range 3 {
			_ = s.Emit("more", i, strings.Repeat("x", i%2*8<<20))
		}
		for i := 0; i < 3; {
			if strings.HasPrefix(q.Text(), fmt.Sprintf(`42["more",%d`, i)) {
				i++
			}
		}
	}
}

// Who is put out while it takes what it missed gets no more of that, but learns that it is out.
func TestDisconnectEndsTheReplay(t *testing.T) {
	for _, closeSession := range []bool{false, true} {
		_, q, s, out := comingBack(t, nil)
		_ = s.Emit("bye")
		s.Disconnect(closeSession)
		await(t, out)
		var got []string
		for len(got) == 0 || got[len(got)-1] != "41" {
			got = append(got, q.Text())
		}
		if n := len(got); n > 1000 || n < 2 || !strings.HasPrefix(got[n-2], `42["bye"`) {
			t.Errorf("it got %d packets, before the last %.40s", n, got[max(0, n-2)])
		}
		if closeSession {
			q.ExpectClosed()
		}
	}
}

// A client that leaves and comes again on one session gets nothing of what was meant for it before.
func TestComingAgainEndsTheReplay(t *testing.T) {
	_, q, _, _ := comingBack(t, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { _ = s.Emit("hello", s.Recovered()) })
	})
	q.Send("41", "40")
	for got := q.Text(); !strings.HasPrefix(got, `40{"sid"`); got = q.Text() {
		if !strings.HasPrefix(got, `42["missed"`) && !strings.HasPrefix(got, `42["hello",false`) { // of its first time
			t.Fatalf("got %.60s", got)
		}
	}
	if got := q.Text(); !strings.HasPrefix(got, `42["hello",false`) {
		t.Errorf("got %.60s", got)
	}
}

// What the handlers of a socket do to it behind the end of its connection is there when the client comes back.
func TestHandlersBehindTheEndCount(t *testing.T) {
	on, in := make(chan struct{}), make(chan *server.Socket, 4)
	srv, url := start(t, server.Config{Recovery: &server.Recovery{}}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			defer func() { in <- s }()
			s.On("join", func(room string) { s.Join(room) })
			if s.Recovered() {
				return
			}
			s.Join("left")
			<-on
			s.Join("late")
			s.Leave("left")
			s.Data.Set("name", "ann")
		})
	})
	p := dial(t, url)
	first := p.connect("")
	p.Send(`42["join","later"]`)
	_ = p.Conn.Close()
	eventually(t, "it has gone", func() bool { return srv.LocalCount() == 0 })
	q := dial(t, url)
	q.Send(`40{"pid":"` + first.PID + `"}`)
	close(on)
	await(t, in)
	if got := q.Text(); !strings.HasPrefix(got, `40{"sid":"`+first.SID) {
		t.Fatalf("got %s", got)
	}
	s := await(t, in)
	name, _ := server.Value[string](&s.Data, "name")
	if rooms := fmt.Sprint(s.Rooms()); rooms != "["+s.ID()+" late later]" || name != "ann" {
		t.Errorf("rooms %s, name %q", rooms, name)
	}
	_ = srv.To("later").Emit("hello")
	if got := q.Text(); !strings.HasPrefix(got, `42["hello"`) {
		t.Errorf("got %s", got)
	}
}

// awaySave is an adapter that cannot keep states.
type awaySave struct {
	adapter.Adapter
	ended chan error
}

func (a awaySave) Save(ctx context.Context, _ adapter.Session) error {
	<-ctx.Done()
	a.ended <- ctx.Err()
	return ctx.Err()
}

// A server that stops does not wait until states are kept, as Redis may be away.
func TestStopDoesNotWaitForStates(t *testing.T) {
	ended := make(chan error, 1)
	srv, url := start(t, server.Config{Recovery: &server.Recovery{}, Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
		a, err := adapter.Memory(&adapter.Recovery{})(n)
		return awaySave{a, ended}, err
	}}, func(*server.Server) {})
	dial(t, url).connect("")
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := await(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the state was waited for until %v", err)
	}
}

// A client that loses its connection each time that it is brought the same events begins anew; one that has had some of them,
// or that has missed nothing, does not.
func TestRecoveriesInVainEnd(t *testing.T) {
	var said remarks
	refused := make(chan error, 1)
	io, url := start(t, server.Config{Recovery: &server.Recovery{}, Logger: said.log(slog.LevelWarn)}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			if !s.Recovered() {
				refused <- s.RecoveryError()
			}
		})
	})
	emit := func() {
		t.Helper()
		if err := io.Emit("x"); err != nil {
			t.Fatal(err)
		}
	}
	come := func(auth string, missed int) (w welcome, at string) {
		t.Helper()
		p := dial(t, url)
		w = p.connect(auth)
		for range missed {
			at = offset(t, p.Text())
		}
		if missed == 0 && auth == "" {
			<-refused
			emit()
			at = offset(t, p.Text())
		}
		p.Send("1")
		p.ExpectClosed()
		return w, at
	}
	const often = 10
	first, at := come("", 0)
	auth := func() string { return fmt.Sprintf(`{"pid":%q,"offset":%q}`, first.PID, at) }
	for range often + 5 {
		if w, _ := come(auth(), 0); w != first {
			t.Fatal("who has missed nothing begins anew")
		}
	}
	for range often + 5 {
		emit()
		emit()
		w, next := come(auth(), 2)
		if w != first {
			t.Fatal("who has had what it missed begins anew")
		}
		at = next
	}
	emit()
	for range often {
		if w, _ := come(auth(), 1); w != first {
			t.Fatal("a client begins anew too early")
		}
	}
	if w, _ := come(auth(), 0); w.SID == first.SID {
		t.Error("a client is brought the same events for ever")
	}
	if err := <-refused; !errors.Is(err, adapter.ErrNoRecovery) || !strings.Contains(err.Error(), "none of it has come") {
		t.Errorf("the error is %v", err)
	}
	said.once(t, "a client is not recovered any more", "recoveries=10")
}
