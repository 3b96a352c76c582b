package lint

import (
	"bytes"
	"strings"
	"testing"
)

// moreBundles are what nobody has come with yet.
var moreBundles = []bundleCase{
	{about: "nginx's folder one too high", check: "misplaced", where: ".platform/conf.d/",
		breaks: write(".platform/conf.d/x.conf", "gzip off;"), mends: drop(".platform/conf.d/x.conf")},
	{about: "platform without its dot", check: "misplaced", where: "platform/",
		breaks: write("platform/hooks/predeploy/x.sh", "#!/bin/sh"), mends: steps(drop("platform/hooks/predeploy/x.sh"), write("platform/users.go", "package platform"))},
	{about: "Connection: close to the application", check: "nginx-upgrade", where: passFile + ":3",
		breaks: swap(passFile, "$connection_upgrade;", "close;"), mends: swap(passFile, "Connection          close;", "Connection          $connection_upgrade;")},
	{about: "an if that refuses browsers", check: "nginx-location", where: extra + ":1",
		breaks: write(extra, "if ($http_user_agent ~* mozilla) { return 403; }"), mends: write(extra, "if ($http_user_agent ~* scraper) { return 403; }")},
	{about: "try_files before the application", check: "nginx-location", where: extra + ":1",
		breaks: write(extra, "location /socket.io/ { root /var/www; try_files $uri =404; }"),
		mends:  write(extra, "location /socket.io/ { root /var/www; try_files $uri @application; }\nlocation @application { "+pass+" }")},
	{about: "TLS between nginx and the application", check: "upstream-tls", where: passFile + "|proxy_pass",
		breaks: swap(passFile, "http://beanpole;", "https://beanpole;"), mends: swap(passFile, "https://beanpole;", "http://beanpole;")},
	{about: "queries in the access log", check: "log-query", where: passFile + "|access_log /var/log/nginx/access.log",
		breaks: swap(nginxConf, "$request_method $beanpole_path $server_protocol", "$request"), mends: swap(nginxConf, `"$request"`, `"$request_method $beanpole_path"`)},
	{about: "queries in a log of nginx's own format", check: "log-query", where: passFile + "|access_log /var/log/nginx/access.log",
		breaks: swap(passFile, "access.log main;", "access.log;"), mends: swap(passFile, "access.log;", "access.log main;")},
	{about: "queries in the error log, of what fails", check: "log-query", where: passFile + "|error_log",
		breaks: swap(passFile, "/dev/null emerg", "/var/log/nginx/error.log crit"), mends: swap(passFile, "/var/log/nginx/error.log crit", "/dev/null emerg")},
	{about: "a location that has the error log of all", check: "log-query", where: passFile + "|location / {",
		breaks: swap(passFile, "error_log  /dev/null emerg;", ""), mends: swap(passFile, "access_log /var/log/nginx/access.log main;", "access_log /var/log/nginx/access.log main; error_log /dev/null emerg;")},
	{about: "no server on the load balancer's port", check: "nginx-server", where: nginxConf + "|http {",
		breaks: swap(nginxConf, "80 default_server;", "8080 default_server;"), mends: swap(nginxConf, "8080 default_server;", "0.0.0.0:80 default_server;")},
	{about: "more connections than files", check: "worker-files", where: nginxConf + "|worker_rlimit_nofile",
		breaks: swap(nginxConf, "worker_rlimit_nofile    65536", "worker_rlimit_nofile    16384"), mends: swap(nginxConf, "worker_rlimit_nofile    16384", "worker_rlimit_nofile    65536")},
	{about: "a map that the platform's overrides", check: "nginx-map", where: inHTTP + ":1",
		breaks: func(t *testing.T, b *Bundle) {
			drop(nginxConf)(t, b)
			write(inHTTP, "map $http_upgrade $connection_upgrade { default upgrade; '' close; }")(t, b)
		},
		mends: func(t *testing.T, b *Bundle) {
			copyTree(t, b, top, ".platform")
			drop(inHTTP)(t, b)
		}},
	{about: "a rule that there is not", check: "rule-unknown", where: more + ":3",
		breaks: with("aws:elbv2:listener:default:", "  Rules: chat"), mends: with("aws:elbv2:listener:default:", "  Rules: chat", "aws:elbv2:listenerrule:chat:", "  HostHeaders: chat.example.com")},
	{about: "a rule that no listener has", check: "rule-unused", where: more + ":3",
		breaks: with("aws:elbv2:listenerrule:chat:", "  HostHeaders: chat.example.com"), mends: with("aws:elbv2:listener:default:", "  Rules: chat", "aws:elbv2:listenerrule:chat:", "  HostHeaders: chat.example.com")},
	{about: "two rules of one priority", check: "rule-priority", where: more,
		breaks: with("aws:elbv2:listener:default:", "  Rules: a,b", "aws:elbv2:listenerrule:a:", "  HostHeaders: a.example.com", "aws:elbv2:listenerrule:b:", "  HostHeaders: b.example.com"),
		mends: with("aws:elbv2:listener:default:", "  Rules: a,b", "aws:elbv2:listenerrule:a:", "  HostHeaders: a.example.com", "aws:elbv2:listenerrule:b:", "  HostHeaders: b.example.com",
			`  Priority: "2"`)},
	{about: "a process that there is not", check: "process-unknown", where: more + "|DefaultProcess",
		breaks: with("aws:elbv2:listener:default:", "  DefaultProcess: defualt"), mends: with("aws:elbv2:listener:default:", "  DefaultProcess: default")},
	{about: "a process that is noticed late", check: "health-slow", where: balancer + "|UnhealthyThresholdCount",
		breaks: swap(balancer, `UnhealthyThresholdCount: "2"`, `UnhealthyThresholdCount: "10"`), mends: swap(balancer, `UnhealthyThresholdCount: "10"`, `UnhealthyThresholdCount: "3"`)},
	{about: "an image whose port is in its own ENV", check: "port-mismatch", where: "Dockerfile|EXPOSE", platform: Docker,
		breaks: steps(swap(application, `    PORT: "5000"`+"\n", ""), swap("Dockerfile", "ENV PORT=5000", "ENV PORT=8080")), mends: swap("Dockerfile", "EXPOSE 5000", "EXPOSE 8080")},
	{about: "an instance type of the tutorials beside the bundle's", check: "instance-type-unused", where: more + ":3",
		breaks: with("aws:autoscaling:launchconfiguration:", "  InstanceType: t3.micro"), mends: with("aws:autoscaling:launchconfiguration:", "  InstanceType: m8g.medium")},
	{about: "a type that is none", check: "instance-type", where: deployment + "|    InstanceTypes",
		breaks: swap(deployment, "InstanceTypes: m8g.medium,m7g.medium,m6g.medium", "InstanceTypes: small"), mends: swap(deployment, "InstanceTypes: small", "InstanceTypes: c8g.large")},
	{about: "Git's folder", check: "git-shipped", where: ".git/", breaks: write(".git/config", "[core]"), mends: drop(".git/config")},
	{about: "a hook in a folder", check: "hook-folder", where: ".platform/hooks/predeploy/more/x.sh",
		breaks: func(_ *testing.T, b *Bundle) {
			b.Add(".platform/hooks/predeploy/more/x.sh", 0o755, []byte("#!/bin/sh\n"))
		},
		mends: drop(".platform/hooks/predeploy/more/x.sh")},
	{about: "a load balancer of which type nobody says", check: "load-balancer-unset", where: balancer,
		breaks: swap(balancer, "    LoadBalancerType: application\n", ""), mends: swap(balancer, "    EnvironmentType: LoadBalanced\n", "    EnvironmentType: LoadBalanced\n    LoadBalancerType: application\n")},
	{about: "the idle timeout of a shared load balancer", check: "shared-idle-timeout", where: balancer + "|    IdleTimeout",
		breaks: swap(balancer, "    LoadBalancerType: application\n", "    LoadBalancerType: application\n    LoadBalancerIsShared: \"true\"\n"),
		mends:  swap(balancer, `    IdleTimeout: "60"`, "    SecurityGroups: sg-1")},
	{about: "an idle timeout that is not the load balancer's", check: "idle-mismatch", where: application + "|BEANPOLE_IDLE_TIMEOUT",
		breaks: swap(application, "BEANPOLE_IDLE_TIMEOUT: 60s", "BEANPOLE_IDLE_TIMEOUT: 70s"), mends: swap(application, "BEANPOLE_IDLE_TIMEOUT: 70s", "BEANPOLE_IDLE_TIMEOUT: 60s")},
	{about: "a single instance that is to be deployed by batches", check: "single-rolling", where: deployment + "|DeploymentPolicy:",
		breaks: swap(balancer, "EnvironmentType: LoadBalanced", "EnvironmentType: SingleInstance"),
		mends:  steps(swap(deployment, "RollingWithAdditionalBatch", "AllAtOnce"), swap(application, `HOPS: "2"`, `HOPS: "1"`))},
	{about: "a Dockerrun.aws.json of the ECS platform", check: "dockerrun-v2", where: "Dockerrun.aws.json", platform: Docker,
		breaks: write("Dockerrun.aws.json", `{"AWSEBDockerrunVersion": 2, "containerDefinitions": []}`), mends: drop("Dockerrun.aws.json")},
	{about: "an image with nothing to run", check: "docker-cmd", where: "Dockerfile:", platform: Docker,
		breaks: swap("Dockerfile", `CMD ["/bin/application"]`, ""), mends: func(_ *testing.T, b *Bundle) {
			b.Add("Dockerfile", 0o644, append(b.text("Dockerfile"), []byte("ENTRYPOINT [\"/bin/application\"]\n")...))
		}},
	{about: "a program that is not executable in the zip", check: "binary-mode", where: "bin/application",
		breaks: func(_ *testing.T, b *Bundle) { b.Zip, b.Files["bin/application"].Mode = true, 0o644 },
		mends:  func(_ *testing.T, b *Bundle) { b.Files["bin/application"].Mode = 0o755 }},
	{about: "a program that needs a C library", check: "binary-dynamic", where: "bin/application",
		breaks: func(_ *testing.T, b *Bundle) { b.Add("bin/application", 0o755, dynamic(b.text("bin/application"))) }},
	{about: "an empty folder", check: "empty", where: "bundle", breaks: func(_ *testing.T, b *Bundle) { clear(b.Files) }},
	{about: "a bundle of more than 512 MB", check: "too-large", where: "bundle",
		breaks: func(_ *testing.T, b *Bundle) { b.Size = 600 << 20 }, mends: func(_ *testing.T, b *Bundle) { b.Size = 100 << 20 }},
	{about: "a name that leads out", check: "bad-name", where: "../x", breaks: write("../x", ""), mends: drop("../x")},
	{about: "nothing to run", check: "nothing-to-run", where: "bundle", breaks: drop("Procfile", "bin/application"), mends: write("Procfile", "web: /usr/bin/application\n")},
	{about: "a process that leaves", check: "procfile-background", where: "Procfile:1",
		breaks: write("Procfile", "web: bin/application &\n"), mends: write("Procfile", "web: bin/application\n")},
	{about: "a build without its module", check: "buildfile-module", where: "Buildfile:1",
		breaks: write("Buildfile", "build: go build -o bin/application .\n"), mends: write("go.mod", goMod)},
	{about: "a module that is not built on Beanpole", check: "no-beanpole", where: "go.mod",
		breaks: write("go.mod", "module example.com/shop\n"), mends: write("go.mod", goMod)},
	{about: "a byte order mark", check: "byte-order-mark", where: "Procfile:1",
		breaks: write("Procfile", "\xef\xbb\xbfweb: bin/application\n"), mends: write("Procfile", "web: bin/application\n")},
	{about: "a main package of two files, without Buildfile", check: "application-go", where: "more.go",
		breaks: steps(write("application.go", "package main"), write("more.go", "package main")), mends: drop("more.go")},
	{about: "a resource of no type", check: "resource-type", where: redisFile + "|  BeanpoleRedis:",
		breaks: swap(redisFile, "    Type: AWS::ElastiCache::ReplicationGroup\n", ""), mends: swap(redisFile, "  BeanpoleRedis:\n", "  BeanpoleRedis:\n    Type: AWS::ElastiCache::ReplicationGroup\n")},
	{about: "Redis with the default security group", check: "redis-security-group", where: redisFile + "|  BeanpoleRedis:",
		breaks: swap(redisFile, "SecurityGroupIds:", "LogDeliveryConfigurations:"), mends: swap(redisFile, "LogDeliveryConfigurations:", "SecurityGroupIds:")},
	{about: "an option in two files", check: "set-twice", where: more + ":3",
		breaks: properties("BEANPOLE_RECOVERY: 5m"), mends: properties("BEANPOLE_LOG_LEVEL: warn")},
	{about: "no nginx", check: "no-proxy", where: more + ":3",
		breaks: with("aws:elasticbeanstalk:environment:proxy:", "  ProxyServer: none"), mends: with("aws:elasticbeanstalk:environment:proxy:", "  ProxyServer: nginx")},
	{about: "a namespace without options", check: "config-option", where: more + ":2",
		breaks: with("aws:ec2:vpc: x"), mends: with("aws:ec2:vpc:", "  VPCId: vpc-1")},
}

// dynamic makes a program one that names a dynamic loader.
func dynamic(program []byte) []byte {
	const header, entry = 64, 56
	b := append(bytes.Clone(program[:header]), make([]byte, entry+32)...)
	b[32], b[54], b[56] = header, entry, 1 // one program header, behind that of the file
	b[header] = 3                          // PT_INTERP
	b[header+8], b[header+32] = header+entry, 28
	copy(b[header+entry:], "/lib64/ld-linux-x86-64.so.2")
	return b
}

// A configuration of nginx that is valid is read, and one that is not is no reason to hang.
func TestNginxSyntax(t *testing.T) {
	for _, text := range []string{
		`map $http_x $y { default ''; "~*^x{2,3}" a; '' "d;e{}"; }`,
		`location ~ \.(js|css)\$ { set $x ${y}z; return 204 "a\"b"; }`,
		`split_clients "${remote_addr}AAA" $variant { 0.5% .one; * ""; }`,
		"log_format main '$a' # comment {\n 'x\\'y';",
		`location ~ ^/a\;b\{c\ d { return 200; }`,
	} {
		if _, err := parseNginx("x", []byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	list, _ := parseNginx("x", []byte(`location ~ ^/a\;b\{c { return 200; }`))
	if len(list) != 1 || list[0].args[1] != `^/a\;b\{c` {
		t.Errorf("a letter behind a backslash is one of the word: %q", list[0].args)
	}
}

func TestArchitectureOfInstanceTypes(t *testing.T) {
	for kind, want := range map[string]string{
		"t4g.small": "arm64", "m6gd.large": "arm64", "c7gn.16xlarge": "arm64", "x2gd.medium": "arm64", "im4gn.large": "arm64", "is4gen.large": "arm64", "g5g.xlarge": "arm64",
		"hpc7g.4xlarge": "arm64", "a1.large": "arm64", "r8gb.large": "arm64", "i8ge.large": "arm64",
		"t3.micro": "x86_64", "t3a.micro": "x86_64", "g4dn.xlarge": "x86_64", "g4ad.xlarge": "x86_64", "g6.xlarge": "x86_64", "gr6.4xlarge": "x86_64", "m7i-flex.large": "x86_64",
		"m7a.large": "x86_64", "p5en.48xlarge": "x86_64", "u-6tb1.metal": "x86_64", "x2iedn.large": "x86_64", "inf2.xlarge": "x86_64", "c8i.large": "x86_64",
		"small": "",
	} {
		if got := architecture(kind); got != want {
			t.Errorf("architecture(%s) = %q, want %q", kind, got, want)
		}
	}
}

// Every option of the bundle and its variants, those in comments too, is in the list of the developer guide.
func TestEveryOptionIsListed(t *testing.T) {
	n := 0
	for _, root := range []string{top, top + "/deploy/network-load-balancer", top + "/deploy/shared-load-balancer", top + "/deploy/single-instance", top + "/deploy/docker", top + "/deploy/direct"} {
		b, err := openDir(root, parseIgnore("/deploy/\n/docs/\n/test/\n/server/\n/adapter/\n/transport/\nnode_modules/\n/.git\n/build/\n"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range b.under(".ebextensions") {
			for _, text := range []string{string(b.text(name)), uncommented(string(b.text(name)))} {
				m := &model{bundle: b}
				m.readConfig(name, []byte(text), nil)
				kind, _ := m.get(nsEnvironment, "LoadBalancerType")
				for _, s := range m.settings {
					n++
					known, ok := lookup(s.namespace)
					o, free := known[anyOption]
					if !free && ok {
						o, ok = known[s.option]
					}
					if !ok {
						t.Errorf("%s: %s %s is not in options.tsv", name, s.namespace, s.option)
					} else if want := o.wants(s.value, kind.value); want != "" && !strings.Contains(s.value, "`") {
						t.Errorf("%s: %s %s is %q: want %s", name, s.namespace, s.option, s.value, want)
					}
				}
				for _, f := range m.findings {
					t.Errorf("%s: %s", f.Where(), f.What)
				}
			}
		}
		_ = b.Close()
	}
	if n < 100 {
		t.Errorf("%d options were held against the list", n)
	}
}

// uncommented takes the comment signs away from options, as a reader would: from "# aws:…" to the end of its comment.
func uncommented(text string) string {
	var out strings.Builder
	options := false
	for line := range strings.Lines(text) {
		bare := strings.TrimLeft(line, " ")
		rest, comment := strings.CutPrefix(bare, "# ")
		options = comment && (strings.HasPrefix(rest, "aws:") || options && strings.HasPrefix(rest, "  "))
		if options {
			line = line[:len(line)-len(bare)] + rest
		}
		out.WriteString(line)
	}
	return out.String()
}
