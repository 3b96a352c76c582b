package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// pollRequest is what is made for a request, in one.
type pollRequest struct {
	writer  pollWriter
	context pollContext
	body    pollBody
}

// pollContext is the context of a request: it ends when the handler returns.
type pollContext struct {
	context.Context // of the connection

	mu   sync.Mutex
	done chan struct{} // guarded by mu; nil until somebody asks
	over bool          // guarded by mu
}

// Done returns a channel that is closed when the handler has returned.
func (x *pollContext) Done() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done == nil {
		x.done = make(chan struct{})
		if x.over {
			close(x.done)
		}
	}
	return x.done
}

// Err returns context.Canceled when the handler has returned.
func (x *pollContext) Err() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return context.Canceled
	}
	return nil
}

func (x *pollContext) cancel() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	if x.done != nil {
		close(x.done)
	}
}

// pollBody is the body of a request.
type pollBody struct {
	stream stream

	mu       sync.Mutex
	early    []byte    // guarded by mu; what has come with the head
	left     int64     // guarded by mu; bytes that the handler has not read, early included
	deadline time.Time // guarded by mu
	in       reading   // of who reads the connection
	reading  bool      // guarded by mu; the connection is being read
	waited   bool      // guarded by mu; it has been
	over     bool      // guarded by mu; the handler has returned
}

// Read reads a part of the body.
func (p *pollBody) Read(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.over:
		return 0, http.ErrBodyReadAfterClose
	case p.left == 0:
		return 0, io.EOF
	case len(b) == 0:
		return 0, nil
	}
	b = b[:min(int64(len(b)), p.left)]
	if len(p.early) > 0 {
		n = copy(b, p.early)
		p.early = p.early[n:]
	} else {
		if p.reading {
			return 0, io.ErrNoProgress // two at a time
		}
		p.reading, p.waited = true, true
		p.stream.setReadDeadline(p.deadline)
		p.mu.Unlock()
		n, err = readTo(p.stream, &p.in, b)
		p.mu.Lock()
		p.reading = false
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
	}
	p.left -= int64(n)
	return n, err
}

// maxDiscard is how much of a body that the handler has not read is read before the answer, as in net/http.
const maxDiscard = 256 << 10

// discard reads what is left, or a client that sends all before it reads would wait for ever. It reports whether nothing
// is left. A nil pollBody has nothing.
func (p *pollBody) discard() bool {
	if p == nil {
		return true
	}
	p.mu.Lock()
	left := p.left
	p.mu.Unlock()
	if left >= maxDiscard {
		return false
	}
	_, err := io.Copy(io.Discard, p)
	return err == nil
}

// Close does nothing: what the handler has not read ends the connection.
func (p *pollBody) Close() error { return nil }

func (p *pollBody) setDeadline(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	if p.reading {
		p.stream.setReadDeadline(t)
	}
}

// end reports whether all of the body has been read, and whether the connection has been for that. Nil is no body.
func (p *pollBody) end() (read, waited bool) {
	if p == nil {
		return true, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	return p.left == 0, p.waited
}
