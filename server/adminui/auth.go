package adminui

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	"github.com/beanpole/beanpole/internal/origin"
	"github.com/beanpole/beanpole/server"
)

// credentials is the auth payload of the page.
type credentials struct {
	Username  string `json:"username"`
	Password  string `json:"password"`
	SessionID string `json:"sessionId"`
}

// authenticate is the middleware of the namespace, for recovered sockets as for others.
func (u *UI) authenticate(s *server.Socket) error {
	if u.queue.isClosed() {
		return errCredentials
	}
	if u.foreign(s) {
		if leftOut, ok := u.refused.Sample(time.Now()); ok {
			h := s.Handshake().Header()
			u.log.Warn("a page of another origin is refused the admin namespace: if it is the administrator's, list its origin "+
				"(AllowedOrigins, BEANPOLE_ADMIN_UI_ALLOWED_ORIGINS), or have a trusted proxy tell the scheme",
				"client", s.Handshake().Addr(), "origin", h.Get("Origin"), "host", h.Get("Host"), "left_out", leftOut)
		}
		return errPage
	}
	if u.cfg.NoAuth {
		return nil
	}
	var c credentials
	if err := json.Unmarshal(s.Handshake().RawAuth(), &c); err != nil {
		return errCredentials
	}
	if _, ok := u.sessionEnd(c.SessionID, time.Now()); ok {
		return nil
	}
	if c.Username == "" && c.Password == "" {
		return errCredentials // the page has only tried its old session
	}
	err := u.logins.check(s.Context(), s.Handshake().Addr(), &c)
	if err == nil || s.Context().Err() != nil {
		return err
	}
	if leftOut, ok := u.refused.Sample(time.Now()); ok {
		u.log.Warn("login to the admin page refused", "client", s.Handshake().Addr(), "err", err, "left_out", leftOut)
	}
	return err
}

// foreign reports whether the socket is that of a page which may not connect: neither the server's own nor listed.
func (u *UI) foreign(s *server.Socket) bool {
	if !s.Handshake().OfOthers() {
		return false
	}
	page := origin.Parse(s.Handshake().Header().Get("Origin"))
	return !slices.ContainsFunc(u.pages, func(p origin.Pattern) bool { return p.Matches(page) })
}

// admit gives a page that has logged in with its password a session, and ends the socket with the session.
// It reports false for one whose session has ended since the middleware, or that has passed none.
func (u *UI) admit(s *server.Socket) bool {
	if u.foreign(s) {
		return false
	}
	if u.cfg.NoAuth {
		return true
	}
	var c credentials
	if err := json.Unmarshal(s.Handshake().RawAuth(), &c); err != nil {
		return false
	}
	now := time.Now()
	end, ok := u.sessionEnd(c.SessionID, now)
	if !ok {
		if !u.logins.knows(&c) {
			return false
		}
		var id string
		id, end = u.newSession(now)
		_ = s.Emit("session", id) // gone is as good
	}
	timer := time.AfterFunc(end.Sub(now), func() { s.Disconnect(false) })
	s.OnDisconnect(func(server.Disconnection) { timer.Stop() })
	return true
}

// newSession returns a session and when it ends.
func (u *UI) newSession(now time.Time) (id string, end time.Time) {
	end = now.Add(u.cfg.SessionTTL).Truncate(time.Second)
	b := make([]byte, 24)
	binary.BigEndian.PutUint64(b, uint64(end.Unix()))
	_, _ = rand.Read(b[8:]) // never fails (crypto/rand since Go 1.24)
	return base64.RawURLEncoding.EncodeToString(u.sign(b)), end
}

// sessionEnd returns when the session ends, if id is one that has not: its end, 16 random bytes and their
// signature.
func (u *UI) sessionEnd(id string, now time.Time) (end time.Time, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || len(b) != 24+sha256.Size || !hmac.Equal(u.sign(b[:24:24]), b) {
		return time.Time{}, false
	}
	end = time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
	return end, now.Before(end)
}

// sign appends the signature of b.
func (u *UI) sign(b []byte) []byte {
	h := hmac.New(sha256.New, u.key)
	_, _ = h.Write(b) // never fails
	return h.Sum(b)
}

// sessionKey is the same on every server that has the same credentials, and another when they change.
func sessionKey(cfg Config) []byte {
	h := hmac.New(sha256.New, []byte(cfg.PasswordHash))
	_, _ = h.Write([]byte("beanpole admin session\x00" + cfg.Username)) // never fails
	return h.Sum(nil)
}
