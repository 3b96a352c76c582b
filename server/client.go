package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beanpole/beanpole/internal/limit"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// closeTimeout bounds what is closed in the background.
const closeTimeout = 10 * time.Second

// client is one session with its sockets, one for each namespace it is in.
type client struct {
	// Set by accept, then read only.
	server  *Server
	session *transport.Session

	// Owned by Receive, which the transport calls for one message at a time.
	decoder packet.Decoder // nil unless a packet waits for its attachments
	bucket  *limit.Bucket  // of events; nil without that limit
	failed  bool           // the client broke the protocol; the rest of what it sent is ignored
	hurried bool           // waiting for the handlers was in vain; see catchUp

	closed     bool          // guarded by mu
	waiting    atomic.Uint32 // of a packet for its attachments, see attachments; set by Receive
	watched    uint32        // guarded by mu; of waiting, what pending is for
	connecting int16         // guarded by mu; CONNECTs in progress
	connects   int16         // guarded by mu; CONNECTs so far, up to unpaced
	load       load          // of the handlers
	questions  atomic.Int32  // that the client has not answered, of all sockets

	mu      sync.Mutex
	lobby   *lobby         // guarded by mu; nil until a CONNECT has to wait
	sockets []*Socket      // guarded by mu; few, so a list
	ready   []*Socket      // guarded by mu; sockets whose queue has work and no runner
	room    [1]*Socket     // guarded by mu; for ready, which seldom has more
	timer   *time.Timer    // guarded by mu; connect timeout, nil once a namespace has been joined
	pending limit.Deadline // guarded by mu; of the attachments that a packet waits for
}

// accept makes the client of a new session. It is the transport's Accept.
func (s *Server) accept(session *transport.Session) transport.Receiver {
	c := s.newClient(session)
	if s.cfg.Wrap == nil {
		return c
	}
	return s.cfg.Wrap(session, c)
}

func (s *Server) newClient(session *transport.Session) *client {
	c := &client{server: s, session: session}
	c.ready = c.room[:0]
	if rate := s.cfg.Limits.EventsPerSecond; rate > 0 {
		b := limit.NewBucket(rate, eventBurst)
		c.bucket = &b
	}
	c.mu.Lock()
	c.timer = time.AfterFunc(s.cfg.ConnectTimeout, c.connectTimeout)
	c.mu.Unlock()
	if session.Protocol() == 3 {
		// A v2 client is in "/" from the start. Protocol 4 of Socket.IO: Connection.
		c.connect("/", nil)
		s.wg.Go(c.Work)
	}
	return c
}

func (c *client) connectTimeout() {
	c.mu.Lock()
	idle := c.timer != nil
	c.mu.Unlock()
	if idle {
		c.session.Close(transport.ReasonForcedServerClose)
	}
}

// Receive takes one message of the session. Protocol: Packet encoding.
func (c *client) Receive(m transport.Message) {
	if c.failed {
		return
	}
	decoder, p, err := c.decode(packet.Message(m))
	if err != nil {
		c.decoder = nil
		c.fail(transport.ReasonForcedClose, c.server.report(c.log(), "message", err)) // socket.io/lib/client.ts, ondata
		return
	}
	if m.Binary || p == nil {
		c.attachments(decoder.Pending())
	}
	if p != nil {
		c.packet(p)
		p.Data, p.Attachments = nil, nil // they lie in the transport's buffer, which the decoder must not keep
		if len(p.Namespace) > maxKeptName {
			p.Namespace = ""
		}
	}
	if c.decoder = nil; decoder.Pending() {
		c.decoder = decoder
	} else {
		c.server.decoders.Put(decoder)
	}
}

// maxKeptName is the length of a namespace's name that a decoder may keep for the next packet.
const maxKeptName = 1 << 10

// takeDecoder returns a decoder for the next packet of some session. Sessions share them, since most of the
// time none of theirs is under way: 140 bytes less for each.
func (s *Server) takeDecoder() packet.Decoder {
	if d, ok := s.decoders.Get().(packet.Decoder); ok {
		return d
	}
	return s.cfg.Parser.NewDecoder(s.cfg.Limits.Limits)
}

// packet takes one complete packet.
func (c *client) packet(p *packet.Packet) {
	name, auth := p.Namespace, json.RawMessage(nil)
	if c.session.Protocol() == 3 {
		name, auth = splitQuery(name)
	} else if p.Type == packet.Connect {
		auth = slices.Clone(p.Data)
	}
	s := c.socket(name)
	if p.Type == packet.Connect && c.server.bounds.events {
		if cause, _ := c.exceeds(nil); cause != "" { // a CONNECT is work, as an event is
			c.failed = true
			c.rateLimited(cause)
			return
		}
	}
	switch {
	case p.Type == packet.Connect && (s == nil || s.state.Load() != stateConnected):
		c.connect(name, auth)
	case p.Type == packet.Disconnect && c.leaveLobby(name):
	case s == nil || p.Type == packet.Connect || p.Type == packet.ConnectError:
		// Node closes the whole client here (socket.io/lib/client.ts, ondecoded), and the session says so first.
		c.fail(transport.ReasonForcedClose, errInvalidState)
	case p.Type == packet.Ack:
		s.onAck(p)
	case p.Type == packet.Disconnect:
		s.leave(Disconnection{Reason: ReasonClientDisconnect})
	default:
		c.event(s, p)
	}
}

// event takes an event for the socket.
func (c *client) event(s *Socket, p *packet.Packet) {
	it := item{kind: itemEvent}
	if c.server.bounds.events {
		var cause string
		if cause, it.owed = c.exceeds(s); cause != "" {
			c.failed = true
			c.rateLimited(cause)
			return
		}
	}
	if s.gone() {
		return // on its way when the server disconnected the socket, or sent by a client that had left
	}
	c.server.stats.eventsIn.Add(1)
	c.catchUp()
	if len(p.Attachments) == 0 && c.load.events.Load() >= unpacked {
		it.packed = pack(p)
	} else {
		it.event = takeEvent(p.Data, cloneLast(p.Attachments))
		it.event.socket = s
		if p.HasID {
			it.event.ack.socket, it.event.ack.id = s, p.ID
		}
	}
	if s.state.Load() == stateConnecting && !c.early(it.size()) {
		c.fail(transport.ReasonForcedServerClose, errTooEarly)
		return
	}
	c.enqueue(s, it)
	if n := s.queue.handler.Load(); n > 0 {
		s.watchConnection(n)
	}
}

// cloneLast copies the last attachment, which refers to the transport's buffer; the others are ours.
func cloneLast(attachments [][]byte) [][]byte {
	if len(attachments) == 0 {
		return nil
	}
	out := slices.Clone(attachments)
	out[len(out)-1] = slices.Clone(out[len(out)-1])
	return out
}

// splitQuery separates the query from a namespace as v2 clients send it ("/admin?token=1"); the query
// becomes the auth payload. Source: socket.io/lib/client.ts, _parseNamespace.
func splitQuery(nsp string) (name string, auth json.RawMessage) {
	name, query, ok := strings.Cut(nsp, "?")
	if !ok {
		return name, nil
	}
	values, _ := url.ParseQuery(query) // what can be parsed counts
	flat := make(map[string]string, len(values))
	for k, v := range values {
		flat[k] = v[len(v)-1]
	}
	auth, _ = json.Marshal(flat) // strings always encode
	return name, auth
}

// socket returns the client's socket in the namespace, connected or not, or nil. A socket that has
// left stays known until the client connects again, so that events which were on their way when the
// server disconnected it are not taken for a breach of the protocol.
func (c *client) socket(nsp string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(nsp)
}

// find is socket with mu held.
func (c *client) find(nsp string) *Socket {
	for _, s := range c.sockets {
		if s.name == nsp {
			return s
		}
	}
	return nil
}

// forget drops a socket that never connected, so that the client may try again.
func (c *client) forget(s *Socket) {
	c.mu.Lock()
	c.sockets = slices.DeleteFunc(c.sockets, func(o *Socket) bool { return o == s })
	c.mu.Unlock()
}

// joined notes that s has joined its namespace: the connect timeout is over.
func (c *client) joined(s *Socket) {
	c.decided(s)
	c.mu.Lock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.mu.Unlock()
}

// enqueue gives a socket something to do, and reports whether nobody does yet: then Work is to be called.
func (c *client) enqueue(s *Socket, it item) (runnable bool) {
	runnable, err := s.queue.push(it, &c.load, &c.server.cfg.Limits)
	if err != nil {
		c.full(err)
		return false
	}
	if runnable {
		c.mu.Lock()
		c.ready = append(c.ready, s)
		c.mu.Unlock()
	}
	return runnable
}

// full closes the session of a client of which too much waits.
func (c *client) full(err error) {
	c.server.stats.queueFull.Add(1)
	c.fail(ReasonQueueFull, err)
}

// Work runs the handlers of all that has been received. Two may run at a time: one waits in a handler,
// another does what other sockets of the session have to do.
func (c *client) Work() {
	for {
		c.mu.Lock()
		c.watchAttachments()
		if len(c.ready) == 0 {
			c.mu.Unlock()
			return
		}
		s := c.ready[0]
		if c.ready = c.ready[1:]; len(c.ready) == 0 {
			c.ready = c.room[:0]
		}
		more := len(c.ready) > 0
		c.mu.Unlock()
		if more {
			// The handler that is about to run may block, and the other sockets must not wait for it.
			c.server.wg.Go(c.Work)
		}
		s.run()
	}
}

// fail closes the session of a client that broke the protocol or a limit.
func (c *client) fail(reason transport.CloseReason, err error) {
	c.failed = true
	c.refusedPacket(reason, err)
}

// refusedPacket is fail for any goroutine.
func (c *client) refusedPacket(reason transport.CloseReason, err error) {
	c.server.stats.refusedPackets.Add(1)
	c.log().Debug("session refused a packet", "reason", string(reason), "err", err)
	c.session.CloseCause(reason, err)
}

// attachments notes that a packet has come, or an attachment, and whether more attachments are waited for. It
// counts, so that one packet's wait is told from the next one's, and from the same with an attachment more.
func (c *client) attachments(waiting bool) {
	n := (c.waiting.Load() | 1) + 1
	if waiting {
		n |= 1
	}
	c.waiting.Store(n)
}

// watchAttachments bounds the time from one attachment of a packet to the next. It is called when a read has
// been worked off, as most attachments come with their packet and need no timer. Called with mu held.
func (c *client) watchAttachments() {
	if n := c.waiting.Load(); n != c.watched {
		c.watched = n
		c.pending.Watch(n&1 == 1 && !c.closed, c.server.cfg.Limits.AttachmentTimeout, func() {
			c.session.CloseCause(transport.ReasonForcedClose, errAttachments)
		})
	}
}

// Closed ends all sockets of the client, once.
func (c *client) Closed(reason transport.CloseReason, cause error) {
	c.end(disconnection(reason, cause))
	c.linger()
	c.mu.Lock()
	work := len(c.ready) > 0
	c.mu.Unlock()
	if work {
		// The application's disconnect handlers may block; the session is over all the same.
		c.server.wg.Go(c.Work)
	}
}

func (c *client) end(why Disconnection) {
	c.mu.Lock()
	c.closed = true
	sockets := slices.Clone(c.sockets)
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	c.pending.Stop()
	c.closeLobby()
	c.mu.Unlock()
	for _, s := range sockets {
		s.leave(why)
	}
}

// disconnect leaves every namespace and closes the session (Node: client._disconnect).
func (c *client) disconnect() {
	c.mu.Lock()
	sockets := slices.Clone(c.sockets)
	waiting := c.shut()
	c.mu.Unlock()
	for _, s := range sockets {
		s.Disconnect(false)
	}
	if len(waiting) == 0 {
		c.closeAnswered()
		return
	}
	c.server.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), discardTimeout)
		defer cancel()
		for _, s := range waiting {
			if e := c.server.names.Try(s.name); e != nil {
				s.discard(ctx, e.Value())
				e.Release()
			}
			s.refuse(ErrDisconnected)
		}
		c.closeAnswered()
	})
}

func (c *client) log() *slog.Logger {
	return c.server.cfg.Logger.With("session", c.session.Num())
}
