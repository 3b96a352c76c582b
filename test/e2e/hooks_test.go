package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hook runs one of the bundle's as the platform runs it, with the environment properties given.
func hook(t *testing.T, name string, args []string, properties ...string) string {
	t.Helper()
	need(t, "bash")
	cmd := exec.Command("../../.platform/"+name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, properties...)
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s fails the deployment: %v: %s", name, err, said)
	}
	return string(said)
}

// The prebuild hook gives nginx more ports, and the application the folder of its figures.
func TestHookPreparesTheInstance(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	ports := filepath.Join(root, "proc/sys/net/ipv4/ip_local_port_range")
	if err := os.MkdirAll(filepath.Dir(ports), 0o755); err != nil {
		t.Fatal(err)
	}
	hook(t, "hooks/prebuild/10_instance.sh", []string{root}, "BEANPOLE_CLOUDWATCH_METRICS=/var/log/beanpole/metrics.log", "BEANPOLE_HEALTHD_LOG=/var/log/nginx/healthd")
	if text, err := os.ReadFile(ports); err != nil || string(text) != "10240 65535\n" {
		t.Errorf("the ports are %q, %v", text, err)
	}
	for _, folder := range []string{"var/log/beanpole", "var/log/nginx/healthd"} {
		if info, err := os.Stat(filepath.Join(root, folder)); err != nil || !info.IsDir() {
			t.Errorf("a folder of the application: %v", err)
		}
	}
	// In a container the figures are among the lines of the log, and what cannot be done is said.
	said := hook(t, "hooks/prebuild/10_instance.sh", []string{filepath.Join(root, "nowhere")}, "BEANPOLE_CLOUDWATCH_METRICS=log")
	if !strings.Contains(said, "ip_local_port_range is as it was") {
		t.Errorf("said %q", said)
	}
}

// What lies in a folder of the application's is its own only where it is a file there: root follows none of its links.
func TestHookGivesAwayNothingByLinks(t *testing.T) {
	t.Parallel()
	root, bin := t.TempDir(), t.TempDir()
	logs, given := filepath.Join(root, "var/log/nginx/healthd"), filepath.Join(bin, "given")
	err := errors.Join(os.MkdirAll(logs, 0o755), os.WriteFile(filepath.Join(root, "shadow"), nil, 0o600),
		os.WriteFile(filepath.Join(logs, "application.log.2026-11-30-22"), nil, 0o600),
		os.Symlink(filepath.Join(root, "shadow"), filepath.Join(logs, "application.log.link")),
		os.WriteFile(filepath.Join(bin, "chown"), []byte("#!/bin/sh\necho \"$@\" >>\""+given+"\"\n"), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	hook(t, "hooks/prebuild/10_instance.sh", []string{root}, "PATH="+bin+":"+os.Getenv("PATH"), "BEANPOLE_HEALTHD_LOG=/var/log/nginx/healthd")
	said, err := os.ReadFile(given)
	if err != nil || !strings.Contains(string(said), "application.log.2026-11-30-22") || strings.Contains(string(said), "application.log.link") {
		t.Errorf("given away: %s, %v", said, err)
	}
	for line := range strings.Lines(string(said)) {
		if !strings.HasPrefix(line, "-h ") {
			t.Errorf("chown %s follows links", line)
		}
	}
}

// The postdeploy hook hands the file of the figures to the CloudWatch agent, in words that it understands.
func TestHookStreamsTheFigures(t *testing.T) {
	t.Parallel()
	agent := t.TempDir()
	properties := []string{"BEANPOLE_CLOUDWATCH_METRICS=/var/log/beanpole/metrics.log", "BEANPOLE_ENVIRONMENT=chat-production"}
	const name = "hooks/postdeploy/20_metrics.sh"
	if said := hook(t, name, []string{agent}, properties...); !strings.Contains(said, "no CloudWatch agent") {
		t.Errorf("without an agent it says %q", said)
	}
	for _, dir := range []string{"bin", "etc"} {
		if err := os.Mkdir(filepath.Join(agent, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ctl := filepath.Join(agent, "bin/amazon-cloudwatch-agent-ctl")
	if err := os.WriteFile(ctl, []byte("#!/bin/sh\necho \"$@\" >\"$0.args\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	hook(t, name, []string{agent}, properties...)
	config := filepath.Join(agent, "etc/beanpole.json")
	if args, err := os.ReadFile(ctl + ".args"); err != nil || strings.TrimSpace(string(args)) != "-a append-config -m ec2 -s -c file:"+config {
		t.Errorf("the agent is called with %q, %v", args, err)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Logs struct {
			Collected struct {
				Files struct {
					List []struct {
						Path   string `json:"file_path"`
						Group  string `json:"log_group_name"`
						Stream string `json:"log_stream_name"`
					} `json:"collect_list"`
				} `json:"files"`
			} `json:"logs_collected"`
		} `json:"logs"`
	}
	if err := json.Unmarshal(text, &c); err != nil || len(c.Logs.Collected.Files.List) != 1 {
		t.Fatalf("%v: %s", err, text)
	}
	if f := c.Logs.Collected.Files.List[0]; f.Path != "/var/log/beanpole/metrics.log" || f.Group != "/aws/elasticbeanstalk/chat-production/beanpole-metrics" || f.Stream != "{instance_id}" {
		t.Errorf("%+v", f)
	}
	if err := os.Remove(ctl + ".args"); err != nil {
		t.Fatal(err)
	}
	hook(t, name, []string{agent}, "BEANPOLE_CLOUDWATCH_METRICS=log")
	if _, err := os.Stat(ctl + ".args"); err == nil {
		t.Error("the agent is told of a file that there is not")
	}
}
