package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/packet"
)

var tenants = regexp.MustCompile(`^/tenant-\d+$`)

// reject is a middleware that lets nobody in.
func reject(*server.Socket) error { return errors.New("rejected") }

// answers returns what the client of a new session is answered when it connects to the namespace.
func answer(t *testing.T, url, nsp, auth string) string {
	t.Helper()
	p := dial(t, url)
	defer p.HangUp()
	p.Send("40" + nsp + "," + auth)
	return strings.TrimPrefix(strings.TrimPrefix(p.Text(), "4"), "0"+nsp+",")
}

const (
	rejected = `4/tenant-5,{"message":"rejected"}`
	invalid  = `4/tenant-5,{"message":"Invalid namespace"}`
)

func wantAnswer(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("answer to CONNECT is %s, want %s", got, want)
	}
}

func wantIn(t *testing.T, got string) {
	t.Helper()
	if !strings.HasPrefix(got, `{"sid":`) {
		t.Errorf("answer to CONNECT is %s, want to be let in", got)
	}
}

// onlyMain waits until no namespace but "/" is left.
func onlyMain(t *testing.T, io *server.Server) {
	t.Helper()
	eventually(t, "all namespaces but / closed", func() bool { return len(io.Namespaces()) == 1 })
}

// Whatever the server has done with a name of a pattern, its clients pass the pattern's middlewares.
func TestPatternGuardsItsNamesWhateverTheServerDid(t *testing.T) {
	for name, use := range map[string]func(*server.Server){
		"nothing":   func(*server.Server) {},
		"of":        func(io *server.Server) { io.Of("/tenant-5") },
		"emit":      func(io *server.Server) { _ = io.Of("tenant-5").Emit("news") },
		"adapter":   func(io *server.Server) { io.Of("/tenant-5").Adapter() },
		"emit room": func(io *server.Server) { _ = io.Of("/tenant-5").To("a").Emit("news") },
		"count":     func(io *server.Server) { _, _ = io.Of("/tenant-5").Count(context.Background()) },
		"join":      func(io *server.Server) { _ = io.Of("/tenant-5").SocketsJoin("a") },
		"use":       func(io *server.Server) { io.Of("/tenant-5").Use(func(*server.Socket) error { return nil }) },
		"on":        func(io *server.Server) { io.Of("/tenant-5").On("x", func() {}) },
		"server side": func(io *server.Server) {
			io.Of("/tenant-5").OnServerSide("x", func() {})
			_ = io.Of("/tenant-5").ServerSideEmit("y")
		},
		"of before the pattern, and emit": nil,
	} {
		t.Run(name, func(t *testing.T) {
			io, url := start(t, server.Config{}, func(io *server.Server) {
				if use == nil {
					_ = io.Of("/tenant-5").Emit("news")
				}
				io.OnNamespace(func(n *server.Namespace) { n.On("hook", func() {}) })
				io.OfPattern(tenants).Use(reject)
			})
			for range 2 { // the second finds what the first has left
				if use != nil {
					use(io)
				}
				wantAnswer(t, answer(t, url, "/tenant-5", ""), rejected)
			}
		})
	}
}

func TestHandlersOfAPatternServeWhatTheServerOpened(t *testing.T) {
	io, url := start(t, server.Config{}, func(io *server.Server) {
		d := io.OfPattern(tenants)
		d.OnConnection(func(s *server.Socket) { _ = s.Emit("welcome") })
		d.On("where", func(s *server.Socket) string { return s.Namespace().Name() })
		io.Of("/tenant-5").On("own", func() string { return "own" })
	})
	tenant := io.Of("/tenant-5")
	_ = tenant.Emit("news")
	p, _ := join(t, url, "/tenant-5")
	p.Expect(`42/tenant-5,["welcome"]`)
	p.Send(`42/tenant-5,1["where"]`, `42/tenant-5,2["own"]`)
	p.Expect(`43/tenant-5,1["/tenant-5"]`, `43/tenant-5,2["own"]`)
	_ = tenant.Emit("news")
	p.Expect(`42/tenant-5,["news"]`)
	if n := tenant.LocalCount(); n != 1 || len(tenant.Sockets()) != 1 {
		t.Errorf("%d sockets", n)
	}
	p.HangUp()
	eventually(t, "it is empty", func() bool { return tenant.LocalCount() == 0 })
	if n := len(io.Namespaces()); n != 2 {
		t.Errorf("%d namespaces; one with handlers of its own stays", n)
	}
}

func TestEmitsToNamesThatNobodyIsInLeaveNothing(t *testing.T) {
	for _, cfg := range []server.Config{{}, {KeepEmptyNamespaces: true}, {Recovery: &server.Recovery{}}} {
		io, _ := start(t, cfg, func(io *server.Server) {
			io.OfPattern(tenants)
			io.OfFunc(func(context.Context, string, json.RawMessage) bool { return true })
			io.OnNamespace(func(n *server.Namespace) {
				n.Use(func(*server.Socket) error { return nil })
				n.On("x", func() {})
			})
		})
		for i := range 300 {
			if err := io.Of(fmt.Sprintf("/tenant-%d", i)).Emit("news"); err != nil {
				t.Fatal(err)
			}
			if err := io.Of(fmt.Sprintf("/of-a-function-%d", i)).To("room").Emit("news"); err != nil {
				t.Fatal(err)
			}
		}
		onlyMain(t, io)
	}
}

// A handle of a namespace that has closed is one of the namespace that has its name.
func TestHandleOutlivesItsNamespace(t *testing.T) {
	handles := make(chan *server.Namespace, 4)
	io, url := start(t, server.Config{}, func(io *server.Server) {
		io.OfPattern(tenants).OnConnection(func(s *server.Socket) { handles <- s.Namespace() })
	})
	p, _ := join(t, url, "/tenant-5")
	old := await(t, handles)
	p.HangUp()
	onlyMain(t, io)
	if old.LocalCount() != 0 || old.Sockets() != nil && len(old.Sockets()) > 0 || old.Socket("x") != nil {
		t.Error("somebody is in")
	}
	if len(io.Namespaces()) != 1 {
		t.Error("looking has opened it")
	}
	p, sid := join(t, url, "/tenant-5")
	await(t, handles)
	for _, n := range []*server.Namespace{old, io.Of("/tenant-5")} {
		if err := n.Emit("news"); err != nil {
			t.Error(err)
		}
		p.Expect(`42/tenant-5,["news"]`)
		if count, err := n.Count(t.Context()); count != 1 || err != nil {
			t.Errorf("count %d, %v", count, err)
		}
		if n.Socket(sid) == nil {
			t.Error("the socket is not found")
		}
		if _, err := n.FetchSockets(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Which names are the application's own is decided by what was there first, or by Static.
func TestWhoseANameIs(t *testing.T) {
	pass := func(*server.Socket) error { return nil }
	no := func(context.Context, string, json.RawMessage) bool { return false }
	pattern := func(io *server.Server) { io.OfPattern(tenants).Use(reject) }
	function := func(io *server.Server) { io.OfFunc(no) }
	own := func(io *server.Server) { io.Of("/tenant-5").Use(pass) }
	static := func(io *server.Server) { io.Static("tenant-5") }
	named := func(io *server.Server) { io.Of("/tenant-5") }
	const in = "in"
	for _, test := range []struct {
		name  string
		setup []func(*server.Server)
		want  string
	}{
		{"a name alone", []func(*server.Server){named}, in},
		{"a name and a pattern", []func(*server.Server){named, pattern}, rejected},
		{"a name and a function", []func(*server.Server){named, function}, invalid},
		{"own, then a pattern", []func(*server.Server){own, pattern}, in},
		{"own, then a function", []func(*server.Server){own, function}, in},
		{"a pattern, then own", []func(*server.Server){pattern, own}, rejected},
		{"a function, then own", []func(*server.Server){function, own}, invalid},
		{"a pattern, then static", []func(*server.Server){pattern, static}, in},
		{"a pattern, own, then static", []func(*server.Server){pattern, own, static}, in},
		{"a function, then static", []func(*server.Server){function, static}, in},
		{"a function and another's pattern, own", []func(*server.Server){func(io *server.Server) {
			io.OfPattern(regexp.MustCompile("^/other$"))
		}, own, function}, in},
		{"a pattern whose child is open, then static", []func(*server.Server){func(io *server.Server) {
			io.OfPattern(tenants).Use(reject)
			_ = io.Of("/tenant-5").Emit("news")
		}, static}, in},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, url := start(t, server.Config{}, func(io *server.Server) {
				for _, do := range test.setup {
					do(io)
				}
			})
			for range 2 {
				got := answer(t, url, "/tenant-5", "")
				if test.want == in {
					wantIn(t, got)
				} else {
					wantAnswer(t, got, test.want)
				}
			}
		})
	}
}

// Every client is asked for by the function, those of a namespace that is open too, and passes the middlewares
// of whoever has let it in.
func TestEachClientPassesWhoLetsItIn(t *testing.T) {
	passed := make(chan string, 8)
	by := func(d *server.Dynamic, who string) {
		d.Use(func(*server.Socket) error { passed <- who; return nil })
		d.On("who", func() string { return who })
	}
	var named, other *server.Dynamic
	io, url := start(t, server.Config{}, func(io *server.Server) {
		named = io.OfFunc(func(_ context.Context, _ string, auth json.RawMessage) bool { return string(auth) == `{"token":1}` })
		other = io.OfFunc(func(_ context.Context, _ string, auth json.RawMessage) bool { return string(auth) == `{"guest":1}` })
		by(named, "named")
		by(other, "guest")
		io.Of("/tenant-5").OnConnection(func(*server.Socket) { passed <- "own" })
	})
	_ = io.Of("/tenant-5").Emit("news")
	for range 2 {
		wantAnswer(t, answer(t, url, "/tenant-5", ""), invalid)
		for auth, who := range map[string]string{`{"token":1}`: "named", `{"guest":1}`: "guest"} {
			p := dial(t, url)
			p.Connect("/tenant-5", auth)
			p.Send(`42/tenant-5,1["who"]`)
			p.Expect(`43/tenant-5,1["` + who + `"]`)
			if got := []string{await(t, passed), await(t, passed)}; !slices.Equal(got, []string{who, "own"}) {
				t.Errorf("%s passed %q", auth, got)
			}
			_ = io.Of("/tenant-5").Emit("all")
			p.Expect(`42/tenant-5,["all"]`)
		}
	}
	for _, d := range []*server.Dynamic{named, other} {
		if c := d.Children(); len(c) != 1 || c[0].Name() != "/tenant-5" || c[0].LocalCount() != 4 {
			t.Errorf("children %v", c)
		}
	}
}

func TestFunctionThatPanicsLetsNobodyIn(t *testing.T) {
	io, url := start(t, server.Config{}, func(io *server.Server) {
		io.OfFunc(func(context.Context, string, json.RawMessage) bool { panic("broken") }).Use(reject)
		io.OfPattern(tenants) // is not asked: the function might have let the client in, and rejected it
	})
	wantAnswer(t, answer(t, url, "/tenant-5", ""), `4/tenant-5,{"message":"internal error"}`)
	if io.Stats().Panics != 1 {
		t.Error("the panic is not counted")
	}
}

// A client that connects while OnNamespace hooks run waits for them, and nobody else does.
func TestHooksRunBeforeAnybodyIsIn(t *testing.T) {
	hooks, hold := make(chan string, 4), make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release()
	io, url := start(t, server.Config{}, func(io *server.Server) {
		io.OfPattern(tenants)
		io.Of("/other").On("quick", func() string { return "quick" })
		io.OnNamespace(func(n *server.Namespace) {
			hooks <- n.Name()
			<-hold
			n.Use(reject)
		})
	})
	p, gone := dial(t, url), dial(t, url)
	p.Send("40/tenant-5,")
	await(t, hooks)
	gone.Send("40/tenant-5,")
	p.Connect("/other", "")
	p.Send(`42/other,1["quick"]`)
	p.Expect(`43/other,1["quick"]`)
	if n := len(io.Namespaces()); n != 2 {
		t.Errorf("%d namespaces are open", n)
	}
	gone.HangUp() // its wait ends, or its session would not
	eventually(t, "the session that waited ended", func() bool { return io.Engine().Sessions() == 1 })
	emitted := make(chan error)
	go func() { emitted <- io.Of("/tenant-5").Emit("news") }()
	release()
	p.Expect(`44/tenant-5,{"message":"rejected"}`)
	if err := await(t, emitted); err != nil {
		t.Error(err)
	}
	wantAnswer(t, answer(t, url, "/tenant-5", ""), rejected)
}

// A hook may use the namespace that is being made, by Of too.
func TestHookMayUseItsNamespace(t *testing.T) {
	io, url := start(t, server.Config{}, func(io *server.Server) {
		io.OfPattern(tenants)
		io.OnNamespace(func(n *server.Namespace) {
			if n.Name() == "/made-by-a-hook" {
				return
			}
			io.Of(n.Name()).On("who", func() string { return "hook" })
			_ = io.Of(n.Name()).Emit("news")
			_ = n.Emit("news")
			if n.Adapter() == nil || n.LocalCount() != 0 {
				t.Error("it has no adapter")
			}
			io.Of("/made-by-a-hook")
		})
	})
	for _, name := range []string{"/tenant-5", "/own"} {
		io.Of(name)
		p, _ := join(t, url, name)
		p.Send(`42` + name + `,1["who"]`)
		p.Expect(`43` + name + `,1["hook"]`)
	}
}

// What fails while a namespace is being made fails that making, and nothing else.
func TestFailedMakingsLeaveNothing(t *testing.T) {
	var broken atomic.Bool
	var closed atomic.Int32
	fail := func(where, kind string) {
		if !broken.Load() {
			return
		}
		switch kind {
		case where + " panics":
			panic("broken")
		case where + " goes":
			runtime.Goexit()
		}
	}
	for _, kind := range []string{"factory panics", "factory fails", "factory has nothing", "hook panics", "hook goes"} {
		t.Run(kind, func(t *testing.T) {
			closed.Store(0)
			broken.Store(false)
			cfg := server.Config{Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
				fail("factory", kind)
				if broken.Load() && kind == "factory fails" {
					return nil, errors.New("broken")
				}
				if broken.Load() && kind == "factory has nothing" {
					return nil, nil
				}
				a, err := adapter.Memory(nil)(n)
				return closing{a, func() { closed.Add(1) }}, err
			}}
			io, url := start(t, cfg, func(io *server.Server) {
				io.OfPattern(tenants)
				io.OnNamespace(func(n *server.Namespace) { fail("hook", kind) })
			})
			broken.Store(true)
			if kind != "hook goes" {
				wantAnswer(t, answer(t, url, "/tenant-5", ""), `4/tenant-5,{"message":"namespace not available"}`)
				if err := io.Of("/tenant-5").Emit("news"); err == nil {
					t.Error("emit succeeded")
				}
				for name, use := range map[string]func(){
					"Of":     func() { io.Of("/own") },
					"Static": func() { io.Static("/tenant-6") },
					"On":     func() { io.Of("/tenant-5").On("x", func() {}) },
				} {
					func() {
						defer func() {
							if recover() == nil {
								t.Errorf("%s did not panic", name)
							}
						}()
						use()
					}()
				}
			} else {
				done := make(chan struct{})
				go func() { defer close(done); io.Of("/own") }()
				await(t, done)
			}
			if n := len(io.Namespaces()); n != 1 {
				t.Errorf("%d namespaces", n)
			}
			if strings.HasPrefix(kind, "hook") && closed.Load() == 0 {
				t.Error("the adapter was not closed")
			}
			broken.Store(false)
			wantIn(t, answer(t, url, "/tenant-5", ""))
			io.Of("/own")
			wantIn(t, answer(t, url, "/own", ""))
		})
	}
}

// closing is an adapter that tells that it is being closed.
type closing struct {
	adapter.Adapter
	closing func()
}

func (c closing) Close(ctx context.Context) error {
	c.closing()
	return c.Adapter.Close(ctx)
}

// A factory is the application's code, and may use the server.
func TestFactoryRunsUnderNoLock(t *testing.T) {
	var io *server.Server
	cfg := server.Config{Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
		if io != nil {
			io.OnNamespace(func(*server.Namespace) {})
			io.OfPattern(tenants)
			io.Namespaces()
			if err := io.Of(n.Name()).Emit("news"); err == nil {
				t.Error("there is an adapter before it is made")
			}
		}
		return adapter.Memory(nil)(n)
	}}
	io, url := start(t, cfg, func(s *server.Server) { s.OfPattern(tenants) })
	wantIn(t, answer(t, url, "/tenant-5", ""))
	_ = io
}

// Who connects while the adapter is being closed gets a new one when it has been.
func TestConnectWaitsForAnAdapterThatCloses(t *testing.T) {
	began, end := make(chan struct{}, 8), make(chan struct{})
	release := sync.OnceFunc(func() { close(end) })
	defer release()
	var adapters atomic.Int32
	cfg := server.Config{Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
		if n.Name() != "/" && adapters.Add(1) > 1 {
			return nil, errors.New("there is one already")
		}
		a, err := adapter.Memory(nil)(n)
		return closing{a, func() {
			if n.Name() != "/" {
				began <- struct{}{}
				<-end
				adapters.Add(-1)
			}
		}}, err
	}}
	_, url := start(t, cfg, func(io *server.Server) { io.OfPattern(tenants) })
	p, _ := join(t, url, "/tenant-5")
	p.Send("41/tenant-5,")
	await(t, began)
	p.Send("40/tenant-5,")
	p.Connect("/", "") // does not wait
	release()
	if got := p.Text(); !strings.HasPrefix(got, `40/tenant-5,{"sid":`) {
		t.Error(got)
	}
}

// The last client of a namespace recovers like any other, and the namespace closes when none can any more.
func TestRecoveryOfTheLastClientOfANamespace(t *testing.T) {
	recovered := make(chan bool, 4)
	gone := make(chan string, 4)
	recovery := &server.Recovery{}
	recovery.MaxDisconnection = time.Hour
	io, url := start(t, server.Config{Recovery: recovery}, func(io *server.Server) {
		io.OfPattern(tenants).OnConnection(func(s *server.Socket) {
			recovered <- s.Recovered()
			s.OnDisconnect(func(d server.Disconnection) { gone <- string(d.Reason) })
		})
	})
	p := dial(t, url)
	first := p.Connect("/tenant-5", "")
	await(t, recovered)
	_ = io.Of("/tenant-5").Emit("seen")
	seen := offset(t, "42"+strings.TrimPrefix(p.Text(), "42/tenant-5,"))
	p.HangUp()
	await(t, gone)
	_ = io.Of("/tenant-5").Emit("missed")
	q := dial(t, url)
	if again := q.Connect("/tenant-5", `{"pid":"`+first.PID+`","offset":"`+seen+`"}`); again.SID != first.SID || !await(t, recovered) {
		t.Errorf("%v came again as %v", first, again)
	}
	if got := q.Text(); !strings.HasPrefix(got, `42/tenant-5,["missed",`) {
		t.Error(got)
	}
	q.Send("41/tenant-5,") // after which it cannot
	await(t, gone)
	if n := len(io.Namespaces()); n != 2 {
		t.Errorf("%d namespaces", n) // the first session's time has not passed
	}
}

func TestNamespaceClosesWhenNobodyCanRecoverAnyMore(t *testing.T) {
	recovery := &server.Recovery{}
	recovery.MaxDisconnection = 50 * time.Millisecond
	io, url := start(t, server.Config{Recovery: recovery}, func(io *server.Server) { io.OfPattern(tenants) })
	for i := range 5 {
		p, _ := join(t, url, fmt.Sprintf("/tenant-%d", i))
		p.HangUp()
	}
	onlyMain(t, io)
}

func TestPatternsOfEqualTextAreOne(t *testing.T) {
	_, url := start(t, server.Config{}, func(io *server.Server) {
		d := io.OfPattern(regexp.MustCompile(tenants.String()))
		d.Use(reject)
		if io.OfPattern(tenants) != d || io.OfPattern(regexp.MustCompile("^/x$")) == d {
			t.Error("the Dynamic of a pattern is not one")
		}
	})
	wantAnswer(t, answer(t, url, "/tenant-5", ""), rejected)
}

// failing is an adapter whose broadcasts fail when they have been delivered here.
type failing struct {
	adapter.Adapter
	err error
}

func (f failing) Broadcast(m adapter.Message, t adapter.Target) error {
	_ = f.Adapter.Broadcast(m, t)
	return f.err
}

func TestDynamicEmitReachesAllChildren(t *testing.T) {
	errs := map[string]error{"/tenant-1": errors.New("one"), "/tenant-2": errors.New("two")}
	cfg := server.Config{Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
		a, err := adapter.Memory(nil)(n)
		return failing{a, errs[n.Name()]}, err
	}}
	var d *server.Dynamic
	_, url := start(t, cfg, func(io *server.Server) { d = io.OfPattern(tenants) })
	var peers []*peer
	for i := range 4 {
		p, _ := join(t, url, fmt.Sprintf("/tenant-%d", i))
		peers = append(peers, p)
	}
	err := d.Emit("news")
	for _, want := range errs {
		if !errors.Is(err, want) {
			t.Errorf("%v is not in %v", want, err)
		}
	}
	for i, p := range peers {
		p.Expect(fmt.Sprintf(`42/tenant-%d,["news"]`, i))
	}
	if n := len(d.Children()); n != 4 {
		t.Errorf("%d children", n)
	}
	for _, p := range peers {
		p.HangUp()
	}
	eventually(t, "no child is left", func() bool { return len(d.Children()) == 0 })
}

// An event of another server that comes while the namespace is being made is not lost.
func TestServerEventWaitsForTheHooks(t *testing.T) {
	hold, got := make(chan struct{}), make(chan string, 1)
	spaces := make(chan adapter.Namespace, 1)
	cfg := server.Config{Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
		if n.Name() == "/tenant-5" {
			spaces <- n
		}
		return adapter.Memory(nil)(n)
	}}
	_, url := start(t, cfg, func(io *server.Server) {
		io.OfPattern(tenants)
		io.OnNamespace(func(n *server.Namespace) {
			<-hold
			n.OnServerSide("news", func(v string) { got <- v })
		})
	})
	p := dial(t, url)
	p.Send("40/tenant-5,")
	await(t, spaces).ServerEvent(adapter.Message{Data: []byte(`["news","early"]`)}, nil)
	close(hold)
	if v := await(t, got); v != "early" {
		t.Error(v)
	}
}

func TestSecondShutdownWaitsForTheFirst(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	broken := errors.New("broken")
	io, err := server.New(server.Config{Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
		a, err := adapter.Memory(nil)(n)
		return closingErr{closing{a, func() { close(began); <-end }}, broken}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- io.Shutdown(t.Context()) }()
	await(t, began)
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := io.Shutdown(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it did not wait: %v", err)
	}
	go func() { ended <- io.Shutdown(t.Context()) }()
	close(end)
	for range 2 {
		if err := await(t, ended); !errors.Is(err, broken) {
			t.Errorf("shutdown: %v", err)
		}
	}
}

type closingErr struct {
	closing
	err error
}

func (c closingErr) Close(ctx context.Context) error { return errors.Join(c.closing.Close(ctx), c.err) }

// Shutdown closes what is being made, and what is made of it afterwards is an error and no panic.
func TestShutdownClosesWhatIsBeingMade(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	var open atomic.Int32
	io, err := server.New(server.Config{Adapter: func(n adapter.Namespace) (adapter.Adapter, error) {
		if n.Name() == "/late" {
			close(began)
			<-end
		}
		open.Add(1)
		a, err := adapter.Memory(nil)(n)
		return closing{a, func() { open.Add(-1) }}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	io.OfPattern(tenants)
	old := io.Of("/tenant-5")
	_ = old.Emit("news")
	late := make(chan error)
	go func() { late <- io.Of("/late").Emit("news") }()
	await(t, began)
	ended := make(chan error)
	go func() { ended <- io.Shutdown(t.Context()) }()
	eventually(t, "the others are closed", func() bool { return open.Load() == 0 })
	close(end)
	if err := await(t, ended); err != nil {
		t.Error(err)
	}
	if err := await(t, late); !errors.Is(err, server.ErrServerClosed) {
		t.Errorf("emit to it: %v", err)
	}
	if n := open.Load(); n != 0 {
		t.Errorf("%d adapters are left", n)
	}
	for _, n := range []*server.Namespace{old, io.Of("/tenant-6"), io.Of("/new"), io.Static("/newer")} {
		if err := n.Emit("news"); !errors.Is(err, server.ErrServerClosed) {
			t.Errorf("emit after shutdown: %v", err)
		}
		n.On("x", func() {}) // too late to matter
		n.Use(reject)
	}
}

// A name that ends early in packets of text is said to the application, and not to its clients at each CONNECT.
func TestNamesWithCommas(t *testing.T) {
	for _, parser := range []packet.Parser{packet.Text(), packet.MsgPack()} {
		srv, _ := start(t, server.Config{Parser: parser}, func(*server.Server) {})
		for name, make := range map[string]func(string) *server.Namespace{"Of": srv.Of, "Static": srv.Static} {
			said := func() (v any) {
				defer func() { v = recover() }()
				make("/a,b")
				return nil
			}()
			if (said != nil) != (parser == packet.Text()) {
				t.Errorf("%T: %s says %v", parser, name, said)
			}
		}
	}
}
