package load

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Client is one Socket.IO client.
type Client struct {
	number int // the first is 0
	state  clientState
	since  time.Duration // of state; see Swarm.now
	main   *conn         // the WebSocket, or the connection of the polls
	post   *conn         // the connection of the POSTs, once one is needed

	// Of polling.
	sid      string
	expect   request // what main waits for an answer to
	posting  bool    // post waits for an answer
	unposted []byte  // a payload that waits for that

	// Of echo.
	sent     [maxWindow]time.Duration
	next     uint32 // number of the next event
	answered uint32 // number of the next acknowledgement
	half     bool   // the text of a binary acknowledgement has come

	// Of broadcasts.
	stream *stream
	seq    uint32 // last number received

	stalled   bool
	closeSeen bool
}

type clientState uint8

const (
	dialing clientState = iota + 1
	opening             // waits for the OPEN packet
	joining             // waits for the answer to CONNECT
	ready
	closing
	closed
)

type request uint8

const (
	requestHandshake request = iota + 1
	requestPost
	requestPoll
)

// dial starts a new client.
func (s *Swarm) dial() (*Client, error) {
	c := &Client{number: s.dials, state: dialing, since: s.now}
	c.main = &conn{client: c, dialing: true}
	// Eight source addresses, for more connections than one has ports.
	source := [4]byte{127, 0, 0, byte(2 + s.dials%8)}
	s.dials++
	return c, s.poller.dial(c.main, s.addr, source, s.opts.Receive)
}

func (s *Swarm) enter(c *Client, state clientState) { c.state, c.since = state, s.now }

const (
	path    = "/socket.io/?EIO=4&transport="
	headers = " HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: beanpole-load\r\nAccept: */*\r\n"
)

// dialed is called when a connection stands.
func (s *Swarm) dialed(c *conn) {
	switch {
	case c == c.client.post:
		s.postWaiting(c.client)
		return
	case s.opts.Polling:
		c.client.expect = requestHandshake
		s.write(c, []byte("GET "+path+"polling"+headers+"\r\n"))
	default:
		s.write(c, []byte("GET "+path+"websocket"+headers+"Connection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	}
	s.enter(c.client, opening)
}

// packet takes one text packet of the server. Protocol: Packet types.
func (s *Swarm) packet(c *Client, p []byte) {
	if len(p) == 0 {
		s.fault("empty packet")
		return
	}
	switch p[0] {
	case '4':
		switch {
		case c.state == ready:
			s.onText(c, p[1:])
		case c.state == joining && len(p) > 1 && p[1] == '0':
			s.enter(c, ready)
			s.onReady(c)
		case c.state != closing:
			s.fault("packet before CONNECT")
		}
	case '0':
		if s.opts.Polling {
			c.sid = field(p, `"sid":"`)
		}
		s.enter(c, joining)
		if s.opts.Namespaces > 0 {
			s.send(c, fmt.Appendf(nil, "40/n%d,", c.number%s.opts.Namespaces))
		} else {
			s.send(c, []byte("40"))
		}
	case '2':
		s.send(c, []byte("3"))
	case '1', '6':
	default:
		s.fault("packet of unknown type")
	}
}

func (s *Swarm) binary(c *Client, p []byte) {
	if c.state == ready {
		s.onBinary(c, p)
	}
}

// field returns the text between name and the next quote.
func field(p []byte, name string) string {
	_, rest, _ := bytes.Cut(p, []byte(name))
	value, _, _ := bytes.Cut(rest, []byte{'"'})
	return string(value)
}

// send sends one text packet, at the end of the read in progress or with flushAll.
func (s *Swarm) send(c *Client, p []byte) {
	if !s.opts.Polling {
		c.main.batch = appendMasked(c.main.batch, opText, p)
		return
	}
	if c.state == joining {
		// Nothing polls yet, so CONNECT goes the way of the handshake: a session that waits with its GET
		// holds one connection, as one whose browser has closed the other does.
		c.expect = requestPost
		s.write(c.main, appendPost(nil, c.sid, p))
		return
	}
	if len(c.unposted) > 0 {
		c.unposted = append(c.unposted, 0x1e)
	}
	c.unposted = append(c.unposted, p...)
	s.postWaiting(c)
}

// postWaiting sends what waits for a POST, if none is in progress.
func (s *Swarm) postWaiting(c *Client) {
	if c.post == nil {
		c.post = &conn{client: c, dialing: true}
		if err := s.poller.dial(c.post, s.addr, [4]byte{127, 0, 0, 2}, 0); err != nil {
			s.fault("post not dialled")
		}
		return
	}
	if c.post.dialing || c.posting || len(c.unposted) == 0 {
		return
	}
	c.posting = true
	s.write(c.post, appendPost(nil, c.sid, c.unposted))
	c.unposted = c.unposted[:0]
}

func appendPost(dst []byte, sid string, body []byte) []byte {
	dst = append(dst, "POST "+path+"polling&sid="...)
	dst = append(dst, sid...)
	dst = append(dst, headers+"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...)
}

func (s *Swarm) sendPoll(c *Client) {
	c.expect = requestPoll
	s.write(c.main, []byte("GET "+path+"polling&sid="+c.sid+headers+"\r\n"))
}

// refused is the fault of a client that was asked to come back later.
const refused = "503 with Retry-After"

// response takes the answer to a request of polling.
func (s *Swarm) response(c *conn, status int, head, body []byte) {
	client := c.client
	if status == 503 && indexFold(head, []byte("\r\nretry-after:")) >= 0 {
		s.fault(refused)
		s.lost(c, "refused")
		return
	}
	if status != 200 {
		s.fault("status " + strconv.Itoa(status))
		s.lost(c, "refused")
		return
	}
	if c == client.post {
		client.posting = false
		s.postWaiting(client)
		return
	}
	was := client.expect
	if was == requestPost {
		s.sendPoll(client)
		return
	}
	for len(body) > 0 && c.fd >= 0 {
		p := body
		if i := bytes.IndexByte(body, 0x1e); i >= 0 {
			p, body = body[:i], body[i+1:]
		} else {
			body = nil
		}
		s.packet(client, p)
	}
	if was == requestPoll && c.fd >= 0 && client.state != closing {
		s.sendPoll(client)
	}
}

// flushAll writes what was sent outside a read.
func (s *Swarm) flushAll() {
	for _, c := range s.clients {
		if c.main.fd >= 0 {
			s.flush(c.main)
		}
	}
}

// lost ends the client of a connection that has ended.
func (s *Swarm) lost(c *conn, cause string) {
	client := c.client
	s.drop(client)
	if client.state == closed {
		return
	}
	if client.state != closing && !client.stalled {
		s.fault(cause)
	}
	s.enter(client, closed)
	s.onLost(client)
}

// drop closes the connections of a client.
func (s *Swarm) drop(c *Client) {
	s.poller.close(c.main)
	if c.post != nil {
		s.poller.close(c.post)
	}
}

// Stall makes the first n clients stop reading, for good.
func (s *Swarm) Stall(n int) {
	for _, c := range s.clients[:n] {
		c.stalled = true
		s.poller.want(c.main, 0)
	}
}

// StalledLost returns how many of the clients that have stopped reading the server has let go.
func (s *Swarm) StalledLost() int {
	n := 0
	for _, c := range s.clients {
		if !c.stalled {
			continue
		}
		info, err := unix.GetsockoptTCPInfo(c.main.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || info.State != 1 { // TCP_ESTABLISHED
			n++
		}
	}
	return n
}
