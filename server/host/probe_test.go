package host

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/beanpole/beanpole/internal/limit"
)

const probeToken = "a token of sixteen letters"

// probing opens a session of an address and returns what sends a token and returns the answer.
func probing(t *testing.T, h *Host, addr string) func(token string) string {
	t.Helper()
	const target = "/socket.io/?EIO=4&transport=polling"
	open := ask(h, "GET", target, "X-Forwarded-For", addr)
	session := target + "&sid=" + strings.Split(open.Body.String(), `"`)[3]
	return func(token string) string {
		t.Helper()
		packet := fmt.Sprintf(`40%s,{"token":%q}`, ProbeNamespace, token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", session, strings.NewReader(packet)))
		if w.Code != 200 {
			t.Fatalf("CONNECT is answered %d", w.Code)
		}
		return ask(h, "GET", session).Body.String()
	}
}

func TestGuessesOfTheProbeTokenAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, log := newTestHost(t, Config{ProbeToken: probeToken, TrustedHops: 1})
		for i := range maxProbeGuesses {
			if got := probing(t, h, fmt.Sprintf("2001:db8::%x", i))("guess"); !strings.Contains(got, errProbeToken.Error()) {
				t.Errorf("guess %d: %s", i, got)
			}
		}
		try := probing(t, h, "2001:db8::ffff")
		for range 200 {
			if got := try(probeToken); !strings.Contains(got, errProbeGuesses.Error()) {
				t.Fatalf("the eleventh: %s", got)
			}
		}
		if got := probing(t, h, "192.0.2.7")(probeToken); !strings.HasPrefix(got, "40"+ProbeNamespace+`,{"sid"`) {
			t.Errorf("another address: %s", got)
		}
		if n := strings.Count(log.String(), "probe refused"); n != limit.LinesPerSecond {
			t.Errorf("%d lines for 210 refusals, want %d", n, limit.LinesPerSecond)
		}
		if strings.Contains(log.String(), probeToken) || strings.Contains(log.String(), "guess\"") {
			t.Error("a token is in the log")
		}
	})
}
