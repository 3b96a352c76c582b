package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"time"
)

// opened is the payload of an OPEN packet.
type opened struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int      `json:"pingInterval"` // milliseconds
	PingTimeout  int      `json:"pingTimeout"`  // milliseconds
	MaxPayload   int      `json:"maxPayload"`   // bytes
	cookies      []*http.Cookie
	instance     string
}

// interval is the time between two pings.
func (o *opened) interval() time.Duration { return time.Duration(o.PingInterval) * time.Millisecond }

// silence is how long a connection may be quiet at most.
func (o *opened) silence() time.Duration {
	return time.Duration(o.PingInterval+o.PingTimeout) * time.Millisecond
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
	d    *doctor
	jar  http.CookieJar // nil means a client without
	sid  string
	open opened
}

// handshake opens a polling session.
func (d *doctor) handshake(ctx context.Context, cookies bool) (*session, error) {
	s := &session{d: d}
	if cookies {
		s.jar, _ = cookiejar.New(nil) // never fails
	}
	r, err := d.do(ctx, http.MethodGet, d.target("EIO=4&transport=polling"), nil, s.jar)
	if err != nil {
		return nil, err
	}
	if r.status != http.StatusOK || !bytes.HasPrefix(r.body, []byte("0{")) {
		return nil, errAnswer{r}
	}
	first, _, _ := bytes.Cut(r.body[1:], []byte{0x1e})
	if err := json.Unmarshal(first, &s.open); err != nil || s.open.SID == "" {
		return nil, errAnswer{r}
	}
	s.sid = s.open.SID
	s.open.cookies = (&http.Response{Header: r.header}).Cookies()
	s.open.instance = r.header.Get(instanceHeader)
	return s, nil
}

func (s *session) query() string { return "EIO=4&transport=polling&sid=" + s.sid }

// post sends packets.
func (s *session) post(ctx context.Context, body string) error {
	r, err := s.d.do(ctx, http.MethodPost, s.d.target(s.query()), []byte(body), s.jar)
	if err != nil {
		return err
	}
	if r.status != http.StatusOK {
		return errAnswer{r}
	}
	return nil
}

// poll waits for packets until ctx is done.
func (s *session) poll(ctx context.Context) ([]string, error) {
	r, err := s.d.send(ctx, http.MethodGet, s.d.target(s.query()), nil, s.jar)
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
	ctx, cancel := context.WithTimeout(ctx, s.d.Timeout)
	defer cancel()
	for {
		packets, err := s.poll(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return "", errSilent
			}
			return "", err
		}
		found := ""
		for _, p := range packets {
			switch {
			case found == "" && strings.HasPrefix(p, prefix):
				found = p
			case p == "2":
				if err := s.post(ctx, "3"); err != nil {
					return "", err
				}
			case p == "1":
				return "", errors.New("the server closed the session")
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

// end closes the session. The server hears of it or finds out by itself.
func (s *session) end(ctx context.Context) {
	if s != nil {
		_ = s.post(ctx, "1")
	}
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
	return fmt.Sprint(err)
}
