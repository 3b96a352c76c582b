package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/cookiejar"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/client"
	"github.com/beanpole/beanpole/server/packet"
)

// What a session holds at most, in bytes: of what the server does not read, with and without a connection, and of one answer to a poll.
const (
	maxBuffer  = 1 << 20
	maxMessage = 16 << 20
)

// session is one client of the server.
type session struct {
	r      *run
	room   string // that it joins, "" for none
	entry  *entry
	wires  *wires
	socket *client.Socket

	cut   atomic.Bool // its connection was, and has not ended yet
	ended atomic.Bool // it will not come again

	turn    sync.Mutex // held while an event is emitted
	sending *outgoing  // the event that is, if it is acknowledged
}

// connect begins the n-th session, which was due then. The error is of options that package client does not take.
func (r *run) connect(n int, due time.Time) (*session, error) {
	s := &session{r: r, wires: &wires{reach: r.reach, open: map[*wire]struct{}{}}}
	row := -1
	if r.RoomEvent != "" {
		row = n % max(r.Rooms, 1)
	}
	if r.Rooms > 0 {
		s.room = roomName(row)
	}
	s.entry = r.book.enter(row, row >= 0 && n < max(r.Rooms, 1), due)
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	way := []client.Transport{client.WebSocket}
	switch {
	case r.polls(n):
		way = []client.Transport{client.Polling}
	case r.Upgrade:
		way = nil
	}
	c, err := client.New(r.url.String(), client.Config{Path: r.path, Header: r.Header, Auth: r.auth, Transports: way, Jar: jar,
		RoundTripper: s.wires.transport(r.Insecure), Parser: tap{packet.Text(), s}, MaxBufferBytes: maxBuffer, MaxMessageBytes: maxMessage, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	s.socket = c.Of(r.Namespace)
	s.socket.OnConnect(s.connected)
	s.socket.OnDisconnect(s.disconnected)
	s.socket.OnConnectError(func(err error) {
		if errors.As(err, new(*client.ConnectError)) {
			s.ended.Store(true)
		}
		r.book.count(r.book.refused, s.entry, err)
	})
	if err := s.socket.Open(); err != nil {
		r.book.count(r.book.refused, s.entry, err)
	}
	return s, nil
}

// connected has the session join its room. What follows on that, the book does when the answer comes.
func (s *session) connected() {
	if s.room == "" {
		return
	}
	if err := s.ask(&outgoing{join: true}, s.r.JoinEvent, []any{s.room}); err != nil {
		s.r.book.count(s.r.book.refused, s.entry, fmt.Errorf("join: %w", err))
	}
}

func (s *session) disconnected(why client.Reason, err error) {
	if !s.socket.Connected() { // not again already
		s.r.book.leave(s.entry)
	}
	if why == client.ReasonServer {
		s.ended.Store(true)
	}
	if was := s.cut.Swap(false); was || why == client.ReasonClient {
		return
	}
	s.r.book.count(s.r.book.lost, s.entry, errors.Join(errors.New(string(why)), err))
}

// ask emits an event that is acknowledged.
func (s *session) ask(o *outgoing, event string, args []any) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.sending = o
	return s.socket.EmitFunc(func(_ client.Args, err error) {
		if err != nil {
			s.r.book.failed(s.entry, o)
		}
	}, event, args...)
}

// event sends an event that was due then.
func (s *session) event(due time.Time) {
	o, w, ok := s.r.book.send(s.entry, due)
	if !ok {
		return
	}
	if err := s.ask(o, s.r.Event, s.r.args.fill(s.r.id(w), s.room)); err != nil {
		s.r.book.withdraw(s.entry, o, errors.Is(err, client.ErrClosed))
	}
}

// broadcast has the server send to the room.
func (s *session) broadcast(due time.Time) {
	w := s.r.book.broadcast(s.entry.row, due)
	s.turn.Lock()
	defer s.turn.Unlock()
	if err := s.socket.Emit(s.r.RoomEvent, s.r.roomArgs.fill(s.r.id(w), s.room)...); err != nil {
		s.r.book.withdraw(s.entry, nil, errors.Is(err, client.ErrClosed))
	}
}

// id is what {id} stands for: a word, and what fills it up.
func (r *run) id(w word) []byte {
	b := w.append(make([]byte, 0, r.Size), r.book.prefix)
	return append(b, bytes.Repeat([]byte{'.'}, r.Size-len(b))...)
}

// close ends the session, without waiting for what does not end by itself.
func (s *session) close(ctx context.Context) {
	if s.socket.Client().Close(ctx) != nil {
		s.wires.cut()
	}
}
