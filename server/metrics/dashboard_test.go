package metrics_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/metrics"
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

// everything returns the metrics of a server to which everything has happened that is counted by a cause.
func everything(t *testing.T) string {
	t.Helper()
	m := metrics.New()
	srv, err := server.New(server.Config{Observers: []server.Observer{m}})
	if err != nil {
		t.Fatal(err)
	}
	m.Watch(srv)
	srv.On("fails", func() error { return errors.New("no") })
	web := httptest.NewServer(srv)
	defer web.Close()
	res, err := web.Client().Get(web.URL + "/socket.io/?EIO=4&transport=none")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	conn, br, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(web.URL, "http")+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	peer := struct {
		io.Reader
		io.Writer
	}{conn, conn}
	if br != nil {
		peer.Reader = io.MultiReader(br, conn)
	}
	for _, packet := range []string{"40", `421["fails"]`} {
		if err := wsutil.WriteClientText(conn, []byte(packet)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // OPEN, CONNECT, ACK
		if _, err := wsutil.ReadServerText(peer); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	return scrape(t, m)
}
