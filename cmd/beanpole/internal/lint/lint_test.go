package lint

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	balancer    = ".ebextensions/10-load-balancer.config"
	deployment  = ".ebextensions/15-deployment.config"
	application = ".ebextensions/20-application.config"
	redisFile   = ".ebextensions/30-redis.config"
	drainHook   = ".platform/hooks/predeploy/10_drain.sh"
	location    = ".platform/nginx/conf.d/elasticbeanstalk/00_application.conf"
	nginxConf   = ".platform/nginx/nginx.conf"
)

func TestGoodBundlesHaveNoFindings(t *testing.T) {
	for name, b := range map[Platform]*Bundle{Go: good(t), Docker: goodDocker(t)} {
		for _, f := range Run(t.Context(), b, Options{Platform: name}) {
			t.Errorf("%s: %s: %s [%s]", name, f.Where(), f.What, f.Check)
		}
	}
}

// Each breaks the good bundle in one way and must be told by that name, at that place, before anything else of
// the same severity.
func TestBrokenBundlesAreNamed(t *testing.T) {
	tests := []struct {
		check, where string
		breaks       func(t *testing.T, b *Bundle)
	}{
		{"unknown-option", balancer + "|StickynessEnabled", func(t *testing.T, b *Bundle) {
			edit(t, b, balancer, "StickinessEnabled:", "StickynessEnabled:")
			edit(t, b, application, "BEANPOLE_RECOVERY", "BEANPOLE_TRANSPORTS: websocket\n    BEANPOLE_RECOVERY")
		}},
		{"unknown-namespace", balancer + "|    IdleTimeout", func(t *testing.T, b *Bundle) {
			edit(t, b, balancer, "  aws:elbv2:loadbalancer:", "  aws:elbv2:loadbalancers:")
		}},
		{"bad-value", balancer + "|HealthCheckInterval", func(t *testing.T, b *Bundle) {
			edit(t, b, balancer, `HealthCheckInterval: "10"`, `HealthCheckInterval: "3"`)
		}},
		{"bad-value", balancer + "|StickinessType", func(t *testing.T, b *Bundle) {
			edit(t, b, balancer, "StickinessType: lb_cookie", "StickinessType: app_cookie")
		}},
		{"bad-value", deployment + "|DeploymentPolicy:", func(t *testing.T, b *Bundle) { edit(t, b, deployment, "RollingWithAdditionalBatch", "rolling") }},
		{"yaml", balancer + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, balancer, "  aws:elbv2:loadbalancer:", "\taws:elbv2:loadbalancer:")
		}},
		{"duplicate-key", application + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, application, "  # Needs a platform", "  aws:elasticbeanstalk:application:environment:\n    A: b\n  # Needs a platform")
		}},
		{"config-section", application + ":3", func(t *testing.T, b *Bundle) { edit(t, b, application, "option_settings:", "option_setting:") }},
		{"config-suffix", ".ebextensions/40.yml", func(_ *testing.T, b *Bundle) { b.Add(".ebextensions/40.yml", 0o644, []byte("option_settings:\n")) }},
		{"amazon-linux-1", ".ebextensions/90-amazon-linux-1.config:", func(t *testing.T, b *Bundle) {
			edit(t, b, ".ebextensions/90-amazon-linux-1.config", "    test: test -f '/tmp/deployment/config/#etc#nginx#conf.d#00_elastic_beanstalk_proxy.conf'\n", "")
		}},
		{"amazon-linux-1", ".ebextensions/nginx/x.conf", func(_ *testing.T, b *Bundle) { b.Add(".ebextensions/nginx/x.conf", 0o644, []byte("gzip on;\n")) }},
		{"amazon-linux-1", ".ebextensions/50.config:2", func(_ *testing.T, b *Bundle) {
			b.Add(".ebextensions/50.config", 0o644, []byte("files:\n  /etc/nginx/conf.d/proxy.conf:\n    content: client_max_body_size 9m;\n"))
		}},
		{"amazon-linux-1", ".ebextensions/50.config:2", func(_ *testing.T, b *Bundle) {
			b.Add(".ebextensions/50.config", 0o644, []byte("files:\n  /opt/elasticbeanstalk/hooks/appdeploy/post/99.sh:\n    content: 'true'\n"))
		}},
		{"stickiness-off", balancer + "|StickinessEnabled", func(t *testing.T, b *Bundle) {
			edit(t, b, balancer, `StickinessEnabled: "true"`, `StickinessEnabled: "false"`)
		}},
		{"classic-load-balancer", balancer + "|LoadBalancerType", func(t *testing.T, b *Bundle) {
			edit(t, b, balancer, "LoadBalancerType: application", "LoadBalancerType: classic")
		}},
		{"listener-certificate", ".ebextensions/60.config:3", func(_ *testing.T, b *Bundle) {
			b.Add(".ebextensions/60.config", 0o644, []byte("option_settings:\n  aws:elbv2:listener:443:\n    Protocol: HTTPS\n"))
		}},
		{"ping-above-idle", application + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, application, "    BEANPOLE_RECOVERY", "    BEANPOLE_PING_INTERVAL: 50s\n    BEANPOLE_RECOVERY")
		}},
		{"traffic-splitting", deployment + "|DeploymentPolicy:", func(t *testing.T, b *Bundle) {
			edit(t, b, deployment, "RollingWithAdditionalBatch", "TrafficSplitting")
		}},
		{"all-at-once", deployment + "|DeploymentPolicy:", func(t *testing.T, b *Bundle) { edit(t, b, deployment, "RollingWithAdditionalBatch", "AllAtOnce") }},
		{"scaling-trigger", deployment + ":", func(t *testing.T, b *Bundle) { edit(t, b, deployment, "CPUUtilization", "NetworkOut") }},
		{"health-path", balancer + "|HealthCheckPath", func(t *testing.T, b *Bundle) { edit(t, b, balancer, "HealthCheckPath: /healthz", "HealthCheckPath: /") }},
		{"health-timing", balancer + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, balancer, `HealthCheckTimeout: "5"`, `HealthCheckTimeout: "10"`)
		}},
		{"trusted-hops", application + ":", func(t *testing.T, b *Bundle) { edit(t, b, application, `HOPS: "2"`, `HOPS: "1"`) }},
		{"shutdown-timeout", application + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, application, "    BEANPOLE_RECOVERY", "    BEANPOLE_SHUTDOWN_TIMEOUT: 2m\n    BEANPOLE_RECOVERY")
		}},
		{"deregistration-delay", balancer + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, balancer, `DeregistrationDelay: "30"`, `DeregistrationDelay: "1"`)
		}},
		{"environment-size", redisFile + "|    REDIS_URL", func(t *testing.T, b *Bundle) {
			edit(t, b, application, "    BEANPOLE_RECOVERY", "    GREETING: "+strings.Repeat("x", 4096)+"\n    BEANPOLE_RECOVERY")
		}},
		{"secret", application + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, application, "    BEANPOLE_RECOVERY", "    DB_PASSWORD: hunter2\n    BEANPOLE_RECOVERY")
		}},
		{"no-redis", balancer, func(_ *testing.T, b *Bundle) { delete(b.Files, redisFile) }},
		{"redis-tls", redisFile + ":", func(t *testing.T, b *Bundle) { edit(t, b, redisFile, `"rediss://"`, `"redis://"`) }},
		{"bad-function", redisFile + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, redisFile, "PrimaryEndPoint.Address", "PrimaryEndpoint.Address")
		}},
		{"bad-function", redisFile + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, redisFile, `"BeanpoleRedis","PrimaryEndPoint.Port"`, `"Redis","PrimaryEndPoint.Port"`)
		}},
		{"resource-property", redisFile + ":", func(t *testing.T, b *Bundle) { edit(t, b, redisFile, "NumCacheClusters", "NumCacheNodes") }},
		{"hook-mode", drainHook, func(_ *testing.T, b *Bundle) { b.Files[drainHook].Mode = 0o644 }},
		{"crlf", drainHook + ":1", func(_ *testing.T, b *Bundle) {
			b.Add(drainHook, 0o755, bytes.ReplaceAll(b.text(drainHook), []byte("\n"), []byte("\r\n")))
		}},
		{"hook-shebang", drainHook + ":1", func(t *testing.T, b *Bundle) { edit(t, b, drainHook, "#!/bin/bash\n", "") }},
		{"hook-stage", ".platform/hooks/afterdeploy/x.sh", func(_ *testing.T, b *Bundle) { b.Add(".platform/hooks/afterdeploy/x.sh", 0o755, []byte("#!/bin/sh\n")) }},
		{"confighook-missing", drainHook, func(_ *testing.T, b *Bundle) { delete(b.Files, ".platform/confighooks/predeploy/10_drain.sh") }},
		{"no-drain", ".platform/hooks/predeploy", func(_ *testing.T, b *Bundle) { delete(b.Files, drainHook) }},
		{"nginx-duplicate", ".platform/nginx/conf.d/elasticbeanstalk/01_x.conf:1", func(_ *testing.T, b *Bundle) {
			b.Add(".platform/nginx/conf.d/elasticbeanstalk/01_x.conf", 0o644, []byte("location / { proxy_pass http://127.0.0.1:5000; }\n"))
		}},
		{"nginx-context", ".platform/nginx/conf.d/x.conf:2", func(_ *testing.T, b *Bundle) {
			b.Add(".platform/nginx/conf.d/x.conf", 0o644, []byte("# ours\nlocation /socket.io/ { proxy_pass http://127.0.0.1:5000; }\n"))
		}},
		{"nginx-context", ".platform/nginx/conf.d/x.conf:1", func(_ *testing.T, b *Bundle) {
			b.Add(".platform/nginx/conf.d/x.conf", 0o644, []byte("worker_connections 9999;\n"))
		}},
		{"nginx-duplicate", ".platform/nginx/conf.d/elasticbeanstalk/x.conf:1", func(_ *testing.T, b *Bundle) {
			b.Add(".platform/nginx/conf.d/elasticbeanstalk/x.conf", 0o644, []byte("keepalive_timeout 75;\n"))
		}},
		{"nginx-default-server", nginxConf + "|default_server", func(_ *testing.T, b *Bundle) {
			b.Add(".platform/nginx/conf.d/a.conf", 0o644, []byte("server { listen 80 default_server; return 404; }\n"))
		}},
		{"nginx-upgrade", ".platform/nginx/conf.d/own.conf:1", func(_ *testing.T, b *Bundle) {
			b.Add(".platform/nginx/conf.d/own.conf", 0o644, []byte("server { listen 80; server_name .example.com; location / { proxy_pass http://127.0.0.1:5000; } }\n"))
		}},
		{"nginx-upgrade", location + ":3", func(t *testing.T, b *Bundle) {
			edit(t, b, location, "    proxy_set_header    Upgrade             $http_upgrade;\n", "")
		}},
		{"nginx-syntax", location + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, location, "if=$beanpole_healthd;\n", "if=$beanpole_healthd\n")
		}},
		{"nginx-folder", ".platform/nginx/sites/x.conf", func(_ *testing.T, b *Bundle) { b.Add(".platform/nginx/sites/x.conf", 0o644, []byte("gzip on;\n")) }},
		{"nginx-test", location + ":", func(t *testing.T, b *Bundle) { edit(t, b, location, "proxy_buffering off;", "proxy_bufering off;") }},
		{"nginx-include", nginxConf + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, nginxConf, "        include conf.d/elasticbeanstalk/*.conf;\n", "        location / { proxy_pass http://beanpole; proxy_http_version 1.1; proxy_read_timeout 75s; client_max_body_size 2m; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; }\n")
		}},
		{"worker-connections", nginxConf + ":", func(t *testing.T, b *Bundle) { edit(t, b, nginxConf, "32768", "1024") }},
		{"keepalive-race", nginxConf + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, nginxConf, "keepalive_timeout     75", "keepalive_timeout     60")
		}},
		{"body-size", location + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, location, "client_max_body_size    2m", "client_max_body_size    512k")
		}},
		{"proxy-read-timeout", location + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, location, "proxy_read_timeout    75s", "proxy_read_timeout    30s")
		}},
		{"port-mismatch", ".platform/nginx/conf.d/beanpole.conf:", func(t *testing.T, b *Bundle) { edit(t, b, application, `PORT: "5000"`, `PORT: "8080"`) }},
		{"no-platform", ".platform", func(_ *testing.T, b *Bundle) {
			for _, name := range b.under(".platform") {
				delete(b.Files, name)
			}
		}},
		{"procfile-web", "Procfile:1", func(_ *testing.T, b *Bundle) { b.Add("Procfile", 0o644, []byte("app: bin/application\n")) }},
		{"procfile-line", "Procfile:1", func(_ *testing.T, b *Bundle) { b.Add("Procfile", 0o644, []byte("# start\nweb: bin/application\n")) }},
		{"procfile-missing", "Procfile:1", func(_ *testing.T, b *Bundle) { delete(b.Files, "bin/application") }},
		{"binary-architecture", "bin/application", func(_ *testing.T, b *Bundle) {
			b.Add("bin/application", 0o755, program(0x3e)) // the bundle's instances are arm64
		}},
		{"binary-system", "bin/application", func(_ *testing.T, b *Bundle) { b.Add("bin/application", 0o755, []byte("MZ this is for Windows")) }},
		{"top-folder", "app/", func(_ *testing.T, b *Bundle) {
			for _, name := range b.Names() {
				f := b.Files[name]
				delete(b.Files, name)
				b.Add("app/"+name, f.Mode, f.text())
			}
		}},
		{"backslash", `bin\application`, func(_ *testing.T, b *Bundle) { b.Add(`bin\application`, 0o755, program(0x3e)) }},
	}
	for _, test := range tests {
		t.Run(test.check, func(t *testing.T) {
			b := good(t)
			test.breaks(t, b)
			findings := Run(t.Context(), b, Options{Platform: Go})
			for _, f := range findings {
				if f.Check == test.check && strings.HasPrefix(f.Where(), place(t, b, test.where)) {
					if f.What == "" || f.Why == "" || f.Fix == "" {
						t.Errorf("finding %+v does not say everything", f)
					}
					return
				}
			}
			t.Errorf("no %s at %s in:", test.check, test.where)
			for _, f := range findings {
				t.Logf("%s: %s [%s]", f.Where(), f.What, f.Check)
			}
		})
	}
}

// place makes file:line of file|text, the first line that has the text.
func place(t *testing.T, b *Bundle, where string) string {
	t.Helper()
	file, text, ok := strings.Cut(where, "|")
	if !ok {
		return where
	}
	n := 0
	for line := range strings.Lines(string(b.text(file))) {
		if n++; strings.Contains(line, text) {
			return fmt.Sprintf("%s:%d", file, n)
		}
	}
	t.Fatalf("%s does not contain %q", file, text)
	return ""
}

func TestBrokenImagesAreNamed(t *testing.T) {
	tests := []struct {
		check, where string
		breaks       func(t *testing.T, b *Bundle)
	}{
		{"docker-expose", "Dockerfile:", func(t *testing.T, b *Bundle) { edit(t, b, "Dockerfile", "EXPOSE 5000", "EXPOSE 5000 5001") }},
		{"docker-expose", "Dockerfile:", func(t *testing.T, b *Bundle) { edit(t, b, "Dockerfile", "EXPOSE 5000", "") }},
		{"docker-shell-form", "Dockerfile:", func(t *testing.T, b *Bundle) {
			edit(t, b, "Dockerfile", `CMD ["/bin/application"]`, "CMD /bin/application")
		}},
		{"docker-root", "Dockerfile:", func(t *testing.T, b *Bundle) { edit(t, b, "Dockerfile", "USER 65532:65532", "") }},
		{"docker-loopback", "Dockerfile:", func(t *testing.T, b *Bundle) {
			edit(t, b, "Dockerfile", "ENV PORT=5000", "ENV PORT=5000 HOST=127.0.0.1")
		}},
		{"port-mismatch", "Dockerfile:", func(t *testing.T, b *Bundle) { edit(t, b, application, `PORT: "5000"`, `PORT: "8080"`) }},
		{"compose", "docker-compose.yml", func(_ *testing.T, b *Bundle) { b.Add("docker-compose.yml", 0o644, []byte("services: {}\n")) }},
		{"shutdown-timeout", application + ":", func(t *testing.T, b *Bundle) {
			edit(t, b, application, "    BEANPOLE_RECOVERY", "    BEANPOLE_SHUTDOWN_TIMEOUT: 20s\n    BEANPOLE_RECOVERY")
		}},
		{"nginx-duplicate", location, func(_ *testing.T, b *Bundle) {
			delete(b.Files, nginxConf)
			b.Add(location, 0o644, []byte("location / { proxy_pass http://docker; }\n"))
		}},
	}
	for _, test := range tests {
		t.Run(test.check, func(t *testing.T) {
			b := goodDocker(t)
			test.breaks(t, b)
			findings := Run(t.Context(), b, Options{Platform: Docker})
			for _, f := range findings {
				if f.Check == test.check && strings.HasPrefix(f.Where(), test.where) {
					return
				}
			}
			t.Errorf("no %s at %s in %v", test.check, test.where, findings)
		})
	}
}

// A guard makes the old command harmless, and a forgotten one does not.
func TestGuardedCommandsAreLeft(t *testing.T) {
	b := good(t)
	b.Add(".ebextensions/50.config", 0o644, []byte("container_commands:\n  01:\n    command: |\n      if [ -f '/tmp/x#etc#nginx' ]; then\n        sed -i s/a/b/ '/tmp/x#etc#nginx'\n      fi\n"))
	for _, f := range Run(t.Context(), b, Options{Nginx: "off"}) {
		t.Errorf("%s: %s [%s]", f.Where(), f.What, f.Check)
	}
}

func TestZipWithoutModes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "app.zip")
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(out)
	from := good(t)
	for _, n := range from.Names() {
		w, err := z.Create(n) // as Windows does: no mode
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(from.text(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got := make(map[string]bool)
	for _, f := range Run(t.Context(), b, Options{Nginx: "off"}) {
		got[f.Check] = true
	}
	if !got["hook-mode"] || !got["binary-mode"] {
		t.Errorf("findings %v lack hook-mode and binary-mode", got)
	}
}

func TestIgnoredFilesAreNotShipped(t *testing.T) {
	list := parseIgnore("# comment\n*.log\nbuild/\n/docs\ndeploy/*.yml\n!keep.log\n")
	for name, want := range map[string]bool{
		"a.log": true, "x/b.log": true, "keep.log": false, "docs": true, "x/docs": false, "deploy/a.yml": true, "a.yml": false,
	} {
		if got := list.match(name, false); got != want {
			t.Errorf("match(%q) = %v, want %v", name, got, want)
		}
	}
	if !list.match("x/build", true) || list.match("build", false) {
		t.Error("build/ must match folders only")
	}
}

func FuzzParseNginx(f *testing.F) {
	for _, text := range Stock(Go) {
		f.Add(text)
	}
	f.Add([]byte("a { b 'c;' ${d} \"e\\\"\"; }"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = parseNginx("x", text)
	})
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("option_settings:\n  a:\n    b: c\n"))
	f.Add([]byte("option_settings:\n- namespace: a\n  option_name: b\n  value: [c]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b := &Bundle{}
		b.Add(".ebextensions/a.config", 0o644, text)
		Run(t.Context(), b, Options{Nginx: "off"})
	})
}
