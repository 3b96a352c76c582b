package host

import (
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/beanpole/beanpole/server"
)

// hashOfX is the bcrypt hash of "x", at the lowest cost.
const hashOfX = "$2a$04$JFYKYfsMtyn09TMwIl7gKOUCF1kFJz56T7bncUVcqfUcbcJXHb/iy"

func TestAdminUIByVariables(t *testing.T) {
	cfg, err := fromEnv([]string{
		"PORT=0", "HOST=127.0.0.1", "BEANPOLE_ADMIN_UI_USERNAME=ada", "BEANPOLE_ADMIN_UI_PASSWORD_HASH=" + hashOfX,
		"BEANPOLE_ADMIN_UI_READ_ONLY=true", "BEANPOLE_ADMIN_UI_SERVER_NAME=bean-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	h, _ := newTestHost(t, cfg)
	done := running(t, h)
	session := connect(t, h)
	say(t, h, session, `40/admin,{"username":"ada","password":"wrong"}`)
	if got := get(t, h, session); got != `44/admin,{"message":"invalid credentials"}` {
		t.Errorf("a wrong password is answered %q", got)
	}
	say(t, h, session, `40/admin,{"username":"ada","password":"x"}`)
	all := ""
	for !strings.Contains(all, "server_stats") {
		all += get(t, h, session)
	}
	for _, want := range []string{`40/admin,{"sid":`, `"supportedFeatures":["AGGREGATED_EVENTS"]`, `"serverId":"bean-1"`} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in %s", want, all)
		}
	}
	say(t, h, session, "1")
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestAdminUINeedsALogin(t *testing.T) {
	const user, hash = "BEANPOLE_ADMIN_UI_USERNAME", "BEANPOLE_ADMIN_UI_PASSWORD_HASH"
	const origins = "BEANPOLE_ADMIN_UI_ALLOWED_ORIGINS"
	for _, c := range []struct {
		environ  []string
		variable string
	}{
		{[]string{user + "=ada"}, hash},
		{[]string{hash + "=" + hashOfX}, user},
		{[]string{user + "=ada", hash + "=hunter2"}, hash},
		{[]string{"BEANPOLE_ADMIN_UI_READ_ONLY=true"}, user},
		{[]string{"BEANPOLE_ADMIN_UI_ALLOWED_ORIGINS=https://admin.socket.io"}, user},
		{[]string{user + "=ada", hash + "=" + hashOfX, origins + "=admin.socket.io"}, origins},
		{[]string{user + "=ada", hash + "=" + hashOfX, origins + "=https://admin.socket.io",
			"BEANPOLE_ALLOWED_ORIGINS=https://app.example.com"}, origins},
	} {
		_, err := fromEnv(c.environ)
		var bad *ValueError
		if !errors.As(err, &bad) || bad.Variable != c.variable || strings.Contains(err.Error(), "hunter2") ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", c.environ, err)
		}
	}
	_, err := New(Config{AdminUIUsername: "ada", AdminUIPasswordHash: hashOfX,
		Server: func(server.Config) (Application, error) { return nil, http.ErrServerClosed }})
	var bad *ValueError
	if !errors.As(err, &bad) || bad.Variable != user {
		t.Errorf("with another application: %v", err)
	}
}
