package account

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// night is a dry run of the script.
type night struct{ account, report string }

// start starts the script against an account of its own.
func (n *night) start(t *testing.T, env []string, cases ...string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	n.account, n.report = filepath.Join(dir, "account"), filepath.Join(dir, "report.txt")
	cmd := exec.CommandContext(t.Context(), "./nightly.sh", append([]string{"--dry-run"}, cases...)...)
	cmd.Env = append(append(os.Environ(), "ACCOUNT="+n.account, "REPORT="+n.report), env...)
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// calls is what AWS and the command were asked.
func (n *night) calls() string {
	text, _ := os.ReadFile(filepath.Join(n.account, "calls"))
	return string(text)
}

// ended wants the exit status, what the report says, and nothing left in the account.
func (n *night) ended(t *testing.T, cmd *exec.Cmd, status int, says ...string) {
	t.Helper()
	_ = cmd.Wait()
	report, _ := os.ReadFile(n.report)
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Errorf("ended with %d, want %d", got, status)
	}
	for _, s := range says {
		if !strings.Contains(string(report), s) {
			t.Errorf("the report does not say %q", s)
		}
	}
	for _, kind := range []string{"app", "env", "log", "s3", "version", "instance"} {
		if left, _ := filepath.Glob(filepath.Join(n.account, kind, "*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", report, n.calls())
	}
}

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is not installed", name)
			}
			t.Skipf("%s is not installed", name)
		}
	}
}

func TestScriptsAreWithoutFindings(t *testing.T) {
	t.Parallel()
	need(t, "shellcheck")
	if said, err := exec.Command("shellcheck", "nightly.sh", "fake/aws", "fake/beanpole", "../image.sh").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

// A good night does everything to both, in this order, and leaves nothing.
func TestNightDoesEverything(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	var n night
	n.ended(t, n.start(t, nil, "go-alb", "docker-nlb"), 0, "running Go 1, application", "running Docker, network", "settings of the bundle read back, 0 differ",
		"deployment done", "configuration done", "scale-in done", "crash done", "instance refresh done", "0 failures")
	rest := n.calls()
	for _, step := range []string{
		"pack --output", "s3 cp", "create-environment", "describe-configuration-settings", "doctor http://x.eu-central-1.elasticbeanstalk.com --deep",
		"--version-label bp-", "BEANPOLE_LOG_LEVEL", "set-desired-capacity", "terminate-instances", "start-instance-refresh", "terminate-environment", "delete-log-group",
		"pack --variant network-load-balancer --platform docker", "create-environment", "Value=network", "terminate-environment", "--delete-source-bundle", "delete-application ",
	} {
		_, after, ok := strings.Cut(rest, step)
		if !ok {
			t.Fatalf("%q is not asked, or not in its place: %s", step, n.calls())
		}
		rest = after
	}
}

// Whatever fails is in the report, and everything is deleted all the same.
func TestNightEndsWithoutLeftovers(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	for name, c := range map[string]struct {
		env  []string
		says []string
	}{
		"the application":     {[]string{"FAIL=elasticbeanstalk create-application "}, []string{"ended early"}},
		"the environment":     {[]string{"FAIL=create-environment"}, []string{"not made"}},
		"an option, a change": {[]string{"FAIL=start-instance-refresh", "DIFFERENT=IdleTimeout"}, []string{"IdleTimeout is other, and the bundle says 60", "instance refresh\n"}},
		"the time is up":      {[]string{"LIMIT_MINUTES=0"}, []string{"ended early, with status 143"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n night
			n.ended(t, n.start(t, c.env, "go-alb"), 1, append(c.says, "FAILED")...)
		})
	}
}

// Ended from outside in the middle of a change, it deletes what there is, and its clients end.
func TestNightIsInterrupted(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	var n night
	cmd := n.start(t, nil, "go-alb")
	for end := time.Now().Add(2 * time.Minute); !strings.Contains(n.calls(), "update-environment"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no deployment: %s", n.calls())
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	n.ended(t, cmd, 1, "ended early, with status 143")
	if !strings.Contains(n.calls(), "terminate-environment") {
		t.Errorf("the environment was not ended: %s", n.calls())
	}
}

func TestNightKnowsItsCases(t *testing.T) {
	t.Parallel()
	var n night
	cmd := n.start(t, nil, "java-alb")
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 64 {
		t.Errorf("ended with %d", got)
	}
}
