package adminui_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/server"
)

func TestLongNamesAreCutForThePage(t *testing.T) {
	t.Parallel()
	_, url := start(t, server.Config{}, open(), nil)
	p, _ := dial(t, url, "/admin", "")
	p.event("config")
	a, _ := dial(t, url, "/", "")
	name := strings.Repeat("é", 200_000)
	for range 20 {
		a.send(fmt.Sprintf(`42[%q,1]`, name))
		args := p.event("event_received", a.sid)
		if shown := string(args[2]); len(shown) > 300 || !strings.HasSuffix(shown, `é…",1]`) {
			t.Fatalf("%d bytes: %.100s…", len(shown), shown)
		}
	}
}

func TestPageIsToldOfSoManyNamespaces(t *testing.T) {
	t.Parallel()
	_, url := start(t, server.Config{}, open(), func(io *server.Server) {
		io.OfPattern(regexp.MustCompile(`^/x`))
		for i := range 1500 {
			io.Of(fmt.Sprintf("/empty-%d", i))
		}
	})
	_, answer := dial(t, url, "/x"+strings.Repeat("y", 500), "")
	_, short := dial(t, url, "/x", "")
	if !strings.HasPrefix(answer, "40") || !strings.HasPrefix(short, "40") {
		t.Fatal(answer, short)
	}
	p, _ := dial(t, url, "/admin", "")
	stats := string(p.event("server_stats")[0])
	if n := strings.Count(stats, `"socketsCount"`); n != 1000 {
		t.Errorf("told of %d namespaces, want 1000", n)
	}
	if !strings.Contains(stats, `"/x"`) || strings.Contains(stats, "yyy") {
		t.Error("not those with the most sockets, or one with a long name")
	}
}
