package zishang_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/server/zishang"
)

// The tests of this file are of whose a namespace's name is.

// byFunc makes a parent by a function.
func byFunc(io *socket.Server, fn func(name string, auth any, next func(error, bool))) socket.Namespace {
	return io.Of(socket.ParentNspNameMatchFn(&fn), nil)
}

func allow(name string, _ any, next func(error, bool)) {
	next(nil, strings.HasPrefix(name, "/tenant-"))
}

// unlessToken refuses who has no token.
func unlessToken(s *socket.Socket, next func(*socket.ExtendedError)) {
	if auth, _ := s.Handshake().Auth.(map[string]any); auth["token"] == "t" {
		next(nil)
		return
	}
	next(socket.NewExtendedError("no", nil))
}

// parents are the two kinds.
var parents = map[string]func(*socket.Server) socket.Namespace{
	"function": func(io *socket.Server) socket.Namespace { return byFunc(io, allow) },
	"pattern":  func(io *socket.Server) socket.Namespace { return io.Of(regexp.MustCompile(`^/tenant-\d+$`), nil) },
}

func cleaning(clean bool) *socket.ServerOptions {
	o := socket.DefaultServerOptions()
	o.SetCleanupEmptyChildNamespaces(clean)
	return o
}

func TestNoWayAroundTheMiddlewares(t *testing.T) {
	for kind, parent := range parents {
		for _, clean := range []bool{true, false} {
			t.Run(fmt.Sprint(kind, clean), func(t *testing.T) {
				var made atomic.Int64
				n := start(t, zishang.Config{Options: cleaning(clean)}, func(io *socket.Server) {
					io.Of("/tenant-1", nil).Emit("before the parent")
					_ = io.On("new_namespace", func(...any) { made.Add(1) })
					p := parent(io)
					p.Use(unlessToken)
					_ = p.On("connection", func(args ...any) { echo(args[0].(*socket.Socket)) })
				})
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() {
						p := dial(t, n.url)
						for range 40 {
							for _, name := range []string{"/tenant-1", "/tenant-2"} {
								p.Send("40" + name + ",")
								p.Expect("44" + name + `,{"message":"no"}`)
							}
						}
					})
				}
				wg.Go(func() {
					for range 100 {
						_ = n.io.Of("/tenant-1", nil).Emit("news")
						_ = n.io.Of("/tenant-2", nil).Emit("news")
					}
				})
				wg.Go(func() { // who comes and goes
					p := dial(t, n.url)
					for i := range 40 {
						p.Send(`40/tenant-2,{"token":"t"}`)
						for !strings.HasPrefix(p.Text(), "40/tenant-2,") { // news of the time before
						}
						p.Send(fmt.Sprintf(`42/tenant-2,%d["echo",1]`, i))
						for want := fmt.Sprintf("43/tenant-2,%d[1]", i); p.Text() != want; {
						}
						p.Send("41/tenant-2,")
					}
				})
				wg.Wait()
				if t.Failed() {
					return
				}
				// Those who are let in are reached, whatever was made before.
				p := dial(t, n.url)
				p.Connect("/tenant-1", `{"token":"t"}`)
				_ = n.io.Of("/tenant-1", nil).Emit("all")
				p.Expect(`42/tenant-1,["all"]`)
				p.Send("40/other,")
				p.Expect(`44/other,{"message":"Invalid namespace"}`)
			})
		}
	}
}

// Emitting to names that nobody is in leaves nothing.
func TestEmitLeavesNoNamespace(t *testing.T) {
	for kind, parent := range parents {
		t.Run(kind, func(t *testing.T) {
			n := start(t, zishang.Config{Options: cleaning(true)}, func(io *socket.Server) { parent(io) })
			first := n.io.Of("/tenant-0", nil)
			for i := range 50 {
				_ = n.io.Of(fmt.Sprint("/tenant-", i), nil).Emit("news")
			}
			eventually(t, "all closed", func() bool { return len(n.handler.SocketCounts()) == 1 })
			eventually(t, "all forgotten", func() bool { return n.io.Of("/tenant-0", nil) != first })
			p := dial(t, n.url)
			p.Connect("/tenant-0", "")
			_ = first.Emit("from one that is forgotten")
			p.Expect(`42/tenant-0,["from one that is forgotten"]`)
		})
	}
}

// Names that the application has used before any parent could have them are its own.
func TestOwnNamesStayOwn(t *testing.T) {
	n := start(t, zishang.Config{Options: cleaning(true)}, func(io *socket.Server) {
		onConnection(io.Of("/tenant-1", nil), echo)
		io.Of("/plain", nil)
		byFunc(io, func(_ string, _ any, next func(error, bool)) { next(nil, false) })
		io.Of("/late", nil).Emit("news")
	})
	p := dial(t, n.url)
	p.Connect("/tenant-1", "")
	p.Send(`42/tenant-1,["echo",1]`)
	p.Expect(`42/tenant-1,["echo",1]`)
	p.Send("40/late,")
	p.Expect(`44/late,{"message":"Invalid namespace"}`)
	zishang.Static(n.io, "/late")
	p.Connect("/late", "")
}

// A function may answer whenever it likes, and holds up its own client alone.
func TestFunctionTakesItsTime(t *testing.T) {
	hold := make(chan struct{})
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		p := byFunc(io, func(name string, auth any, next func(error, bool)) {
			if a, _ := auth.(map[string]any); a["wait"] == true {
				go func() { <-hold; next(nil, true); next(nil, false) }()
				return
			}
			next(nil, name == "/tenant-1")
			next(nil, true)
		})
		_ = p.On("connection", func(args ...any) { echo(args[0].(*socket.Socket)) })
	})
	p, q := dial(t, n.url), dial(t, n.url)
	p.Send(`40/tenant-1,{"wait":true}`)
	q.Connect("/tenant-1", "")
	q.Send("40/tenant-2,")
	q.Expect(`44/tenant-2,{"message":"Invalid namespace"}`)
	close(hold)
	if got := p.Text(); !strings.HasPrefix(got, `40/tenant-1,{"sid":`) {
		t.Errorf("got %s", got)
	}
}

func TestFunctionPanics(t *testing.T) {
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		byFunc(io, func(name string, _ any, next func(error, bool)) {
			if name == "/panic" {
				panic("function")
			}
			next(nil, true)
		})
	})
	p := dial(t, n.url)
	p.Send("40/panic,")
	p.Expect(`44/panic,{"message":"internal error"}`)
	p.Connect("/fine", "")
}

// Who comes while the last one leaves is in a namespace that is there.
func TestNobodyIsOrphaned(t *testing.T) {
	n := start(t, zishang.Config{Options: cleaning(true)}, func(io *socket.Server) {
		_ = parents["pattern"](io).On("connection", func(args ...any) { echo(args[0].(*socket.Socket)) })
	})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			p := dial(t, n.url)
			for i := range 50 {
				w := p.Connect("/tenant-1", "")
				if _, ok := n.io.Of("/tenant-1", nil).Sockets().Load(socket.SocketId(w.SID)); !ok {
					t.Error("the socket is not in the namespace of its name")
				}
				_ = n.io.Of("/tenant-1", nil).To(socket.Room(w.SID)).Emit("hello", i)
				p.Expect(fmt.Sprintf(`42/tenant-1,["hello",%d]`, i))
				p.Send("41/tenant-1,")
				if i%10 == 0 {
					time.Sleep(time.Duration(i) * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
}

// Clients that ask for a name while the application makes it wait until new_namespace has been told.
func TestNamesAppearUnderClients(t *testing.T) {
	const many = 100
	n := start(t, zishang.Config{}, func(io *socket.Server) {
		_ = io.On("new_namespace", func(args ...any) {
			nsp := args[0].(socket.Namespace)
			_ = nsp.Emit("from within") // to nobody
			time.Sleep(time.Millisecond)
			onConnection(nsp, echo)
		})
	})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			p := dial(t, n.url)
			for i := range many {
				name := fmt.Sprint("/n", i)
				for {
					p.Send("40" + name + ",")
					if got := p.Text(); strings.HasPrefix(got, "40"+name) {
						break
					} else if got != "44"+name+`,{"message":"Invalid namespace"}` {
						t.Error(got)
						return
					}
				}
				p.Send(fmt.Sprintf(`42%s,1["echo",1]`, name))
				p.Expect(fmt.Sprintf(`43%s,1[1]`, name))
			}
		})
	}
	for i := range many {
		n.io.Of(fmt.Sprint("/n", i), nil)
	}
	wg.Wait()
}
