package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/project"
	"github.com/beanpole/beanpole/internal/version"
)

// The clock of the regular expressions of lint ends by itself, a while after the last.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/dlclark/regexp2/v2.runClock"))
}

func beanpole(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var b bytes.Buffer
	code = run(t.Context(), args, output{out: &b, err: &b})
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

// Where what is packed is deployed, the rest of the folder is nobody's concern.
func TestLintOfWhatIsPacked(t *testing.T) {
	dir := module(t)
	if code, out := beanpole(t, "init", "--package=./a", "--replace=off", dir); code != exitOK {
		t.Fatalf("exit status %d: %s", code, out)
	}
	for name, text := range map[string]string{"go.mod": "module example.com/shop\n\ngo 1.26\n\nrequire " + project.Path + " v0.1.0\n", ".env": "A=b\n", "Dockerfile": "FROM scratch\nCMD x\n", "notes/Procfile.txt": "x"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if code, out := beanpole(t, "lint", "--nginx=off", dir); code != exitOK || !strings.Contains(out, "as beanpole pack ships them") {
		t.Errorf("exit status %d: %s", code, out)
	}
	// With an artifact that others make, it is the artifact.
	config := filepath.Join(dir, ".elasticbeanstalk/config.yml")
	text, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(config, bytes.Replace(text, []byte("build/application.zip"), []byte("dist/app.zip"), 1), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if code, out := beanpole(t, "lint", "--nginx=off", dir); code != exitFailure || !strings.Contains(out, "[artifact-missing]") {
		t.Errorf("exit status %d: %s", code, out)
	}
	if code, out := beanpole(t, "pack", "--output="+filepath.Join(dir, "dist/app.zip"), dir); code != exitOK {
		t.Fatalf("exit status %d: %s", code, out)
	}
	if code, out := beanpole(t, "lint", "--nginx=off", dir); code != exitOK || strings.Contains(out, "pack ships") {
		t.Errorf("exit status %d: %s", code, out)
	}
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
	}{{[]string{"--help"}, exitOK}, {[]string{"help"}, exitOK}, {[]string{"help", "lint"}, exitOK}, {[]string{"lint", "--help"}, exitOK}, {[]string{"nonsense"}, exitBadUsage}, {[]string{"lint", "/no/such/folder"}, exitBadUsage},
		{[]string{"--version"}, exitOK}, {[]string{"doctor", "example.com"}, exitBadUsage}, {[]string{"doctor", "http://localhost", "--auth", "{"}, exitBadUsage},
		{[]string{"update", "/no/such/folder"}, exitFailure}, {[]string{"init", "--region=here", t.TempDir()}, exitBadUsage},
		{[]string{"init", "--variant=nonsense", t.TempDir()}, exitBadUsage}, {[]string{"init", "--replace=/no/such/folder", t.TempDir()}, exitBadUsage},
		{[]string{"update", t.TempDir()}, exitBadUsage}} {
		if code, out := beanpole(t, test.args...); code != test.code {
			t.Errorf("%v: exit status %d, want %d: %s", test.args, code, test.code, out)
		}
	}
}

// module makes the folder of a module with two main packages.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/shop\n\ngo 1.26\n", "a/main.go": "package main\n\nfunc main() {}\n", "b/main.go": "package main\n"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestInitOfAModule(t *testing.T) {
	dir := module(t)
	if code, out := beanpole(t, "init", dir); code != exitBadUsage || !strings.Contains(out, "--package has to say") {
		t.Errorf("two main packages: exit status %d: %s", code, out)
	}
	procfile := filepath.Join(dir, "Procfile")
	if err := os.WriteFile(procfile, []byte("web: mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out := beanpole(t, "init", "--package=b/", dir); code != exitWarning || !strings.Contains(out, "differs   Procfile") || !strings.Contains(out, "-web: mine") {
		t.Errorf("a file that differs: exit status %d: %s", code, out)
	}
	if code, out := beanpole(t, "update", dir); code != exitWarning || !strings.Contains(out, "--keep Procfile") {
		t.Errorf("update: exit status %d: %s", code, out)
	}
	if code, out := beanpole(t, "update", "--take=Procfile", "--keep=./Procfile", dir); code != exitBadUsage {
		t.Errorf("--take and --keep: exit status %d: %s", code, out)
	}
	if code, out := beanpole(t, "update", "--take=Procfile", dir); code != exitOK || !strings.Contains(out, "replaced  Procfile") {
		t.Errorf("update --take: exit status %d: %s", code, out)
	}
	if code, out := beanpole(t, "update", dir); code != exitOK || !strings.Contains(out, "as you have changed them") {
		t.Errorf("update: exit status %d: %s", code, out)
	}
	if code, out := beanpole(t, "update", "--take=nonsense", dir); code != exitBadUsage {
		t.Errorf("update --take=nonsense: exit status %d: %s", code, out)
	}
}

// What init was told once holds the next time, if nothing else is said.
func TestInitRemembers(t *testing.T) {
	dir := module(t)
	config := func() string {
		text, err := os.ReadFile(filepath.Join(dir, ".elasticbeanstalk/config.yml"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, step := range []struct {
		args        []string
		code        int
		said, names string
	}{
		{[]string{"--package=./b", "--application=shop", "--region=us-east-1", "--variant=single-instance", "--platform=docker"}, exitOK, "created", "default_region: us-east-1\n"},
		{nil, exitOK, "as before: application shop, environment shop-production, region us-east-1, platform docker, variants single-instance, package ./b\n", "default_region: us-east-1\n"},
		{[]string{"--region=us-west-2", "--variant=none"}, exitOK, "changed: variants none, before single-instance", "default_region: us-west-2\n"},
		{[]string{"--variant=redis-auth", "--variant=redis-serverless"}, exitBadUsage, "--variant=redis-auth,redis-serverless: it has to be one of the two: both decide about .ebextensions/30-redis.config\n", "us-west-2"},
		{[]string{"--module=example.com/other"}, exitBadUsage, "there is a module already, example.com/shop", "us-west-2"},
		{[]string{"--module=example.com/shop"}, exitOK, "as before", "us-west-2"},
	} {
		code, out := beanpole(t, append(append([]string{"init"}, step.args...), dir)...)
		if code != step.code || !strings.Contains(out, step.said) || !strings.Contains(config(), step.names) {
			t.Errorf("%v: exit status %d: %s\n%s", step.args, code, out, config())
		}
	}
}

// Where no name can be made of the folder's, none is guessed.
func TestInitGuessesNoNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "日本")
	if code, out := beanpole(t, "init", dir); code != exitBadUsage || !strings.Contains(out, "--application has to be said") {
		t.Errorf("exit status %d: %s", code, out)
	}
	if code, out := beanpole(t, "init", "--application=日本", dir); code != exitBadUsage || !strings.Contains(out, "--environment has to be said") {
		t.Errorf("exit status %d: %s", code, out)
	}
	if code, out := beanpole(t, "init", "--application=日本", "--environment=nihon", dir); code != exitBadUsage || !strings.Contains(out, "--module has to be said") {
		t.Errorf("exit status %d: %s", code, out)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder was made: %v", err)
	}
}

// full is a disk without space.
type full struct{ left int }

func (f *full) Write(b []byte) (int, error) {
	if len(b) > f.left {
		return 0, errors.New("no space left on device")
	}
	f.left -= len(b)
	return len(b), nil
}

func TestWhatCannotBeWrittenFails(t *testing.T) {
	dir := module(t)
	if code, out := beanpole(t, "init", "--package=./a", dir); code != exitOK {
		t.Fatalf("exit status %d: %s", code, out)
	}
	for _, args := range [][]string{{"--version"}, {"--help"}, {"lint", "--nginx=off", dir}, {"lint", "--json", "--nginx=off", dir}, {"update", dir}, {"init", dir},
		{"doctor", "--timeout=1ms", "--samples=1", "--json", "http://127.0.0.1:1"}, {"pack", "nowhere"}, {"pack", "--json", "nowhere"}} {
		for _, left := range []int{0, 2} {
			var said bytes.Buffer
			if code := run(t.Context(), args, output{out: &full{left}, err: &said}); code < exitFailure {
				t.Errorf("%v: exit status %d: %s", args, code, said.String())
			}
		}
	}
}

// Who reads JSON gets it, whatever happens.
func TestPackSaysWhatHasFailedInJSON(t *testing.T) {
	dir := module(t)
	if code, out := beanpole(t, "init", "--package=./a", dir); code != exitOK {
		t.Fatalf("exit status %d: %s", code, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "a/main.go"), []byte("package main\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitFailure, "function main is undeclared"},
		{[]string{"--output=" + filepath.Join(dir, "a/main.go")}, exitBadUsage, "was left alone"},
		{[]string{"--variant=nonsense"}, exitBadUsage, "one of direct"},
	} {
		var out, said bytes.Buffer
		code := run(t.Context(), append(append([]string{"pack", "--json"}, test.args...), dir), output{out: &out, err: &said})
		var r struct {
			Findings []any
			Error    string
		}
		if err := json.Unmarshal(out.Bytes(), &r); err != nil || code != test.code || !strings.Contains(r.Error, test.want) || r.Findings == nil {
			t.Errorf("%v: exit status %d, %v: %s", test.args, code, err, out.String())
		}
	}
}

func TestInitAsksAtATerminal(t *testing.T) {
	dir := module(t)
	var out bytes.Buffer
	answers := strings.NewReader("shop\n\nus-east-1\n")
	if code := run(t.Context(), []string{"init", "--package=./a", dir}, output{out: &out, err: &out, in: answers, asks: true}); code != exitOK {
		t.Fatalf("exit status %d: %s", code, out.String())
	}
	config, err := os.ReadFile(filepath.Join(dir, ".elasticbeanstalk/config.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"application_name: shop\n", "environment: shop-production\n", "default_region: us-east-1\n"} {
		if !strings.Contains(string(config), want) {
			t.Errorf("config.yml has no %q: %s", want, config)
		}
	}
	if !strings.Contains(out.String(), "Name of the environment [shop-production]: ") {
		t.Errorf("asked: %s", out.String())
	}
}

// What is said of a bundle is said by lint: names in it neither act on the terminal nor make lines of their own.
func TestNamesOfABundleAreShownAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	name := "x\x1b[2J\x1b]0;title\x07\nbundle: nothing to complain about.yml"
	if err := errors.Join(os.Mkdir(filepath.Join(dir, ".ebextensions"), 0o755), os.WriteFile(filepath.Join(dir, ".ebextensions", name), nil, 0o644),
		os.WriteFile(filepath.Join(dir, "Procfile"), []byte("web: \x1b[31mrm\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"lint", dir}, {"lint", "--json", dir}} {
		code, out := beanpole(t, args...)
		if code != exitFailure || strings.ContainsAny(out, "\x1b\x07") || strings.Contains(out, "\nbundle: nothing") || !strings.Contains(out, `\u001b[2J`) {
			t.Errorf("%v: exit status %d, and says\n%q", args, code, out)
		}
	}
}

// A question is for a person: a file, a pipe or /dev/null is none.
func TestTerminals(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) {
		t.Error("nobody sits there")
	}
}

func TestVersion(t *testing.T) {
	if code, out := beanpole(t, "--version"); code != exitOK || !strings.HasPrefix(out, "beanpole "+version.Number) {
		t.Errorf("exit status %d: %s", code, out)
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
