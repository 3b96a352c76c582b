package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ofNginx skips a test of nginx when there is none in the path.
func ofNginx(t *testing.T) {
	t.Helper()
	if *directly {
		t.Skip("no nginx in the path")
	}
}

// TestDirect runs the variant direct: clients that keep connected and miss nothing over a deployment in place, addresses
// that cannot be forged, and a log for enhanced health that has what an nginx would write.
func TestDirect(t *testing.T) {
	e := start(t, settings{direct: true, idle: "60s", env: []string{"BEANPOLE_PING_INTERVAL=25s", "BEANPOLE_PING_TIMEOUT=20s", "BEANPOLE_IDLE_TIMEOUT=60s"}})
	p := newPoller(t, e.url(), "X-Forwarded-For", "6.6.6.6")
	p.do(t, http.MethodPost, []byte("40"))
	p.do(t, http.MethodGet, nil)
	p.do(t, http.MethodPost, []byte(`420["address"]`))
	if _, text := p.do(t, http.MethodGet, nil); text != `430["127.0.0.1"]` {
		t.Errorf("the address is %s", text)
	}
	p.do(t, http.MethodPost, []byte("1"))

	e.check(t, deployment{"in place, direct", true, false})

	line := regexp.MustCompile(`^\d{10}\.\d{3}"/[^"?]*"\d{3}"\d+\.\d{3}"\d+\.\d{3}"[^"]+$`)
	for _, in := range e.instances {
		names, _ := filepath.Glob(filepath.Join(in.healthd(), "application.log.*")) // the pattern is right
		lines := 0
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for l := range strings.Lines(string(text)) {
				if lines++; !line.MatchString(strings.TrimSuffix(l, "\n")) || strings.Contains(l, `"101"`) {
					t.Errorf("%s has the line %q", name, l)
				}
			}
		}
		if lines < crowd/4 {
			t.Errorf("instance %s has %d lines in %v", in.name, lines, names)
		}
	}
}
