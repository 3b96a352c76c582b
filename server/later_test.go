package server_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
	"github.com/beanpole/beanpole/transport"
)

// EmitThen holds up no handler, and what it calls has its turn among them.
func TestEmitThenHasItsTurn(t *testing.T) {
	var seen record
	inside, let := make(chan bool), make(chan bool)
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("ask", func(s *server.Socket) error {
			err := s.EmitThen(func(a server.Args, err error) {
				var yes string
				seen.add("then %s %v", yes, errors.Join(err, a.Scan(&yes)))
				_ = s.Emit("then", yes)
			}, "really?", 1)
			return errors.Join(err, s.Emit("behind"))
		})
		io.On("slow", func() {
			inside <- true
			<-let
			seen.add("slow")
		})
		io.On("last", func() { seen.add("last") })
	})
	p, _ := join(t, url, "/")
	p.Send(`42["ask"]`)
	p.Expect(`421["really?",1]`, `42["behind"]`)
	p.Send(`42["slow"]`)
	await(t, inside)
	p.Send(`431["yes"]`, `42["last"]`)
	let <- true
	p.Expect(`42["then","yes"]`)
	eventually(t, "all is handled", func() bool { seen.mu.Lock(); defer seen.mu.Unlock(); return len(seen.list) == 3 })
	if got, want := seen.take(), []string{"slow", "then yes <nil>", "last"}; !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
}

// TestAnswersOfEmitThenCount: answers that wait for the socket's turn count among what waits for its handlers.
func TestAnswersOfEmitThenCount(t *testing.T) {
	const questions = 20
	let := make(chan struct{})
	inside, errs := make(chan bool, 1), make(chan error, questions)
	srv, url := start(t, server.Config{Limits: server.Limits{MaxQueuedBytes: 64 << 10}}, func(io *server.Server) {
		io.On("ask", func(s *server.Socket) error {
			return s.EmitThen(func(_ server.Args, err error) { errs <- err }, "?")
		})
		io.On("hold", func() {
			inside <- true
			<-let
		})
	})
	p, _ := join(t, url, "/")
	for id := range questions {
		p.Send(`42["ask"]`)
		p.Expect(fmt.Sprintf(`42%d["?"]`, id+1))
	}
	p.Send(`42["hold"]`)
	await(t, inside)
	for id := range questions {
		p.Send(fmt.Sprintf(`43%d["%s"]`, id+1, strings.Repeat("x", 8<<10)))
	}
	wantClosed(t, srv, server.ReasonQueueFull, 1)
	close(let)
	gone := 0
	for range questions { // each is told once
		if err := await(t, errs); errors.Is(err, server.ErrDisconnected) {
			gone++
		} else if err != nil {
			t.Error(err)
		}
	}
	if gone == 0 || gone == questions {
		t.Errorf("%d of %d questions ended with the socket", gone, questions)
	}
}

func TestEmitThenThatIsNotAnswered(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	errs := make(chan error, 4)
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.OnDisconnect(func(server.Disconnection) { errs <- errors.New("disconnected") })
			sockets <- s
		})
	})
	p, _ := join(t, url, "/")
	s := await(t, sockets)
	then := func(_ server.Args, err error) { errs <- err }
	if err := s.Timeout(time.Millisecond).EmitThen(then, "x"); err != nil {
		t.Error(err)
	}
	p.Expect(`421["x"]`)
	if err := await(t, errs); !errors.Is(err, server.ErrTimeout) {
		t.Errorf("in time: %v", err)
	}
	if err := s.EmitThen(func(server.Args, error) { panic("x") }, "x"); err != nil {
		t.Error(err)
	}
	p.Expect(`422["x"]`)
	p.Send(`432[]`)
	if err := s.EmitThen(then, "x"); err != nil {
		t.Error(err)
	}
	p.Expect(`423["x"]`)
	if err := s.EmitThen(then, "connect"); !errors.Is(err, server.ErrReservedEvent) {
		t.Errorf("reserved: %v", err)
	}
	p.HangUp()
	if err := await(t, errs); !errors.Is(err, server.ErrDisconnected) {
		t.Errorf("gone: %v", err)
	}
	if err := await(t, errs); errors.Is(err, server.ErrDisconnected) {
		t.Error("the disconnect handler came before what waited")
	}
	if err := s.EmitThen(then, "x"); !errors.Is(err, server.ErrDisconnected) {
		t.Errorf("when it was gone: %v", err)
	}
	if err := context.Cause(s.Context()); !errors.Is(err, server.ErrDisconnected) {
		t.Errorf("the context ended by %v", err)
	}
}

// What many are asked is answered in the turn of the socket whose broadcast it is.
func TestEmitThenOfABroadcast(t *testing.T) {
	done := make(chan error, 1)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("ask", func(s *server.Socket) error {
			err := s.Broadcast().EmitThen(func(list []server.Args, err error) { _ = s.Emit("answers", len(list)) }, "ready?")
			return errors.Join(err, s.Broadcast().Emit("behind"))
		})
	})
	p, _ := join(t, url, "/")
	q, _ := join(t, url, "/")
	p.Send(`42["ask"]`)
	q.Expect(`421["ready?"]`, `42["behind"]`)
	q.Send(`431["yes"]`)
	p.Expect(`42["answers",1]`)
	var partial *adapter.PartialError
	if err := srv.All().Timeout(time.Millisecond).EmitThen(func(_ []server.Args, err error) { done <- err }, "ready?"); err != nil {
		t.Error(err)
	}
	if err := await(t, done); !errors.Is(err, server.ErrTimeout) || !errors.As(err, &partial) || partial.Clients != 2 {
		t.Errorf("in time: %v", err)
	}
	if err := srv.To().EmitThen(func(list []server.Args, err error) { done <- err }, "x"); err != nil {
		t.Error(err)
	}
	if err := await(t, done); err != nil {
		t.Errorf("nobody: %v", err)
	}
}

// A socket that was described is asked as one that is here, and so is all of a namespace.
func TestEmitThenOfADescribedSocket(t *testing.T) {
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	sockets, gone := make(chan *server.Socket, 1), make(chan server.Disconnection, 1)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.OnDisconnect(func(d server.Disconnection) { gone <- d })
			sockets <- s
		})
	})
	p, _ := join(t, url, "/")
	r := await(t, sockets).Describe()
	then := func(a server.Args, err error) {
		var text string
		if err == nil {
			err = a.Scan(&text)
		}
		got <- answer{text, err}
	}
	if err := r.EmitThen(then, "ready?"); err != nil {
		t.Error(err)
	}
	p.Expect(`421["ready?"]`)
	p.Send(`431["yes"]`)
	if a := await(t, got); a.text != "yes" || a.err != nil {
		t.Errorf("the answer is %+v", a)
	}
	if err := r.Timeout(time.Millisecond).EmitThen(then, "ready?"); err != nil {
		t.Error(err)
	}
	if a := await(t, got); !errors.Is(a.err, server.ErrTimeout) {
		t.Errorf("in time: %+v", a)
	}
	p.Expect(`422["ready?"]`)
	if err := r.EmitThen(then, "connect"); !errors.Is(err, server.ErrReservedEvent) {
		t.Errorf("reserved: %v", err)
	}
	if err := srv.EmitThen(func(list []server.Args, err error) { then(append(list, server.Args{})[0], err) }, "ready?"); err != nil {
		t.Error(err)
	}
	p.Expect(`423["ready?"]`)
	p.Send(`433["all"]`)
	if a := await(t, got); a.text != "all" || a.err != nil {
		t.Errorf("the answer of all is %+v", a)
	}
	p.HangUp()
	await(t, gone)
	if err := r.EmitThen(then, "ready?"); err != nil {
		t.Error(err)
	}
	if a := await(t, got); !errors.Is(a.err, server.ErrDisconnected) {
		t.Errorf("gone: %+v", a)
	}
}

// Ask is answered alike by a socket of this server and by one described, on this server or another.
func TestAskOverRedis(t *testing.T) {
	inEveryMode(t, func(t *testing.T, start node) {
		sockets := make(chan *server.Socket, 1)
		_, url, readyA := start(func(io *server.Server) {
			io.OnConnection(func(s *server.Socket) { s.Join("r", "only here"); sockets <- s })
		})
		b, urlB, readyB := start(func(io *server.Server) {
			io.OnConnection(func(s *server.Socket) { s.Join("r"); sockets <- s })
		})
		p, id := join(t, url, "/")
		s := await(t, sockets)
		q, _ := join(t, urlB, "/")
		here := await(t, sockets)
		readyA()
		readyB()
		p.answerAcks(`7`)
		q.answerAcks(`"text"`)
		if n, err := server.Ask[int](t.Context(), s, "n"); n != 7 || err != nil {
			t.Errorf("of the socket: %v, %v", n, err)
		}
		all, err := b.FetchSockets(t.Context())
		if err != nil || len(all) != 2 {
			t.Fatal(all, err)
		}
		for _, r := range all {
			n, err := server.Ask[int](t.Context(), r, "n")
			if (r.ID() == id) != (err == nil && n == 7) {
				t.Errorf("of %s: %v, %v", r.ID(), n, err)
			}
		}
		if text, err := server.Ask[string](t.Context(), here.Timeout(patience), "n"); text != "text" || err != nil {
			t.Errorf("here: %q, %v", text, err)
		}
		answers := make(chan int, 1)
		if err := b.All().EmitThen(func(list []server.Args, err error) {
			if err != nil {
				t.Error(err)
			}
			answers <- len(list)
		}, "n"); err != nil {
			t.Error(err)
		}
		if n := await(t, answers); n != 2 {
			t.Errorf("%d answers", n)
		}
	})
}

// A handler may take all arguments, and answer by itself.
func TestHandlerOfAllArguments(t *testing.T) {
	kept := make(chan server.Args, 2)
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("x", func(all server.Args, ack server.Ack) error {
			kept <- all
			return ack(all.Values()...)
		})
		io.On("y", func(s *server.Socket, all server.Args, first string) string { kept <- all; return first })
	})
	p, _ := join(t, url, "/")
	p.Send(`421["x",1,"a",{"b":null}]`, `422["y","first",2]`)
	p.Expect(`431[1,"a",{"b":null}]`, `432["first"]`)
	if a, b := await(t, kept), await(t, kept); a.Len() != 3 || string(a.Raw(1)) != `"a"` || b.Len() != 2 {
		t.Errorf("%v, %v", a.Values(), b.Values())
	}
}

func TestDataReplaced(t *testing.T) {
	var d server.Data
	_ = d.Set("old", 1)
	if err := d.Replace(map[string]any{"a": 1, "bad": make(chan int)}); err == nil || d.Get("old") != 1 || d.Get("a") != nil {
		t.Errorf("%v, %v", err, d.All())
	}
	if err := d.Replace(map[string]any{"a": 2}); err != nil || d.Get("old") != nil || d.Get("a") != 2 {
		t.Errorf("%v, %v", err, d.All())
	}
	if err := d.Replace(nil); err != nil || len(d.All()) != 0 {
		t.Errorf("%v, %v", err, d.All())
	}
}

func TestASocketDescribesItself(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) {
			s.Join("r")
			_ = s.Data.Set("n", 7)
			sockets <- s
		})
	})
	join(t, url, "/")
	d := await(t, sockets).Describe()
	all, err := srv.FetchSockets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := all[0]
	if d.ID() != r.ID() || !slices.Equal(d.Rooms(), r.Rooms()) || string(d.RawData()) != string(r.RawData()) ||
		d.Handshake().Time != r.Handshake().Time || d.Handshake().URL != r.Handshake().URL {
		t.Errorf("%+v, want %+v", d, r)
	}
}

// A client that does not read is gone when its session has ended by that: one error says so whatever ended it.
func TestBacklogIsAClientThatIsGone(t *testing.T) {
	sockets := make(chan *server.Socket, 1)
	_, url := start(t, server.Config{Transport: transport.Config{MaxBacklogBytes: 1 << 16}}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	p := dialPolling(t, url)
	p.post("40")
	s := await(t, sockets)
	p.get()
	for {
		if err := s.Emit("x", make([]int, 1000)); err != nil {
			if !errors.Is(err, server.ErrDisconnected) || !errors.Is(err, transport.ErrBacklog) {
				t.Errorf("error %v", err)
			}
			return
		}
	}
}

// What waits for answers when the client leaves is called in the order that it was asked in.
func TestEmitThenKeepsItsOrderWhenTheClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		c := servertest.Connect(t, io)
		s := io.Sockets()[0]
		var got, want []int
		for i := range 20 {
			want = append(want, i)
			if err := s.EmitThen(func(_ server.Args, err error) {
				if !errors.Is(err, server.ErrDisconnected) {
					t.Error(err)
				}
				got = append(got, i)
			}, "really?"); err != nil {
				t.Fatal(err)
			}
		}
		c.Cut()
		synctest.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("called in the order %v", got)
		}
	})
}

// Answers to a socket's broadcast come from others: they wait for its handlers within bounds, and do not have it closed.
func TestAnswersToABroadcastsEmitThenCount(t *testing.T) {
	const questions = 40
	let := make(chan struct{})
	inside := make(chan bool, 1)
	type outcome struct {
		answers []server.Args
		err     error
	}
	outcomes := make(chan outcome, questions)
	srv, url := start(t, server.Config{Limits: server.Limits{MaxQueuedBytes: 1 << 20}}, func(io *server.Server) {
		io.On("join", func(s *server.Socket) string {
			s.Join("all")
			return "in"
		})
		io.On("ask", func(s *server.Socket) error {
			return s.To("all").EmitThen(func(list []server.Args, err error) { outcomes <- outcome{list, err} }, "?")
		})
		io.On("hold", func() {
			inside <- true
			<-let
		})
	})
	asks, _ := join(t, url, "/")
	answers, _ := join(t, url, "/")
	answers.Send(`420["join"]`)
	answers.Expect(`430["in"]`)
	for id := range questions {
		asks.Send(`42["ask"]`)
		answers.Expect(fmt.Sprintf(`42%d["?"]`, id+1))
	}
	asks.Send(`42["hold"]`)
	await(t, inside)
	for id := range questions {
		answers.Send(fmt.Sprintf(`43%d["%s"]`, id+1, strings.Repeat("x", 8<<10)))
	}
	answers.Send(`420["join"]`)
	answers.Expect(`430["in"]`) // all are there
	close(let)
	kept := 0
	for range questions {
		x := await(t, outcomes)
		if part := (*adapter.PartialError)(nil); x.err != nil && (!errors.Is(x.err, server.ErrQueueFull) || !errors.As(x.err, &part) || part.Clients != 1) {
			t.Error(x.err)
		}
		kept += len(x.answers)
	}
	if kept == 0 || kept > 22 {
		t.Errorf("%d answers of 8 KiB have waited, where 256 KiB may, of which the questions have 80", kept)
	}
	if n := srv.Stats().QueueFull; n > 0 {
		t.Errorf("%d sessions were closed", n)
	}
	asks.Send(`42["ask"]`)
	answers.Expect(fmt.Sprintf(`42%d["?"]`, questions+1))
	answers.Send(fmt.Sprintf(`43%d["x"]`, questions+1))
	if x := await(t, outcomes); x.err != nil || len(x.answers) != 1 {
		t.Errorf("later: %v, %v", x.answers, x.err)
	}
}

// What a function of EmitThen has is not kept when it has returned, as long as the session may live.
func TestNothingIsKeptOfEmitThen(t *testing.T) {
	const questions = 8
	let := make(chan struct{})
	var kept [questions]weak.Pointer[[64]string]
	done := make(chan bool, questions)
	asked := 0
	_, url := start(t, server.Config{}, func(io *server.Server) {
		io.On("ask", func(s *server.Socket) error {
			x := new([64]string)
			kept[asked] = weak.Make(x)
			asked++
			return s.EmitThen(func(server.Args, error) { done <- x[0] == "" }, "?")
		})
		io.On("hold", func() { <-let })
	})
	p, _ := join(t, url, "/")
	for id := range questions {
		p.Send(`42["ask"]`)
		p.Expect(fmt.Sprintf(`42%d["?"]`, id+1))
	}
	p.Send(`42["hold"]`)
	for id := range questions {
		p.Send(fmt.Sprintf(`43%d["x"]`, id+1))
	}
	close(let)
	for range questions {
		await(t, done)
	}
	eventually(t, "what functions had is kept", func() bool {
		runtime.GC()
		return !slices.ContainsFunc(kept[:], func(x weak.Pointer[[64]string]) bool { return x.Value() != nil })
	})
}

// A client that answers nothing, and has handlers ask, holds no more than so many questions.
func TestQuestionsAreBounded(t *testing.T) {
	const bound, questions = 64, 1000
	var open, full, gone atomic.Int32
	done := make(chan bool, questions)
	ask := func(s *server.Socket, ask func(then func(err error)) error) error {
		open.Add(1)
		return ask(func(err error) {
			open.Add(-1)
			switch {
			case errors.Is(err, server.ErrQueueFull):
				full.Add(1)
			case errors.Is(err, server.ErrDisconnected):
				gone.Add(1)
			default:
				t.Errorf("told %v", err)
			}
			done <- true
		})
	}
	var all server.Broadcast
	_, url := start(t, server.Config{Limits: server.Limits{MaxQuestions: bound}}, func(io *server.Server) {
		all = io.In("everybody")
		io.OnConnection(func(s *server.Socket) { s.Join("everybody") })
		io.On("then", func(s *server.Socket) error {
			return ask(s, func(then func(error)) error { return s.EmitThen(func(_ server.Args, err error) { then(err) }, "?") })
		})
		io.On("func", func(s *server.Socket) error {
			return ask(s, func(then func(error)) error { return s.EmitFunc(func(_ server.Args, err error) { then(err) }, "?") })
		})
		io.On("end", func() string { return "x" })
	})
	p, _ := join(t, url, "/")
	for i := range questions {
		p.Send([]string{`42["then"]`, `42["func"]`}[i%2])
		p.Expect(fmt.Sprintf(`42%d["?"]`, i+1))
	}
	for range questions - bound {
		await(t, done)
	}
	if n := open.Load(); n > bound {
		t.Errorf("%d questions are open", n)
	}
	p.Send(`421["end"]`)
	p.Expect(`431["x"]`)
	told := make(chan error, 2*bound)
	for i := range 2 * bound { // a client that is given up is one that has not answered, and is not waited for
		if err := all.Timeout(patience).EmitThen(func(_ []server.Args, err error) { told <- err }, "?"); err != nil {
			t.Fatal(err)
		}
		p.Expect(fmt.Sprintf(`42%d["?"]`, questions+i+1))
	}
	for range bound {
		if part := (*adapter.PartialError)(nil); !errors.As(await(t, told), &part) || part.Clients != 1 || !errors.Is(part, server.ErrQueueFull) {
			t.Errorf("told %v", part)
		}
	}
	p.HangUp()
	eventually(t, "questions are open whose client has gone", func() bool { return open.Load() == 0 })
	if full.Load() < questions-bound || full.Load()+gone.Load() != questions {
		t.Errorf("%d were given up, %d ended with the socket", full.Load(), gone.Load())
	}
}

// So are those to many: a question beyond what may wait for the socket that asks is refused.
func TestQuestionsToManyAreBounded(t *testing.T) {
	errs := make(chan error, 64)
	_, url := start(t, server.Config{Limits: server.Limits{MaxQueuedBytes: 128 << 10}}, func(io *server.Server) {
		io.On("join", func(s *server.Socket) string {
			s.Join("all")
			return "in"
		})
		io.On("ask", func(s *server.Socket) error {
			err := s.To("all").EmitThen(func([]server.Args, error) {}, "?")
			errs <- err
			return err
		})
	})
	asks, _ := join(t, url, "/")
	silent, _ := join(t, url, "/")
	silent.Send(`420["join"]`)
	silent.Expect(`430["in"]`)
	refused := 0
	for range 32 {
		asks.Send(`42["ask"]`)
		switch err := await(t, errs); {
		case errors.Is(err, server.ErrQueueFull):
			refused++
		case err != nil:
			t.Error(err)
		}
	}
	if refused < 16 || refused == 32 {
		t.Errorf("%d of 32 were refused", refused)
	}
}

// Answers to a question to many wait for the last of them within bounds, whoever asks.
func TestAnswersOfManyAreBounded(t *testing.T) {
	const questions = 40
	io, url := start(t, server.Config{Limits: server.Limits{MaxQueuedBytes: 64 << 10}}, func(io *server.Server) {
		io.OnConnection(func(s *server.Socket) { s.Join("all") })
		io.On("x", func(ack server.Ack) error { return ack() })
	})
	answers, _ := join(t, url, "/")
	silent, _ := join(t, url, "/")
	for _, p := range []*peer{answers, silent} { // both are in the room
		p.Send(`420["x"]`)
		p.Expect(`430[]`)
	}
	full := make(chan error, questions)
	for range questions {
		if err := io.To("all").Timeout(2*time.Second).EmitThen(func(_ []server.Args, err error) { full <- err }, "?"); err != nil {
			t.Fatal(err)
		}
	}
	for id := range questions {
		answers.Expect(fmt.Sprintf(`42%d["?"]`, id+1))
		answers.Send(fmt.Sprintf(`43%d["%s"]`, id+1, strings.Repeat("x", 16<<10)))
	}
	n := 0
	for range questions {
		if err := await(t, full); errors.Is(err, server.ErrQueueFull) {
			n++
		}
	}
	if n < 20 || n == questions {
		t.Errorf("%d of %d answers of 16 KiB were not kept, where 256 KiB may be", n, questions)
	}
	list, err := io.In("all").Timeout(100*time.Millisecond).EmitWithAck(t.Context(), "?")
	if errors.Is(err, server.ErrQueueFull) || len(list) > 0 {
		t.Errorf("later: %v, %v", list, err)
	}
}
