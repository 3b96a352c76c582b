package transport

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// acceptGUID is appended to the client's key. RFC 6455, section 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// checkUpgrade checks the WebSocket handshake of req and answers one that it refuses. RFC 6455, section
// 4.2.1.
func checkUpgrade(req *request) bool {
	h := req.r.Header
	var status int
	var message string
	switch key, err := base64.StdEncoding.DecodeString(h.Get("Sec-WebSocket-Key")); {
	case req.r.Method != http.MethodGet:
		status, message = http.StatusMethodNotAllowed, "Invalid HTTP method"
	case !req.r.ProtoAtLeast(1, 1):
		status, message = http.StatusBadRequest, "HTTP/1.1 required"
	case err != nil || len(key) != 16:
		status, message = http.StatusBadRequest, "Missing or invalid Sec-WebSocket-Key header"
	case h.Get("Sec-WebSocket-Version") != "13":
		req.w.Header().Set("Sec-WebSocket-Version", "13")
		status, message = http.StatusUpgradeRequired, "Missing or invalid Sec-WebSocket-Version header"
	default:
		return true
	}
	writeRefusal(req, status, CodeBadRequest, message)
	return false
}

// A hijacked connection is what is left of a request that became a WebSocket.
type hijacked struct {
	conn    net.Conn
	early   []byte // what the client sent behind the request
	deflate bool
}

// hijack answers req, which checkUpgrade let pass, with 101 followed by frames, and takes the connection
// away from net/http: nothing of the request is referred to afterwards. initial says that this is the
// session's first answer.
func (s *Server) hijack(req *request, initial bool, frames []byte) (*hijacked, error) {
	h := new(hijacked)
	answer := append(s.switching(req, initial, h), frames...) // before the connection is ours: a hook may panic
	conn, rw, err := takeOver(req.w)
	if err != nil {
		if errors.Is(err, http.ErrNotSupported) && req.r.ProtoMajor == 1 && s.notice.News("hijack", time.Now()) {
			s.log.Warn("no client gets a WebSocket, as the http.ResponseWriter of a middleware cannot be hijacked: give it "+
				"Unwrap() http.ResponseWriter, or leave the path of Socket.IO out of the middleware, as http.TimeoutHandler must",
				"writer", fmt.Sprintf("%T", innermost(req.w)))
		}
		err = fmt.Errorf("hijack: %w", err)
		s.refuse(req, CodeBadRequest, causeNoUpgrade, map[string]any{"name": "TRANSPORT_HANDSHAKE_ERROR", "error": err})
		return nil, err
	}
	h.conn, h.early = conn, buffered(rw.Reader)
	_ = conn.SetDeadline(time.Now().Add(s.cfg.WriteTimeout))
	if _, err := conn.Write(answer); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	_ = conn.SetDeadline(time.Time{}) // those of http.Server included
	return h, nil
}

// takeOver takes the connection of w away from net/http.
func takeOver(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
	to := able[http.Hijacker](w)
	if to == nil {
		return nil, nil, http.ErrNotSupported
	}
	return http.NewResponseController(to).Hijack()
}

// innermost returns the writer that w stands on, as far as it unwraps.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}

// buffered returns a copy of what r has read and not given out.
func buffered(r *bufio.Reader) []byte {
	b, _ := r.Peek(r.Buffered())
	return bytes.Clone(b)
}

// switching returns the answer 101. It carries the headers set on req.w (CORS, and what handlers around
// this one have set) and those of the hooks.
func (s *Server) switching(req *request, initial bool, h *hijacked) []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	sum := sha1.Sum([]byte(req.r.Header.Get("Sec-WebSocket-Key") + acceptGUID))
	b.WriteString(base64.StdEncoding.EncodeToString(sum[:]))
	b.WriteString("\r\n")
	// Node's ws takes the first subprotocol offered.
	protocol, _, _ := strings.Cut(req.r.Header.Get("Sec-WebSocket-Protocol"), ",")
	if protocol = strings.TrimSpace(protocol); protocol != "" {
		b.WriteString("Sec-WebSocket-Protocol: " + protocol + "\r\n")
	}
	if s.cfg.PerMessageDeflate != nil {
		var answer string
		if answer, h.deflate = negotiateDeflate(req.r.Header); h.deflate {
			b.WriteString("Sec-WebSocket-Extensions: " + answer + "\r\n")
		}
	}
	headers := req.w.Header().Clone()
	s.setHeaders(headers, req.r, initial)
	for _, name := range [...]string{"Upgrade", "Connection", "Sec-Websocket-Accept", "Content-Length", "Transfer-Encoding"} {
		headers.Del(name)
	}
	_ = headers.Write(&b) // which replaces line breaks in values
	b.WriteString("\r\n")
	return b.Bytes()
}

// openWebSocket makes the session's transport a WebSocket from the start.
func (s *Session) openWebSocket(req *request) {
	open := appendPacketFrame(nil, form4, 0, enginePacket{kind: kindOpen, data: s.openPacket(WebSocket)})
	var h *hijacked
	var err error
	defer func() {
		if h == nil { // refused, or a hook has panicked
			s.mu.Lock()
			s.end(ReasonTransportError, err)
			s.unlock()
			s.rx.Unlock()
		}
	}()
	if h, err = s.srv.hijack(req, true, open); err != nil {
		return
	}
	s.mu.Lock()
	c := newWSConn(s, newStream(h.conn), h.deflate)
	s.ws = c
	s.srv.wg.Add(1)
	s.mu.Unlock()
	s.srv.counters.packetsOut.Add(1)
	s.srv.counters.bytesOut.Add(uint64(len(open)))
	// Even if Accept panics: only the reader closes the connection.
	defer func() { go c.start(h.early) }()
	s.accept(WebSocket)
}
