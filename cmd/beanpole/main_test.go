package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func beanpole(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var b bytes.Buffer
	code = run(t.Context(), args, output{&b, &b})
	return code, b.String()
}

func TestLintOfThisRepository(t *testing.T) {
	if code, out := beanpole(t, "lint", "../.."); code != exitOK || !strings.Contains(out, "nothing to complain about") {
		t.Errorf("exit status %d: %s", code, out)
	}
}

func TestLintExitStatus(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Procfile"), []byte("app: /bin/true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out := beanpole(t, "lint", "--json", "--nginx=off", dir)
	var findings []struct{ Check, Severity, File, What, Why, Fix string }
	if err := json.Unmarshal([]byte(out), &findings); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if code != exitFailure || len(findings) == 0 || findings[0].Severity != "error" {
		t.Errorf("exit status %d, findings %v", code, findings)
	}
	if err := os.WriteFile(filepath.Join(dir, "Procfile"), []byte("web: /bin/true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	single := filepath.Join(dir, ".ebextensions")
	if err := os.Mkdir(single, 0o755); err != nil {
		t.Fatal(err)
	}
	text := []byte("option_settings:\n  aws:elasticbeanstalk:environment:\n    EnvironmentType: SingleInstance\n")
	if err := os.WriteFile(filepath.Join(single, "a.config"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out := beanpole(t, "lint", "--nginx=off", dir); code != exitWarning {
		t.Errorf("exit status %d: %s", code, out)
	}
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
	}{{[]string{"--help"}, exitOK}, {[]string{"lint", "--help"}, exitOK}, {[]string{"nonsense"}, exitBadUsage}, {[]string{"lint", "/no/such/folder"}, exitFailure}} {
		if code, out := beanpole(t, test.args...); code != test.code {
			t.Errorf("%v: exit status %d, want %d: %s", test.args, code, test.code, out)
		}
	}
}

func TestHealth(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer s.Close()
	defer http.DefaultClient.CloseIdleConnections()
	if code, out := beanpole(t, "health", s.URL); code != exitOK {
		t.Errorf("exit status %d: %s", code, out)
	}
	status = http.StatusServiceUnavailable
	if code, _ := beanpole(t, "health", s.URL); code != exitFailure {
		t.Errorf("exit status %d for a 503", code)
	}
}

// Every variable that the bundle and its variants set is one that the server reads.
func TestBundleSetsVariablesThatExist(t *testing.T) {
	document, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`BEANPOLE_[A-Z_]+`)
	for _, root := range []string{"../../.ebextensions", "../../.platform", "../../deploy", "../../Dockerfile", "../../docs/beanstalk.md"} {
		err := filepath.WalkDir(root, func(file string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(file)
			for _, v := range name.FindAll(text, -1) {
				if !bytes.Contains(document, append(append([]byte("`"), v...), '`')) {
					t.Errorf("%s names %s, which the server does not read", file, v)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
