package host

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/beanpole/beanpole/adapter/redis/redistest"
	"github.com/beanpole/beanpole/server"
)

// TestDashboardAsksForWhatIsThere looks for every metric of docs/grafana-dashboard.json, and every label
// it is split by, in what a server shows to which everything has happened once.
func TestDashboardAsksForWhatIsThere(t *testing.T) {
	raw, err := os.ReadFile("../../docs/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(raw, &dashboard); err != nil {
		t.Fatal(err)
	}
	shown := everything(t)
	metric := regexp.MustCompile(`\b(beanpole|go|process)_\w+`)
	by := regexp.MustCompile(`by \(([^)]*)\)`)
	asked := make(map[string]bool)
	for _, p := range dashboard.Panels {
		if len(p.Targets) == 0 && p.Type != "row" {
			t.Errorf("%s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			names := metric.FindAllString(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s: no metric in %s", p.Title, target.Expr)
			}
			if strings.Count(target.Expr, "(") != strings.Count(target.Expr, ")") || !strings.Contains(target.Expr, `instance=~"$instance"`) {
				t.Errorf("%s: %s", p.Title, target.Expr)
			}
			for _, name := range names {
				asked[strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count")] = true
				lines := regexp.MustCompile(`(?m)^`+name+`[{ ].*$`).FindAllString(shown, -1)
				if len(lines) == 0 {
					t.Errorf("%s asks for %s, which is not there", p.Title, name)
					continue
				}
				for _, m := range by.FindAllStringSubmatch(target.Expr, -1) {
					for label := range strings.SplitSeq(m[1], ", ") {
						if label != "instance" && !strings.Contains(lines[0], label+`="`) { // which Prometheus adds
							t.Errorf("%s splits %s by %s, which is not in %s", p.Title, name, label, lines[0])
						}
					}
				}
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (beanpole_\w+)`).FindAllStringSubmatch(shown, -1) {
		if !asked[m[1]] {
			t.Errorf("no panel shows %s", m[1])
		}
	}
}

// everything returns the metrics of a server in a cluster to which everything has happened that is counted
// by a cause.
func everything(t *testing.T) string {
	t.Helper()
	redis := redistest.Start(t)
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1", RedisURL: redis.URL()})
	h.IO().On("fails", func() error { return errors.New("no") })
	h.IO().On("panics", func() { panic("no") })
	h.IO().Of("/no").Use(func(*server.Socket) error { return errors.New("no") })
	done := running(t, h)
	for _, bad := range []string{"transport=none", "transport=polling&sid=nobody"} {
		get(t, h, "socket.io/?EIO=4&"+bad)
	}
	session := connect(t, h)
	for _, exchange := range []string{`421["fails"]`, `421["panics"]`, "40/no,"} {
		say(t, h, session, exchange)
		get(t, h, session)
	}
	say(t, h, session, "1") // the client's CLOSE
	if _, err := h.IO().Count(t.Context()); err != nil {
		t.Error(err)
	}
	askAdmin(t, h, http.MethodPost, "drain?time=10ms")
	_, text := askAdmin(t, h, http.MethodGet, "metrics")
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Errorf("Run: %v", err)
	}
	return text
}

// TestMetricsDocument looks for every metric in docs/metrics.md, and the other way round.
func TestMetricsDocument(t *testing.T) {
	raw, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string]bool)
	for _, name := range regexp.MustCompile(`\bbeanpole_\w+`).FindAllString(string(raw), -1) {
		told[name] = true
	}
	there := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (beanpole_\w+)`).FindAllStringSubmatch(everything(t), -1) {
		there[m[1]] = true
		if !told[m[1]] {
			t.Errorf("docs/metrics.md does not tell of %s", m[1])
		}
	}
	for name := range told {
		if !there[name] {
			t.Errorf("docs/metrics.md tells of %s, which is not there", name)
		}
	}
}
