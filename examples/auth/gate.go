package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/beanpole/beanpole/server"
)

const (
	maxSockets = 3  // connections that one person may have at a time, on all servers
	maxName    = 64 // bytes
)

// gate lets people in with a password, and their sockets with the token they got for it.
type gate struct {
	io     *server.Server
	from   func(*http.Request) string // whose tries count together: see host.AddrKey
	tokens *tokens
	logins *logins
	people map[string][]byte // bcrypt hashes of passwords, by name
	nobody []byte            // the hash for a name there is not, so that names cannot be told by the time

	mu      sync.Mutex
	expired uint64                         // guarded by mu; sockets that were disconnected for it
	ends    map[*server.Socket]*time.Timer // guarded by mu; of each, when its token ends
}

// What the page is sent, which is in events.ts with what it may send.
var (
	welcome = server.Declare[session]("welcome")
	expired = server.DeclareFunc[func()]("expired")
)

func newGate(io *server.Server, from func(*http.Request) string, t *tokens, passwords map[string]string, cost int) (*gate, error) {
	g := &gate{io: io, from: from, tokens: t, logins: newLogins(), people: make(map[string][]byte),
		ends: make(map[*server.Socket]*time.Timer)}
	var err error
	if g.nobody, err = bcrypt.GenerateFromPassword([]byte("nobody"), cost); err != nil {
		return nil, err
	}
	for name, password := range passwords {
		if g.people[name], err = bcrypt.GenerateFromPassword([]byte(password), cost); err != nil {
			return nil, err
		}
	}
	io.Use(g.admit)
	io.Sends(welcome, expired)
	io.OnConnection(g.connected)
	io.On("renew", g.renew)
	io.On("leave everywhere", func(s *server.Socket) error { return g.leave(name(s), time.Now()) })
	io.OnServerSide("left", func(name string, at time.Time) { g.tokens.end(name, at) })
	return g, nil
}

// adjust has every socket pass the gate, one that is recovered too: its token may have ended meanwhile.
func adjust(c *server.Config) {
	c.Limits.MaxSessionsPerIdentity = cmp.Or(c.Limits.MaxSessionsPerIdentity, maxSockets)
	if c.Recovery != nil {
		c.Recovery.RunMiddlewares = true
	}
}

// login answers a token for a name and a password.
func (g *gate) login(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") != "application/json" {
		// A page of another site can send the rest, and have its visitors guess.
		http.Error(w, "JSON is needed", http.StatusUnsupportedMediaType)
		return
	}
	var who struct {
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&who)
	if err != nil || len(who.Name) > maxName {
		http.Error(w, "a name and a password are needed", http.StatusBadRequest)
		return
	}
	right, err := g.logins.try(r.Context(), g.from(r), who.Name, func() bool {
		hash, known := g.people[who.Name]
		if !known {
			hash = g.nobody
		}
		return bcrypt.CompareHashAndPassword(hash, []byte(who.Password)) == nil && known
	})
	switch {
	case errors.Is(err, errTries):
		refuse(w, err, http.StatusTooManyRequests, window)
		return
	case err != nil:
		refuse(w, err, http.StatusServiceUnavailable, maxQueuedTime)
		return
	case !right:
		http.Error(w, "wrong name or password", http.StatusUnauthorized)
		return
	}
	token, err := g.tokens.issue(who.Name)
	if err != nil {
		http.Error(w, "no token", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]string{"token": token}) // the client is gone otherwise
}

func refuse(w http.ResponseWriter, why error, status int, again time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(again.Seconds())))
	http.Error(w, why.Error(), status)
}

// admit is the middleware: a token, and not too many sockets of one person.
func (g *gate) admit(s *server.Socket) error {
	var auth struct {
		Token string `json:"token"`
	}
	if err := s.Handshake().Auth(&auth); err != nil {
		return errToken
	}
	p, err := g.tokens.check(auth.Token)
	if err != nil {
		return err
	}
	if was, _ := server.Value[string](&s.Data, "name"); s.Recovered() && was != p.name {
		return errToken // what was missed is for another
	}
	ctx, cancel := context.WithTimeout(s.Context(), 2*time.Second)
	defer cancel()
	if n, err := g.io.To(room(p.name)).Count(ctx); err == nil && n >= maxSockets {
		return &server.Error{Message: "too many connections", Data: map[string]int{"limit": maxSockets}}
	}
	// Those who come at the same time do not count each other yet. This does, on this server.
	if err := s.SetIdentity(p.name); err != nil {
		return err
	}
	s.Data.Set("name", p.name)
	s.Data.Set("made", p.made)
	s.Data.Set("expires", p.expires)
	s.Join(room(p.name))
	return nil
}

// room is where all sockets of one person are.
func room(name string) string { return "person:" + name }

// session is what the page is told of its own.
type session struct {
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
}

// connected has the socket end with its token, unless a new one comes in time.
func (g *gate) connected(s *server.Socket) {
	name := name(s)
	made, _ := server.Value[time.Time](&s.Data, "made")
	expires, _ := server.Value[time.Time](&s.Data, "expires")
	if g.tokens.ended(pass{name: name, made: made}) {
		s.Disconnect(true) // between the middleware and here
		return
	}
	end := time.AfterFunc(time.Until(expires), func() {
		g.mu.Lock()
		g.expired++
		g.mu.Unlock()
		_ = s.Emit(expired.Event()) // gone is as good
		s.Disconnect(true)          // after which a client does not come back by itself
	})
	g.mu.Lock()
	g.ends[s] = end
	g.mu.Unlock()
	s.OnDisconnect(func(server.Disconnection) {
		end.Stop()
		g.mu.Lock()
		delete(g.ends, s)
		g.mu.Unlock()
	})
	_ = welcome.Emit(s, session{name, expires})
}

// renew takes a new token for that of the socket.
func (g *gate) renew(s *server.Socket, token string) (session, error) {
	p, err := g.tokens.check(token)
	if err != nil || p.name != name(s) { // a socket does not change hands
		return session{}, errToken
	}
	g.mu.Lock()
	end := g.ends[s]
	g.mu.Unlock()
	if end == nil || !end.Reset(time.Until(p.expires)) {
		if end != nil {
			end.Stop()
		}
		return session{}, errToken // too late: it is being disconnected
	}
	s.Data.Set("expires", p.expires)
	return session{p.name, p.expires}, nil
}

func name(s *server.Socket) string {
	v, _ := server.Value[string](&s.Data, "name")
	return v
}

// leave ends the tokens of a person and its sockets on every server. The tokens come first: a socket that is
// on its way in, or that comes back from where it was, is then refused.
func (g *gate) leave(name string, at time.Time) error {
	g.tokens.end(name, at)
	return errors.Join(g.io.ServerSideEmit("left", name, at), g.io.In(room(name)).DisconnectSockets(true))
}
