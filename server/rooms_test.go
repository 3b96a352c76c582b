package server_test

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// What happens to the rooms of a server is told in its order, also to one that blocks and one that fails.
func TestRoomEvents(t *testing.T) {
	told := make(chan string, 32)
	let := make(chan bool)
	sockets := make(chan *server.Socket, 1)
	var off func()
	_, url := start(t, server.Config{}, func(io *server.Server) {
		off = io.OnRoom(func(e adapter.RoomEvent) {
			if e.Room == "blocks" && e.Kind == adapter.RoomCreated {
				<-let
			}
			text := e.Kind.String() + " " + e.Room
			if e.Member != nil {
				if _, ok := e.Member.(*server.Socket); !ok {
					t.Errorf("%T has joined", e.Member)
				}
				text += " by " + e.Member.ID()
			}
			told <- text
		})
		io.OnRoom(func(adapter.RoomEvent) { panic("x") })
		io.OnConnection(func(s *server.Socket) { sockets <- s })
	})
	p, id := join(t, url, "/")
	s := await(t, sockets)
	s.Join("blocks", "r")
	s.Leave("blocks")
	let <- true
	p.HangUp()
	for _, want := range []string{
		"create-room " + id, "join-room " + id + " by " + id, "create-room blocks", "join-room blocks by " + id,
		"create-room r", "join-room r by " + id, "leave-room blocks by " + id, "delete-room blocks",
		"leave-room " + id + " by " + id, "delete-room " + id, "leave-room r by " + id, "delete-room r",
	} {
		if got := await(t, told); got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	off()
	join(t, url, "/")
	await(t, sockets).Join("r")
	select {
	case got := <-told:
		t.Errorf("told %q", got)
	default:
	}

}

// The list of rooms is the cluster's, with what is known when a server does not answer.
func TestRoomsOverRedis(t *testing.T) {
	inEveryMode(t, func(t *testing.T, start node) {
		sockets := make(chan *server.Socket, 3)
		on := func(io *server.Server) { io.OnConnection(func(s *server.Socket) { sockets <- s }) }
		a, urlA, readyA := start(on)
		b, urlB, readyB := start(on)
		join(t, urlA, "/")
		await(t, sockets).Join("both", "a")
		join(t, urlA, "/")
		await(t, sockets).Join("both")
		join(t, urlB, "/")
		await(t, sockets).Join("both", "b")
		readyA()
		readyB()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for _, c := range []struct {
			name string
			of   server.Broadcast
			want map[string]int
		}{
			{"all", a.All(), map[string]int{"both": 3, "a": 1, "b": 1}},
			{"all, of the other", b.All(), map[string]int{"both": 3, "a": 1, "b": 1}},
			{"here", a.Local(), map[string]int{"both": 2, "a": 1}},
			{"in a room", b.In("a"), map[string]int{"both": 1, "a": 1}},
			{"nobody", b.To(), map[string]int{}},
			{"nobody here", b.Local().Except("both"), map[string]int{}},
		} {
			got, err := c.of.Timeout(patience).Rooms(ctx)
			if err != nil || !maps.Equal(got, c.want) {
				t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
			}
		}
		if n, err := b.In("a").Count(ctx); n != 1 || err != nil {
			t.Errorf("%d in a, %v", n, err)
		}
	})
}

// A room event that comes when the server stops is told, and what an application registers then harms nothing.
func TestRoomEventsOfAServerThatStops(t *testing.T) {
	var seen record
	srv, url := start(t, server.Config{}, func(io *server.Server) {
		io.OnRoom(func(e adapter.RoomEvent) { seen.add("%v", e.Kind) })
	})
	join(t, url, "/")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	srv.OnRoom(func(adapter.RoomEvent) {})()
	srv.Of("/new").OnRoom(func(adapter.RoomEvent) {})()
	if got := seen.take(); !slices.Equal(got, []string{"create-room", "join-room", "leave-room", "delete-room"}) {
		t.Errorf("told %q", got)
	}
}

// What waits for an fn that takes long is not told any more when it has been taken out.
func TestRoomEventsEndWithOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		called := 0
		off := io.OnRoom(func(adapter.RoomEvent) {
			called++
			time.Sleep(time.Second)
		})
		servertest.Connect(t, io)
		s := io.Sockets()[0]
		for i := range 50 {
			s.Join(strconv.Itoa(i))
		}
		time.Sleep(3500 * time.Millisecond)
		off()
		time.Sleep(time.Hour)
		synctest.Wait()
		if called != 4 {
			t.Errorf("called %d times, four had begun", called)
		}
	})
}
