package lint

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// configFile adds a .config file, or replaces it.
func configFile(lines ...string) step {
	return func(_ *testing.T, b *Bundle) { b.Add(more, 0o644, []byte(strings.Join(lines, "\n")+"\n")) }
}

// hook adds a hook.
func hook(text string) step {
	return func(_ *testing.T, b *Bundle) { b.Add(ownHook, 0o755, []byte(text)) }
}

// modeOf writes a file with a mode.
func modeOf(name string, mode os.FileMode, text string) step {
	return func(_ *testing.T, b *Bundle) { b.Add(name, mode, []byte(text)) }
}

// saved is a saved configuration with one option.
func saved(namespace, option string) step {
	return func(_ *testing.T, b *Bundle) {
		b.eb.used, b.eb.savedName = true, ".elasticbeanstalk/default.cfg.yml"
		b.eb.saved = []byte("OptionSettings:\n  AWSEBAutoScalingGroup.aws:elasticbeanstalk:" + namespace + "\n    " + option + "\n")
	}
}

const (
	ownHook    = ".platform/hooks/prebuild/50_own.sh"
	dockerrunF = "Dockerrun.aws.json"
)

// queue is a resource.
const queue = "  Queue:\n    Type: AWS::SQS::Queue"

// gapBundles are mistakes that a reading of the developer guide, of cfn-init and of others' bundles brought up.
var gapBundles = []bundleCase{
	{about: "a Procfile with CR LF", check: "crlf", where: "Procfile:1",
		breaks: write("Procfile", "web: bin/application\r\n"), mends: write("Procfile", "web: bin/application\n")},
	{about: "a script that the Procfile runs, with CR LF", check: "crlf", where: "run.sh:1",
		breaks: steps(write("Procfile", "web: ./run.sh\n"), modeOf("run.sh", 0o755, "#!/bin/bash\r\nexec bin/application\r\n")), mends: modeOf("run.sh", 0o755, "#!/bin/bash\nexec bin/application\n")},
	{about: "an artifact that has not been built", check: "artifact-missing", where: ".elasticbeanstalk/config.yml",
		breaks: func(_ *testing.T, b *Bundle) { b.absent = "dist/app.zip" }, mends: func(_ *testing.T, b *Bundle) { b.absent = "" }},
	{about: "what eb create sends, without a saved configuration", check: "sent-option", where: deployment + "|    BatchSize:",
		breaks: func(_ *testing.T, b *Bundle) { b.eb.used = true }, mends: saved("healthreporting:system:", "SystemType: enhanced")},
	{about: "an option of the saved configuration", check: "saved-option", where: deployment + "|    BatchSize:",
		breaks: saved("command:", "BatchSize: 30"), mends: saved("command:", "DeploymentPolicy: RollingWithAdditionalBatch")},
	{about: "an instance profile, and eb create has its own", check: "sent-option", where: more + ":3",
		breaks: steps(configFile("option_settings:", "  aws:autoscaling:launchconfiguration:", "    IamInstanceProfile: chat"), func(_ *testing.T, b *Bundle) { b.eb.used = true }),
		mends:  saved("healthreporting:system:", "SystemType: enhanced")},

	{about: "a name with a dash", check: "resource-name", where: more + ":2",
		breaks: configFile("Resources:", "  My-Queue:", "    Type: AWS::SQS::Queue"), mends: configFile("Resources:", "  MyQueue:", "    Type: AWS::SQS::Queue")},
	{about: "a type with a slip of the pen", check: "resource-type", where: more + ":2",
		breaks: configFile("Resources:", "  Queue:", "    Type: AWS::SQS::Queues"), mends: configFile("Resources:", queue)},
	{about: "a type that is no name of one", check: "resource-type", where: more + ":2",
		breaks: configFile("Resources:", "  Queue:", "    Type: SQS Queue"), mends: configFile("Resources:", "  Queue:", "    Type: Custom::Queue")},
	{about: "a function that names what there is not", check: "resource-reference", where: more + ":6",
		breaks: configFile("Resources:", queue, "    Properties:", "      RedrivePolicy:", "        deadLetterTargetArn: { \"Fn::GetAtt\": [DeadQueue, Arn] }"),
		mends:  configFile("Resources:", queue, "    Properties:", "      RedrivePolicy:", "        deadLetterTargetArn: { \"Fn::GetAtt\": [Dead, Arn] }", "  Dead:", "    Type: AWS::SQS::Queue")},

	{about: "a command that has none", check: "command-missing", where: more + ":2",
		breaks: configFile("container_commands:", "  01_migrate:", "    leader_only: true"), mends: configFile("container_commands:", "  01_migrate:", "    command: bin/application migrate", "    leader_only: true")},
	{about: "a command without its key", check: "command-missing", where: more + ":2",
		breaks: configFile("commands:", "  01_swap: swapoff -a"), mends: configFile("commands:", "  01_swap:", "    command: swapoff -a")},
	{about: "leader_only in commands", check: "command-leader", where: more + ":4",
		breaks: configFile("commands:", "  01_migrate:", "    command: \"true\"", "    leader_only: true"), mends: configFile("container_commands:", "  01_migrate:", "    command: \"true\"", "    leader_only: true")},
	{about: "leader_only with a test", check: "command-leader", where: more + ":5",
		breaks: configFile("container_commands:", "  01_migrate:", "    command: \"true\"", "    test: test -f go.mod", "    leader_only: true"), mends: configFile("container_commands:", "  01_migrate:", "    command: \"true\"", "    leader_only: \"true\"")},
	{about: "leader_only that is no boolean", check: "command-key", where: more + ":4",
		breaks: configFile("container_commands:", "  01_migrate:", "    command: \"true\"", "    leader_only: 1"), mends: configFile("container_commands:", "  01_migrate:", "    command: \"true\"", "    leader_only: yes")},
	{about: "a key that commands do not have", check: "command-key", where: more + ":4",
		breaks: configFile("container_commands:", "  01_migrate:", "    command: \"true\"", "    leaderOnly: true"), mends: configFile("container_commands:", "  01_migrate:", "    command: \"true\"", "    ignoreErrors: true")},
	{about: "a script of the application, in commands", check: "command-early", where: more + ":2",
		breaks: steps(modeOf("scripts/setup.sh", 0o755, "#!/bin/sh\n"), configFile("commands:", "  01_setup:", "    command: bash scripts/setup.sh")),
		mends:  configFile("container_commands:", "  01_setup:", "    command: bash scripts/setup.sh")},
	{about: "packages of apt", check: "package-manager", where: more + ":2",
		breaks: configFile("packages:", "  apt:", "    libpq-dev: []"), mends: configFile("packages:", "  yum:", "    libpq-devel: []")},
	{about: "a package manager that there is not", check: "package-manager", where: more + ":2",
		breaks: configFile("packages:", "  npm:", "    yarn: []"), mends: configFile("packages:", "  yum:", "    jq: []")},
	{about: "a name of Debian's, for yum", check: "package-name", where: more + ":3",
		breaks: configFile("packages:", "  yum:", "    build-essential: []"), mends: configFile("packages:", "  yum:", "    gcc: []", "    make: []")},
	{about: "a file that belongs nowhere", check: "file-path", where: more + ":2",
		breaks: configFile("files:", "  etc/motd:", "    content: hello"), mends: configFile("files:", "  /etc/motd:", "    mode: \"000644\"", "    content: hello")},
	{about: "a mode in letters", check: "file-mode", where: more + ":3",
		breaks: configFile("files:", "  /etc/motd:", "    mode: rw-r--r--", "    content: hello"), mends: configFile("files:", "  /etc/motd:", "    mode: 000644", "    content: hello")},
	{about: "a file that has its content twice", check: "file-content", where: more + ":3",
		breaks: configFile("files:", "  /etc/motd:", "    source: https://example.com/motd", "    content: hello"), mends: configFile("files:", "  /etc/motd:", "    source: https://example.com/motd")},
	{about: "amazon-linux-extras in a hook", check: "amazon-linux-2", where: ownHook + ":2",
		breaks: hook("#!/bin/bash\namazon-linux-extras install postgresql14\n"), mends: hook("#!/bin/bash\nyum install -y postgresql15\n")},
	{about: "amazon-linux-extras in a command", check: "amazon-linux-2", where: more + ":3",
		breaks: configFile("commands:", "  01_postgres:", "    command: amazon-linux-extras install -y postgresql14"), mends: configFile("commands:", "  01_postgres:", "    command: yum install -y postgresql15")},
	{about: "a list for an option", check: "config-option", where: more + ":3",
		breaks: with("aws:ec2:vpc:", "  Subnets: [subnet-1, subnet-2]"), mends: with("aws:ec2:vpc:", "  Subnets: subnet-1,subnet-2")},

	{about: "an interpreter with a slip of the pen", check: "script-interpreter", where: ownHook + ":1",
		breaks: hook("#!/bin/bahs\ntrue\n"), mends: hook("#!/usr/bin/python3\nprint(1)\n")},
	{about: "an interpreter that is no path", check: "script-interpreter", where: ownHook + ":1",
		breaks: hook("#!bash\ntrue\n"), mends: hook("#! /usr/bin/env bash\ntrue\n")},
	{about: "an option behind env", check: "script-interpreter", where: ownHook + ":1",
		breaks: hook("#!/usr/bin/env bash -e\ntrue\n"), mends: hook("#!/usr/bin/env -S bash -e\ntrue\n")},
	{about: "bash of another system", check: "script-interpreter", where: ownHook + ":1",
		breaks: hook("#!/usr/local/bin/bash\ntrue\n"), mends: hook("#!/bin/zsh\n( not bash\n")},
	{about: "an if without its end", check: "script-syntax", where: ownHook + ":4",
		breaks: hook("#!/bin/bash\nif true; then\n  true\n"), mends: hook("#!/bin/bash -e\nif [[ a =~ a ]]; then\n  true\nfi\n")},
	{about: "a script that may not be executed", check: "script-mode", where: "Procfile:1",
		breaks: steps(write("Procfile", "web: ./run.sh\n"), modeOf("run.sh", 0o644, "#!/bin/bash\nexec bin/application\n")), mends: modeOf("run.sh", 0o755, "#!/bin/bash\nexec bin/application\n")},

	{about: "return in http{}", check: "nginx-context", where: inHTTP + ":1",
		breaks: write(inHTTP, "return 301 https://www.example.com;\n"), mends: write(inHTTP, "server { listen 80; server_name old.example.com; return 301 https://www.example.com; }\n")},
	{about: "server_name in http{}", check: "nginx-context", where: inHTTP + ":1",
		breaks: write(inHTTP, "server_name www.example.com;\n"), mends: steps(drop(inHTTP), write(extra, "server_name www.example.com;\n"))},
	{about: "a zone of limits in server{}", check: "nginx-context", where: extra + ":1",
		breaks: write(extra, "limit_req_zone $binary_remote_addr zone=one:1m rate=9r/s;\n"), mends: steps(drop(extra), write(inHTTP, "limit_req_zone $binary_remote_addr zone=one:1m rate=9r/s;\n"))},
	{about: "a .config in nginx's folder", check: "nginx-suffix", where: ".platform/nginx/conf.d/proxy.config",
		breaks: write(".platform/nginx/conf.d/proxy.config", "gzip off;\n"), mends: drop(".platform/nginx/conf.d/proxy.config")},

	{about: "go run", check: "procfile-go-run", where: "Procfile:1",
		breaks: write("Procfile", "web: go run .\n"), mends: write("Procfile", "web: GOGC=200 exec bin/application\n")},
	{about: "a program of the bundle, without its path", check: "procfile-path", where: "Procfile:1",
		breaks: steps(modeOf("server", 0o755, "x"), write("Procfile", "web: server --verbose\n")), mends: write("Procfile", "web: ./server --verbose\n")},
	{about: "a script that the Buildfile runs, and is not shipped", check: "buildfile-missing", where: "Buildfile:1",
		breaks: write("Buildfile", "build: ./build.sh\n"), mends: modeOf("build.sh", 0o755, "#!/bin/sh\n")},

	{about: "figures, and no log streaming", check: "logs-off", where: ".ebextensions/26-instance.config|BEANPOLE_CLOUDWATCH_METRICS:",
		breaks: swap(".ebextensions/25-scaling.config", `StreamLogs: "true"`, `StreamLogs: "false"`), mends: swap(".ebextensions/25-scaling.config", `StreamLogs: "false"`, `StreamLogs: "true"`)},
	{about: "a policy for figures that nobody writes", check: "metrics-off", where: ".ebextensions/25-scaling.config:",
		breaks: swap(".ebextensions/26-instance.config", "    BEANPOLE_CLOUDWATCH_METRICS: /var/log/beanpole/metrics.log\n", ""),
		mends:  swap(".ebextensions/26-instance.config", "    BEANPOLE_ENVIRONMENT:", "    BEANPOLE_CLOUDWATCH_METRICS: /var/log/beanpole/metrics.log\n    BEANPOLE_ENVIRONMENT:")},
	{about: "a processor in Bytes", check: "trigger-unit", where: deployment + "|MeasureName",
		breaks: swap(deployment, "    Unit: Percent\n", ""), mends: swap(deployment, "    Statistic: Average\n", "    Statistic: Average\n    Unit: Percent\n")},
	{about: "more instances at least than at most", check: "size-order", where: deployment + "|MinSize",
		breaks: swap(deployment, `MinSize: "2"`, `MinSize: "5"`), mends: swap(deployment, `MaxSize: "4"`, `MaxSize: "5"`)},
	{about: "more than all of them", check: "batch-percentage", where: deployment + "|    BatchSize:",
		breaks: steps(swap(deployment, `BatchSize: "1"`, `BatchSize: "150"`), swap(deployment, "BatchSizeType: Fixed", "BatchSizeType: Percentage")), mends: swap(deployment, `BatchSize: "150"`, `BatchSize: "50"`)},
	{about: "updates without their time", check: "managed-actions", where: more + ":3",
		breaks: with("aws:elasticbeanstalk:managedactions:", `  ManagedActionsEnabled: "true"`),
		mends:  with("aws:elasticbeanstalk:managedactions:", `  ManagedActionsEnabled: "true"`, `  PreferredStartTime: "Tue:09:00"`, "aws:elasticbeanstalk:managedactions:platformupdate:", "  UpdateLevel: minor")},
	{about: "a folder that is not shipped", check: "static-files", where: more + ":3",
		breaks: with("aws:elasticbeanstalk:environment:proxy:staticfiles:", "  /public: public"), mends: write("public/index.html", "<p>")},
	{about: "a folder from the top of the instance", check: "static-files", where: more + ":3",
		breaks: with("aws:elasticbeanstalk:environment:proxy:staticfiles:", "  /public: /public"), mends: steps(with("aws:elasticbeanstalk:environment:proxy:staticfiles:", "  /public: public"), write("public/index.html", "<p>"))},
	{about: "a path that does not begin", check: "static-files", where: more + ":3",
		breaks: with("aws:elasticbeanstalk:environment:proxy:staticfiles:", "  public: public"), mends: steps(with("aws:elasticbeanstalk:environment:proxy:staticfiles:", "  /public: public"), write("public/index.html", "<p>"))},
	{about: "static files of the Docker platform", check: "static-files", where: more + ":3", platform: Docker,
		breaks: with("aws:elasticbeanstalk:environment:proxy:staticfiles:", "  /public: public"), mends: drop(more)},
	{about: "a copy of what is not shipped", check: "docker-copy", where: "Dockerfile|COPY dist", platform: Docker,
		breaks: swap("Dockerfile", "USER 65532", "COPY dist/app /app\nUSER 65532"), mends: write("dist/app", "")},
	{about: "JSON that is none", check: "dockerrun", where: dockerrunF, platform: Docker, breaks: write(dockerrunF, `{"AWSEBDockerrunVersion": "1",}`), mends: write(dockerrunF, `{"AWSEBDockerrunVersion": "1"}`)},
	{about: "a version that the platform does not take", check: "dockerrun", where: dockerrunF, platform: Docker, breaks: write(dockerrunF, `{"AWSEBDockerrunVersion": "3"}`), mends: write(dockerrunF, `{"AWSEBDockerrunVersion": 1}`)},
	{about: "an image beside a Dockerfile", check: "dockerrun", where: dockerrunF, platform: Docker,
		breaks: write(dockerrunF, `{"AWSEBDockerrunVersion": "1", "Image": {"Name": "chat"}, "Ports": [{"ContainerPort": "5000"}]}`), mends: write(dockerrunF, `{"AWSEBDockerrunVersion": "1", "Ports": [{"ContainerPort": 5000}]}`)},
	{about: "an image without ports", check: "dockerrun", where: dockerrunF, platform: Docker,
		breaks: steps(drop("Dockerfile"), write(dockerrunF, `{"AWSEBDockerrunVersion": "1", "Image": {"Name": "chat"}}`)), mends: write(dockerrunF, `{"AWSEBDockerrunVersion": "1", "Image": {"Name": "chat"}, "Ports": [{"ContainerPort": "5000"}]}`)},
	{about: "a port that the image does not expose", check: "dockerrun", where: dockerrunF, platform: Docker,
		breaks: write(dockerrunF, `{"AWSEBDockerrunVersion": "1", "Ports": [{"ContainerPort": "80"}]}`), mends: write(dockerrunF, `{"AWSEBDockerrunVersion": "1", "Ports": [{"ContainerPort": "5000"}]}`)},
}

// What a checkout on Windows does to files is in nobody's way where YAML, nginx and Docker read them.
func TestCarriageReturnsThatDoNoHarm(t *testing.T) {
	for platform, b := range map[Platform]*Bundle{Go: good(t), Docker: goodDocker(t)} {
		for _, name := range b.Names() {
			if strings.HasPrefix(name, ".ebextensions/") || strings.HasPrefix(name, ".platform/nginx/") || name == "Dockerfile" {
				b.Add(name, 0o644, bytes.ReplaceAll(b.text(name), []byte("\n"), []byte("\r\n")))
			}
			if strings.HasPrefix(name, ".ebextensions/") || name == "Dockerfile" {
				b.Add(name, 0o644, append([]byte(byteOrderMark), b.text(name)...))
			}
		}
		for _, f := range Run(t.Context(), b, Options{Platform: platform}) {
			t.Errorf("%s: %s: %s [%s]", platform, f.Where(), f.What, f.Check)
		}
		m := &model{bundle: b}
		m.readSettings()
		for _, s := range m.settings {
			if strings.ContainsAny(s.namespace+s.option+s.value, "\r\ufeff") {
				t.Errorf("%s: %q %q", s.where(), s.option, s.value)
			}
		}
	}
}

// A Dockerfile that an environment of the Go platform has beside it is nobody's concern.
func TestDockerfileOfTheGoPlatform(t *testing.T) {
	b := good(t)
	b.Add("Dockerfile", 0o644, []byte("FROM scratch\nCMD x\n"))
	for _, f := range Run(t.Context(), b, Options{Platform: Go, Nginx: "off"}) {
		t.Errorf("%s: %s [%s]", f.Where(), f.What, f.Check)
	}
	if len(Run(t.Context(), b, Options{Nginx: "off"})) == 0 {
		t.Error("the platform may be Docker, for all that is known")
	}
}

// A saved configuration of another name is taken with --cfg alone.
func TestSavedConfigurationGoesByItsName(t *testing.T) {
	for name, taken := range map[string]bool{"default.cfg.yml": true, "saved_configs/default.cfg.yml": true, "other.cfg.yml": false} {
		dir := t.TempDir()
		file := filepath.Join(dir, ".elasticbeanstalk", filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("OptionSettings: {}\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
		if got := readEB(dir).savedName != ""; got != taken {
			t.Errorf("%s is taken: %v", name, got)
		}
	}
}
