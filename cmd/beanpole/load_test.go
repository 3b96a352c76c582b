package main

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/server"
)

func TestLoad(t *testing.T) {
	io, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	io.On("echo", func(text string) string { return text })
	io.On("order", func(line struct{ Item string }) string { return line.Item })
	web := httptest.NewServer(io)
	defer web.Close()
	defer func() {
		if err := io.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	page := filepath.Join(t.TempDir(), "report.html")
	code, out := beanpole(t, "load", web.URL, "--sessions=3", "--duration=200ms", "--event=order", `--args=[{"item":"{id}"}]`, "--html="+page)
	if text, err := os.ReadFile(page); code != exitOK || !strings.Contains(out, "nothing amiss") || err != nil || !strings.Contains(string(text), "</html>") {
		t.Errorf("exit status %d, %v: %s", code, err, out)
	}
	code, out = beanpole(t, "load", web.URL, "--sessions=1", "--duration=100ms", "--json", "--event=nobody", "--patience=100ms")
	var r struct{ Faults []string }
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &r); code != exitWarning || err != nil || len(r.Faults) != 1 {
		t.Errorf("exit status %d, %v: %s", code, err, out)
	}
	for _, args := range [][]string{{"http://192.0.2.1"}, {web.URL, "--sessions=0"}, {web.URL, "--header=x"}, {web.URL, "--html=/no/such/folder/x"}} {
		if code, out := beanpole(t, append([]string{"load"}, args...)...); code != exitBadUsage {
			t.Errorf("%v: exit status %d: %s", args, code, out)
		}
	}
	if _, out := beanpole(t, "load", "http://192.0.2.1"); !strings.Contains(out, "--yes") {
		t.Errorf("a host elsewhere: %s", out)
	}
}
