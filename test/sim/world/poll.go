package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// errStatus is an answer that refuses.
type errStatus struct {
	code int
	body string
}

func (e *errStatus) Error() string { return fmt.Sprintf("%d %s", e.code, e.body) }

func (e *engine) url() string {
	if e.sid == "" {
		return "http://" + e.addr + e.query("polling")
	}
	return "http://" + e.way() + e.query("polling")
}

// query is the path and the query of a request.
func (e *engine) query(transport string) string {
	q := "/socket.io/?EIO=4&transport=" + transport
	if e.c.old {
		if e.greeting == "" {
			e.greeting = e.c.greeting(0)
		}
		q = "/socket.io/?EIO=3&transport=" + transport + e.c.base64() + "&" + e.greeting
	}
	if e.sid != "" {
		q += "&sid=" + e.sid
	}
	if transport == byPolling {
		q += e.c.jsonp()
	}
	return q
}

// payload is packets as the body of a POST.
func (e *engine) payload(list []frame) string {
	if e.c.old {
		return payload3(list)
	}
	return payload(list)
}

// nothing is an empty body, with which net/http does not repeat a GET whose connection has been cut: what the lost
// answer brought would be missing, and the client would not know.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }

// get is one poll.
func (e *engine) get(ctx context.Context) ([]frame, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url(), nothing{})
	if err != nil {
		return nil, err
	}
	body, err := e.do(req)
	if err != nil {
		return nil, err
	}
	if e.c.jsonp() != "" {
		if body, err = e.c.unwrap(body); err != nil {
			e.c.w.violated("protocol", e.c.name, "a poll by JSONP is answered with %v", err)
			return nil, err
		}
	}
	read := frames
	if e.c.old {
		read = frames3
	}
	list, err := read(body)
	if err != nil {
		e.c.w.violated("protocol", e.c.name, "polling body: %v", err)
	}
	return list, err
}

// post sends a body.
func (e *engine) post(body string) error {
	ctx, cancel := context.WithTimeout(context.Background(), pingInterval+pingTimeout)
	defer cancel()
	kind := "text/plain;charset=UTF-8"
	if e.c.jsonp() != "" {
		kind, body = "application/x-www-form-urlencoded", form(body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url(), strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	answer, err := e.do(req)
	if err == nil && answer != "ok" {
		e.c.w.violated("protocol", e.c.name, "the answer to a POST is %q", answer)
	}
	return err
}

func (e *engine) do(req *http.Request) (string, error) {
	asked := e.c.w.asking(e.c)
	req.Header.Set(askedHeader, asked)
	res, err := e.http.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.Uncompressed {
		e.c.w.count("answers inflated")
	}
	if res.StatusCode != http.StatusOK {
		err := &errStatus{res.StatusCode, string(b)}
		if e.sid != "" {
			e.refused(asked, err)
		}
		return "", err
	}
	return string(b), nil
}

// poll polls until the session ends or is on a WebSocket.
func (e *engine) poll() {
	for {
		e.pace()
		e.mu.Lock()
		if e.err != nil || e.switching || e.conn != nil {
			e.mu.Unlock()
			return
		}
		e.polling = true
		e.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		go func() {
			select {
			case <-e.done:
				cancel()
			case <-ctx.Done():
			}
		}()
		list, err := e.get(ctx)
		cancel()
		for _, f := range list {
			e.packet(f, false)
		}
		e.mu.Lock()
		e.polling = false
		e.cond.Broadcast()
		e.mu.Unlock()
		if err != nil {
			if status, ok := errors.AsType[*errStatus](err); ok {
				e.c.w.note(e.c.name, "poll: %v", status)
			}
			e.end(fmt.Errorf("poll: %w", err))
			return
		}
	}
}
