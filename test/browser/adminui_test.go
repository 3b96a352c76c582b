package browser

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/adminui"
)

// TestAdminUIInChromium runs the page of @socket.io/admin-ui, as npm has it, against package adminui.
// ADMINUI_SCREENSHOTS names a folder for pictures of it.
func TestAdminUIInChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	node, npm := tool(t, "node"), tool(t, "npm")
	chromium := tool(t, cmp.Or(os.Getenv("CHROMIUM"), "chromium"))
	ctx, cancel := whole(t)
	defer cancel()
	run := func(dir, name string, args ...string) {
		t.Helper()
		c := exec.CommandContext(ctx, name, args...)
		c.Dir, c.Stdout, c.Stderr, c.WaitDelay = dir, os.Stdout, os.Stderr, 5*time.Second
		c.Env = append(os.Environ(), "CHROMIUM="+chromium)
		if err := c.Run(); err != nil {
			t.Fatalf("%s: %v", c, err)
		}
	}
	for _, dir := range []string{".", "../..", "adminui"} { // puppeteer, the client, the page
		if _, err := os.Stat(filepath.Join(dir, "node_modules")); os.IsNotExist(err) {
			run(dir, npm, "ci", "--no-audit", "--no-fund")
		}
	}

	io, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("changeit"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	ui, err := adminui.Attach(io, adminui.Config{Username: "admin", PasswordHash: string(hash), Development: true, ServerID: "bean-1"})
	if err != nil {
		t.Fatal(err)
	}
	io.OnConnection(func(s *server.Socket) {
		s.Join("lobby")
		s.Data.Set("name", "Ada")
		_ = s.Emit("welcome", "to the lobby")
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.Handle("/", adminui.Page(os.DirFS("adminui/node_modules/@socket.io/admin-ui/ui/dist")))
	mux.Handle("/client/", http.StripPrefix("/client/", http.FileServer(http.Dir("../../node_modules/socket.io-client/dist"))))
	web := httptest.NewServer(mux)
	defer web.Close()
	defer io.Close()
	defer ui.Close()
	t.Setenv("ADMINUI_URL", web.URL)
	run(".", node, "--test", "--test-reporter=spec", "adminui.mjs")
}
