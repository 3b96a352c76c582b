package host

import (
	"crypto/subtle"
	"errors"

	"github.com/beanpole/beanpole/server"
)

// ProbeNamespace is where `beanpole doctor` looks whether what one instance emits reaches the others. It is
// there only with Config.ProbeToken.
const ProbeNamespace = "/beanpole-probe"

var errProbeToken = errors.New("wrong token")

// probe sets up ProbeNamespace: "where" answers the instance's name, "join" enters a room, "tell" sends a
// text to a room of all instances.
func (h *Host) probe() {
	token := []byte(h.cfg.ProbeToken)
	if len(token) == 0 {
		return
	}
	if h.io == nil {
		h.log.Warn("no probe namespace: BEANPOLE_PROBE_TOKEN is for applications of package server")
		return
	}
	nsp := h.io.Of(ProbeNamespace)
	nsp.UseAlways(func(s *server.Socket) error {
		var auth struct {
			Token string `json:"token"`
		}
		if err := s.Handshake().Auth(&auth); err != nil || subtle.ConstantTimeCompare([]byte(auth.Token), token) != 1 {
			return errProbeToken
		}
		return nil
	})
	nsp.OnConnection(func(s *server.Socket) {
		s.On("where", func() string { return h.spoke })
		s.On("join", func(room string) bool { s.Join(room); return true })
		s.On("tell", func(room, text string) bool { return nsp.To(room).Emit("told", text) == nil })
	})
}
