package host

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/beanpole/beanpole/internal/limit"
	"github.com/beanpole/beanpole/server"
)

// ProbeNamespace is where `beanpole doctor` looks whether what one instance emits reaches the others. It is
// there only with Config.ProbeToken.
const ProbeNamespace = "/beanpole-probe"

var (
	errProbeToken   = errors.New("wrong token")
	errProbeGuesses = errors.New("too many wrong tokens, try again in a minute")
)

// maxProbeGuesses is how many wrong tokens one address may send in a minute.
const maxProbeGuesses = 10

// probeGuard is the middleware of ProbeNamespace.
type probeGuard struct {
	token   []byte
	log     *slog.Logger
	refused limit.Sampler

	mu    sync.Mutex   // so that nobody guesses twice before the first is counted
	wrong *limit.Tally // by address
}

func (g *probeGuard) admit(s *server.Socket) error {
	addr := s.Handshake().Addr()
	err := g.decide(limit.Address(addr), s.Handshake(), time.Now())
	if err == nil {
		return nil
	}
	if leftOut, ok := g.refused.Sample(time.Now()); ok {
		g.log.Warn("probe refused", "client", addr, "err", err, "left_out", leftOut)
	}
	return err
}

func (g *probeGuard) decide(addr string, h server.Handshake, now time.Time) error {
	var auth struct {
		Token string `json:"token"`
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wrong.Count(addr, now) >= maxProbeGuesses {
		return errProbeGuesses
	}
	if err := json.Unmarshal(h.RawAuth(), &auth); err != nil || subtle.ConstantTimeCompare([]byte(auth.Token), g.token) != 1 {
		g.wrong.Add(addr, now)
		return errProbeToken
	}
	return nil
}

// probe sets up ProbeNamespace: "where" answers the instance's name, "join" enters a room, "tell" sends a
// text to a room of all instances.
func (h *Host) probe() {
	if h.cfg.ProbeToken == "" {
		return
	}
	if h.io == nil {
		h.log.Warn("no probe namespace: BEANPOLE_PROBE_TOKEN is for applications of package server")
		return
	}
	nsp := h.io.Static(ProbeNamespace)
	nsp.UseAlways((&probeGuard{
		token: []byte(h.cfg.ProbeToken), log: h.log, wrong: limit.NewTally(maxProbeGuesses, time.Minute),
	}).admit)
	nsp.OnConnection(func(s *server.Socket) {
		s.On("where", func() string { return h.spoke })
		s.On("join", func(room string) bool { s.Join(room); return true })
		s.On("tell", func(room, text string) bool { return nsp.To(room).Emit("told", text) == nil })
	})
}
