package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// opened is the payload of an OPEN packet.
type opened struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`     // nil without polling
	PingInterval int      `json:"pingInterval"` // milliseconds
	PingTimeout  int      `json:"pingTimeout"`  // milliseconds
	MaxPayload   int      `json:"maxPayload"`   // bytes
	reply        *reply
}

// interval is the time between two pings.
func (o *opened) interval() time.Duration { return time.Duration(o.PingInterval) * time.Millisecond }

// silence is how long a connection may be quiet at most.
func (o *opened) silence() time.Duration {
	return time.Duration(o.PingInterval+o.PingTimeout) * time.Millisecond
}

// patience is silence as a client takes it, which waits for the next ping no longer. What is no such time is a day.
func (o *opened) patience() time.Duration {
	if d := o.silence(); d > 0 && d < 24*time.Hour {
		return d
	}
	return 24 * time.Hour
}

// errAnswer is returned when an answer is not the expected one.
type errAnswer struct{ *reply }

// Error describes the answer.
func (e errAnswer) Error() string { return e.String() }

// errSilent is returned when a packet does not come.
var errSilent = errors.New("no answer in time")

// noNamespace is asked for by checks that want an answer without touching the application.
const noNamespace = "/beanpole-doctor-looks"

// session is a polling session.
type session struct {
	c     *client
	sid   string
	open  opened
	alive time.Time // of a watch: when the next ping has to be there
}

// maxWait bounds how long a run waits for handshakes that are refused for this address.
const maxWait = time.Minute

// handshake opens a polling session. Where this address may have no more sessions for now, it waits.
func (c *client) handshake(ctx context.Context) (*session, error) {
	for {
		s, err := c.tryHandshake(ctx)
		if !c.limit(ctx, err) {
			return s, err
		}
	}
}

// limit reports whether a handshake was refused for this address and is worth another try, after having waited.
func (d *doctor) limit(ctx context.Context, err error) bool {
	var e errAnswer
	if !errors.As(err, &e) || e.status != http.StatusTooManyRequests || e.by() != byApplication {
		return false
	}
	d.limited.Add(1)
	seconds, _ := strconv.Atoi(e.header.Get("Retry-After"))
	wait := min(max(time.Duration(seconds)*time.Second, time.Second), d.Timeout/2)
	if d.waited.Add(int64(wait)) > int64(min(maxWait, 3*d.Timeout)) {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *client) tryHandshake(ctx context.Context) (*session, error) {
	r, err := c.do(ctx, http.MethodGet, c.target("EIO=4&transport=polling"), nil)
	if err != nil {
		return nil, err
	}
	s := &session{c: c}
	s.open.reply = r
	first, _, _ := bytes.Cut(r.body, []byte{0x1e})
	if r.status != http.StatusOK || !bytes.HasPrefix(first, []byte("0{")) || json.Unmarshal(first[1:], &s.open) != nil || s.open.SID == "" {
		return nil, errAnswer{r}
	}
	s.sid = s.open.SID
	if s.open.Upgrades == nil {
		s.open.Upgrades = []string{}
	}
	return s, nil
}

func (s *session) query() string { return "EIO=4&transport=polling&sid=" + s.sid }

// post sends packets.
func (s *session) post(ctx context.Context, body string) error { return s.by(ctx, s.c, body) }

// by sends packets as another client.
func (s *session) by(ctx context.Context, c *client, body string) error {
	r, err := c.do(ctx, http.MethodPost, c.target(s.query()), []byte(body))
	if err == nil && r.status != http.StatusOK {
		err = errAnswer{r}
	}
	return err
}

// poll waits for packets until ctx is done.
func (s *session) poll(ctx context.Context) ([]string, error) {
	r, err := s.c.insist(ctx, func() (*reply, error) {
		return s.c.send(ctx, http.MethodGet, s.c.target(s.query()), nil)
	})
	if err != nil {
		return nil, err
	}
	if r.status != http.StatusOK {
		return nil, errAnswer{r}
	}
	return strings.Split(string(r.body), "\x1e"), nil
}

// expect polls until a packet begins with prefix.
func (s *session) expect(ctx context.Context, prefix string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	for {
		packets, err := s.poll(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return "", errSilent
			}
			return "", err
		}
		found, pinged := "", false
		for _, p := range packets {
			switch {
			case found == "" && strings.HasPrefix(p, prefix):
				found = p
			case p == "2":
				pinged = true
			case p == "1":
				return "", errClosed
			}
		}
		if pinged {
			if err := s.post(ctx, "3"); err != nil {
				return "", err
			}
		}
		if found != "" {
			return found, nil
		}
	}
}

// echo sends a CONNECT that is refused and waits for the refusal: once there and back.
func (s *session) echo(ctx context.Context) error {
	if err := s.post(ctx, "40"+noNamespace+","); err != nil {
		return err
	}
	_, err := s.expect(ctx, "44"+noNamespace)
	return err
}

// end closes the session, after an interruption too. The server hears of it or finds out by itself.
func (s *session) end(ctx context.Context) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(s.c.Timeout, 2*time.Second))
	defer cancel()
	_ = s.post(ctx, "1")
}

// connect is the CONNECT packet for a namespace.
func connect(namespace, auth string) string {
	if namespace == "/" {
		return "40" + auth
	}
	return "40" + namespace + "," + auth
}

// unknown reports whether err says that the session is not known where the request went.
func unknown(err error) bool {
	var e errAnswer
	return errors.As(err, &e) && e.code() == 1
}

// say is a short text of an error for the table.
func say(err error) string {
	var e errAnswer
	if errors.As(err, &e) {
		return e.String()
	}
	if asked := new(url.Error); errors.As(err, &asked) {
		if asked.Timeout() {
			return errSilent.Error()
		}
		err = asked.Err // without the address, which the report has
	}
	return fmt.Sprint(err)
}

// about is a duration as one speaks of it.
func about(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
