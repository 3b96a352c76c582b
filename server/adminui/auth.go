package adminui

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/beanpole/beanpole/server"
)

// errCredentials is the text by which the page knows to ask for the password again.
var errCredentials = errors.New("invalid credentials")

const (
	// maxFailures is how many wrong passwords one address may send in failureWindow.
	maxFailures   = 10
	failureWindow = time.Minute
	// maxAddresses bounds the addresses that are remembered for it. Beyond it nobody may log in.
	maxAddresses = 10_000
)

// credentials is the auth payload of the page.
type credentials struct {
	Username  string `json:"username"`
	Password  string `json:"password"`
	SessionID string `json:"sessionId"`
}

// authenticate is the middleware of the namespace.
func (u *UI) authenticate(s *server.Socket) error {
	if u.queue.isClosed() {
		return errCredentials
	}
	if u.cfg.NoAuth {
		return nil
	}
	var c credentials
	if err := s.Handshake().Auth(&c); err != nil {
		return errCredentials
	}
	if u.validSession(c.SessionID, time.Now()) {
		return nil
	}
	if c.Username == "" && c.Password == "" {
		return errCredentials // the page has only tried its old session
	}
	addr := s.Handshake().Addr()
	if !u.logins.begin(addr, time.Now()) {
		u.log.Warn("too many failed logins to the admin page", "client", addr)
		return errCredentials
	}
	// The password is compared for a wrong name too, so that the time does not tell which was wrong.
	right := bcrypt.CompareHashAndPassword([]byte(u.cfg.PasswordHash), []byte(c.Password)) == nil
	right = subtle.ConstantTimeCompare([]byte(c.Username), []byte(u.cfg.Username)) == 1 && right
	u.logins.end(addr, right)
	if !right {
		u.log.Warn("login to the admin page failed", "client", addr)
		return errCredentials
	}
	return nil
}

// newSession returns a session for a page that has logged in with its password just now, or "".
func (u *UI) newSession(s *server.Socket) string {
	var c credentials
	if u.cfg.NoAuth || s.Recovered() || s.Handshake().Auth(&c) != nil || u.validSession(c.SessionID, time.Now()) {
		return ""
	}
	b := make([]byte, 24)
	binary.BigEndian.PutUint64(b, uint64(time.Now().Add(u.cfg.SessionTTL).Unix()))
	_, _ = rand.Read(b[8:]) // never fails (crypto/rand since Go 1.24)
	return base64.RawURLEncoding.EncodeToString(u.sign(b))
}

// validSession reports whether id is a session that has not ended: when it ends, 16 random bytes and
// their signature.
func (u *UI) validSession(id string, now time.Time) bool {
	b, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || len(b) != 24+sha256.Size || !hmac.Equal(u.sign(b[:24:24]), b) {
		return false
	}
	return now.Unix() < int64(binary.BigEndian.Uint64(b))
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

// logins bounds what guessing passwords can cost. The zero value is ready for use.
type logins struct {
	busy sync.Mutex // one comparison at a time: bcrypt is slow on purpose

	mu    sync.Mutex
	since time.Time      // guarded by mu; when tries was emptied
	tries map[string]int // guarded by mu; by address: those that failed or are not decided
}

// begin reports whether the address may try, and if so waits for its turn, which end ends.
func (l *logins) begin(addr string, now time.Time) bool {
	l.mu.Lock()
	if l.tries == nil || now.Sub(l.since) >= failureWindow {
		l.since, l.tries = now, make(map[string]int)
	}
	may := l.tries[addr] < maxFailures && len(l.tries) < maxAddresses
	if may {
		l.tries[addr]++
	}
	l.mu.Unlock()
	if may {
		l.busy.Lock()
	}
	return may
}

// end ends the address's turn.
func (l *logins) end(addr string, right bool) {
	l.busy.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if right {
		delete(l.tries, addr)
	}
}
