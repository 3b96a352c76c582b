package host

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
)

func TestAdminListenerShowsMetricsAndProfiles(t *testing.T) {
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1"})
	done := running(t, h)
	connect(t, h)
	code, text := askAdmin(t, h, http.MethodGet, "metrics")
	for _, want := range []string{`beanpole_sessions{transport="polling"} 1`, `beanpole_handler_seconds_count{event="connection"} 1`} {
		if code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("status %d, no %s in\n%s", code, want, text)
		}
	}
	if code, text := askAdmin(t, h, http.MethodGet, "debug/pprof/"); code != http.StatusOK || !strings.Contains(text, "goroutine") {
		t.Errorf("profiles: %d %s", code, text)
	}
	if code := status(t, h, "metrics"); code != http.StatusNotFound {
		t.Errorf("the public port answers /metrics with %d", code)
	}
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Error(err)
	}
}
