package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/beanpole/beanpole/server"
)

// maxSockets is how many connections one person may have at a time, on all servers.
const maxSockets = 3

// gate lets people in with a password, and their sockets with the token they got for it.
type gate struct {
	io     *server.Server
	tokens tokens
	people map[string][]byte // bcrypt hashes of passwords, by name
	nobody []byte            // the hash for a name there is not, so that names cannot be told by the time

	mu      sync.Mutex
	expired uint64 // guarded by mu; sockets that were disconnected for it
}

func newGate(io *server.Server, t tokens, passwords map[string]string, cost int) (*gate, error) {
	g := &gate{io: io, tokens: t, people: make(map[string][]byte)}
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
	io.OnConnection(g.connected)
	return g, nil
}

// login answers a token for a name and a password.
func (g *gate) login(w http.ResponseWriter, r *http.Request) {
	var who struct{ Name, Password string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&who); err != nil {
		http.Error(w, "a name and a password are needed", http.StatusBadRequest)
		return
	}
	hash, known := g.people[who.Name]
	if !known {
		hash = g.nobody
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(who.Password)) != nil || !known {
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

// admit is the middleware: a token, and not too many sockets of one person.
func (g *gate) admit(s *server.Socket) error {
	var auth struct{ Token string }
	if err := s.Handshake().Auth(&auth); err != nil {
		return errToken
	}
	name, expires, err := g.tokens.check(auth.Token)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.Context(), 2*time.Second)
	defer cancel()
	if n, err := g.io.To(room(name)).Count(ctx); err == nil && n >= maxSockets {
		return &server.Error{Message: "too many connections", Data: map[string]int{"limit": maxSockets}}
	}
	s.Data.Set("name", name)
	s.Data.Set("expires", expires)
	s.Join(room(name))
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
	name, _ := server.Value[string](&s.Data, "name")
	expires, _ := server.Value[time.Time](&s.Data, "expires")
	end := time.AfterFunc(time.Until(expires), func() {
		g.mu.Lock()
		g.expired++
		g.mu.Unlock()
		_ = s.Emit("expired") // gone is as good
		s.Disconnect(true)    // after which a client does not come back by itself
	})
	s.OnDisconnect(func(string) { end.Stop() })
	s.On("renew", func(token string) (session, error) {
		who, until, err := g.tokens.check(token)
		if err != nil || who != name { // a socket does not change hands
			return session{}, errToken
		}
		if !end.Reset(time.Until(until)) {
			end.Stop()
			return session{}, errToken // too late: it is being disconnected
		}
		s.Data.Set("expires", until)
		return session{who, until}, nil
	})
	s.On("leave everywhere", func() error { return g.io.In(room(name)).DisconnectSockets(true) })
	_ = s.Emit("welcome", session{name, expires})
}
