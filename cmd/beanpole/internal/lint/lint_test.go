package lint

import (
	"archive/zip"
	"bytes"
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
	passFile    = ".platform/nginx/conf.d/elasticbeanstalk/00_application.conf"
	nginxConf   = ".platform/nginx/nginx.conf"
)

func TestGoodBundlesHaveNoFindings(t *testing.T) {
	for name, b := range map[Platform]*Bundle{Go: good(t), Docker: goodDocker(t)} {
		for _, f := range Run(t.Context(), b, Options{Platform: name}) {
			t.Errorf("%s: %s: %s [%s]", name, f.Where(), f.What, f.Check)
		}
	}
}

// brokenBundles break the good bundle in one way each.
var brokenBundles = []bundleCase{
	{about: "an option's name with a slip of the pen", check: "unknown-option", where: balancer + "|StickynessEnabled", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, balancer, "StickinessEnabled:", "StickynessEnabled:")
		edit(t, b, application, "BEANPOLE_RECOVERY", "BEANPOLE_TRANSPORTS: websocket\n    BEANPOLE_RECOVERY")
	}},
	{about: "a namespace's name with one", check: "unknown-namespace", where: balancer + "|    IdleTimeout", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, balancer, "  aws:elbv2:loadbalancer:", "  aws:elbv2:loadbalancers:")
	}},
	{about: "a health check every 3 s, which is below the range", check: "bad-value", where: balancer + "|HealthCheckInterval", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, balancer, `HealthCheckInterval: "10"`, `HealthCheckInterval: "3"`)
	}},
	{about: "a stickiness that Elastic Beanstalk does not have", check: "bad-value", where: balancer + "|StickinessType", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, balancer, "StickinessType: lb_cookie", "StickinessType: app_cookie")
	}},
	{about: "a value in small letters", check: "bad-value", where: deployment + "|DeploymentPolicy:", breaks: func(t *testing.T, b *Bundle) { edit(t, b, deployment, "RollingWithAdditionalBatch", "rolling") }},
	{about: "a tab in the YAML", check: "yaml", where: balancer + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, balancer, "  aws:elbv2:loadbalancer:", "\taws:elbv2:loadbalancer:")
	}},
	{about: "a namespace that a file has twice", check: "duplicate-key", where: application + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, application, "  # Needs a platform", "  aws:elasticbeanstalk:application:environment:\n    A: b\n  # Needs a platform")
	}},
	{about: "a section with a slip of the pen", check: "config-section", where: application + ":3", breaks: func(t *testing.T, b *Bundle) { edit(t, b, application, "option_settings:", "option_setting:") }},
	{about: "a .yml in .ebextensions", check: "config-suffix", where: ".ebextensions/40.yml", breaks: func(_ *testing.T, b *Bundle) { b.Add(".ebextensions/40.yml", 0o644, []byte("option_settings:\n")) }},
	{about: "the tutorials' sed, unguarded", check: "amazon-linux-1", where: ".ebextensions/90-amazon-linux-1.config:", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, ".ebextensions/90-amazon-linux-1.config", "    test: test -f '/tmp/deployment/config/#etc#nginx#conf.d#00_elastic_beanstalk_proxy.conf'\n", "")
	}},
	{about: "nginx files in .ebextensions/nginx", check: "amazon-linux-1", where: ".ebextensions/nginx/x.conf", breaks: func(_ *testing.T, b *Bundle) { b.Add(".ebextensions/nginx/x.conf", 0o644, []byte("gzip on;\n")) }},
	{about: "a file written to /etc/nginx", check: "amazon-linux-1", where: ".ebextensions/50.config:2", breaks: func(_ *testing.T, b *Bundle) {
		b.Add(".ebextensions/50.config", 0o644, []byte("files:\n  /etc/nginx/conf.d/proxy.conf:\n    content: client_max_body_size 9m;\n"))
	}},
	{about: "a hook in /opt/elasticbeanstalk/hooks", check: "amazon-linux-1", where: ".ebextensions/50.config:2", breaks: func(_ *testing.T, b *Bundle) {
		b.Add(".ebextensions/50.config", 0o644, []byte("files:\n  /opt/elasticbeanstalk/hooks/appdeploy/post/99.sh:\n    content: 'true'\n"))
	}},
	{about: "stickiness off, with polling", check: "stickiness-off", where: balancer + "|StickinessEnabled", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, balancer, `StickinessEnabled: "true"`, `StickinessEnabled: "false"`)
	}},
	{about: "a classic load balancer", check: "classic-load-balancer", where: balancer + "|LoadBalancerType", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, balancer, "LoadBalancerType: application", "LoadBalancerType: classic")
	}},
	{about: "HTTPS without a certificate", check: "listener-certificate", where: ".ebextensions/60.config:3", breaks: func(_ *testing.T, b *Bundle) {
		b.Add(".ebextensions/60.config", 0o644, []byte("option_settings:\n  aws:elbv2:listener:443:\n    Protocol: HTTPS\n"))
	}},
	{about: "a heartbeat that is slower than the load balancer's idle timeout", check: "ping-above-idle", where: application + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, application, "    BEANPOLE_RECOVERY", "    BEANPOLE_PING_INTERVAL: 50s\n    BEANPOLE_RECOVERY")
	}},
	{about: "traffic splitting, with polling", check: "traffic-splitting", where: deployment + "|DeploymentPolicy:", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, deployment, "RollingWithAdditionalBatch", "TrafficSplitting")
	}},
	{about: "all instances at once", check: "all-at-once", where: deployment + "|DeploymentPolicy:", breaks: func(t *testing.T, b *Bundle) { edit(t, b, deployment, "RollingWithAdditionalBatch", "AllAtOnce") }},
	{about: "instances taken away by NetworkOut", check: "scaling-trigger", where: deployment + ":", breaks: func(t *testing.T, b *Bundle) { edit(t, b, deployment, "CPUUtilization", "NetworkOut") }},
	{about: "a health check for /", check: "health-path", where: balancer + "|HealthCheckPath", breaks: func(t *testing.T, b *Bundle) { edit(t, b, balancer, "HealthCheckPath: /healthz", "HealthCheckPath: /") }},
	{about: "a health check that may take as long as its interval", check: "health-timing", where: balancer + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, balancer, `HealthCheckTimeout: "5"`, `HealthCheckTimeout: "10"`)
	}},
	{about: "one trusted hop behind two proxies", check: "trusted-hops", where: application + ":", breaks: func(t *testing.T, b *Bundle) { edit(t, b, application, `HOPS: "2"`, `HOPS: "1"`) }},
	{about: "a stop that takes longer than systemd waits", check: "shutdown-timeout", where: application + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, application, "    BEANPOLE_RECOVERY", "    BEANPOLE_SHUTDOWN_TIMEOUT: 2m\n    BEANPOLE_RECOVERY")
	}},
	{about: "a deregistration that ends before the drain", check: "deregistration-delay", where: balancer + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, balancer, `DeregistrationDelay: "30"`, `DeregistrationDelay: "1"`)
	}},
	{about: "more than 4,096 bytes of properties", check: "environment-size", where: redisFile + "|    REDIS_URL", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, application, "    BEANPOLE_RECOVERY", "    GREETING: "+strings.Repeat("x", 4096)+"\n    BEANPOLE_RECOVERY")
	}},
	{about: "a password by its name", check: "secret", where: application + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, application, "    BEANPOLE_RECOVERY", "    DB_PASSWORD: hunter2\n    BEANPOLE_RECOVERY")
	}},
	{about: "several instances without Redis", check: "no-redis", where: balancer, breaks: func(_ *testing.T, b *Bundle) { delete(b.Files, redisFile) }},
	{about: "REDIS_URL without TLS, and ElastiCache with", check: "redis-tls", where: redisFile + ":", breaks: func(t *testing.T, b *Bundle) { edit(t, b, redisFile, `"rediss://"`, `"redis://"`) }},
	{about: "an attribute spelt Endpoint", check: "bad-function", where: redisFile + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, redisFile, "PrimaryEndPoint.Address", "PrimaryEndpoint.Address")
	}},
	{about: "a function that names no resource", check: "bad-function", where: redisFile + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, redisFile, `"BeanpoleRedis","PrimaryEndPoint.Port"`, `"Redis","PrimaryEndPoint.Port"`)
	}},
	{about: "NumCacheNodes in a replication group", check: "resource-property", where: redisFile + ":", breaks: func(t *testing.T, b *Bundle) { edit(t, b, redisFile, "NumCacheClusters", "NumCacheNodes") }},
	{about: "a hook that is not executable", check: "hook-mode", where: drainHook, breaks: func(_ *testing.T, b *Bundle) { b.Files[drainHook].Mode = 0o644 }},
	{about: "a hook with CR LF", check: "crlf", where: drainHook + ":1", breaks: func(_ *testing.T, b *Bundle) {
		b.Add(drainHook, 0o755, bytes.ReplaceAll(b.text(drainHook), []byte("\n"), []byte("\r\n")))
	}},
	{about: "a hook without #!", check: "hook-shebang", where: drainHook + ":1", breaks: func(t *testing.T, b *Bundle) { edit(t, b, drainHook, "#!/bin/bash\n", "") }},
	{about: "a stage of hooks that there is not", check: "hook-stage", where: ".platform/hooks/afterdeploy/x.sh", breaks: func(_ *testing.T, b *Bundle) { b.Add(".platform/hooks/afterdeploy/x.sh", 0o755, []byte("#!/bin/sh\n")) }},
	{about: "a drain for deployments and none for changes of configuration", check: "confighook-missing", where: drainHook, breaks: func(_ *testing.T, b *Bundle) { delete(b.Files, ".platform/confighooks/predeploy/10_drain.sh") }},
	{about: "no drain", check: "no-drain", where: ".platform/hooks/predeploy", breaks: func(_ *testing.T, b *Bundle) { delete(b.Files, drainHook) }},
	{about: "a second location /", check: "nginx-duplicate", where: ".platform/nginx/conf.d/elasticbeanstalk/01_x.conf:1", breaks: func(_ *testing.T, b *Bundle) {
		b.Add(".platform/nginx/conf.d/elasticbeanstalk/01_x.conf", 0o644, []byte("location / { proxy_pass http://127.0.0.1:5000; }\n"))
	}},
	{about: "a location in http{}", check: "nginx-context", where: ".platform/nginx/conf.d/x.conf:2", breaks: func(_ *testing.T, b *Bundle) {
		b.Add(".platform/nginx/conf.d/x.conf", 0o644, []byte("# ours\nlocation /socket.io/ { proxy_pass http://127.0.0.1:5000; }\n"))
	}},
	{about: "worker_connections outside of nginx.conf", check: "nginx-context", where: ".platform/nginx/conf.d/x.conf:1", breaks: func(_ *testing.T, b *Bundle) {
		b.Add(".platform/nginx/conf.d/x.conf", 0o644, []byte("worker_connections 9999;\n"))
	}},
	{about: "keepalive_timeout a second time in server{}", check: "nginx-duplicate", where: ".platform/nginx/conf.d/elasticbeanstalk/x.conf:1", breaks: func(_ *testing.T, b *Bundle) {
		b.Add(".platform/nginx/conf.d/elasticbeanstalk/x.conf", 0o644, []byte("keepalive_timeout 75;\n"))
	}},
	{about: "a second default server", check: "nginx-default-server", where: nginxConf + "|default_server", breaks: func(_ *testing.T, b *Bundle) {
		b.Add(".platform/nginx/conf.d/a.conf", 0o644, []byte("server { listen 80 default_server; return 404; }\n"))
	}},
	{about: "a server{} for a host, without Upgrade", check: "nginx-upgrade", where: ".platform/nginx/conf.d/own.conf:1", breaks: func(_ *testing.T, b *Bundle) {
		b.Add(".platform/nginx/conf.d/own.conf", 0o644, []byte("server { listen 80; server_name .example.com; location / { proxy_pass http://127.0.0.1:5000; } }\n"))
	}},
	{about: "a location without Upgrade", check: "nginx-upgrade", where: passFile + ":3", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, passFile, "    proxy_set_header    Upgrade             $http_upgrade;\n", "")
	}},
	{about: "a line of nginx without ;", check: "nginx-syntax", where: passFile + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, passFile, "if=$beanpole_healthd;\n", "if=$beanpole_healthd\n")
	}},
	{about: "nginx files in a folder that is not included", check: "nginx-folder", where: ".platform/nginx/sites/x.conf", breaks: func(_ *testing.T, b *Bundle) { b.Add(".platform/nginx/sites/x.conf", 0o644, []byte("gzip on;\n")) }},
	{about: "a directive that nginx does not know", check: "nginx-test", where: passFile + ":", breaks: func(t *testing.T, b *Bundle) { edit(t, b, passFile, "proxy_buffering off;", "proxy_bufering off;") }},
	{about: "an nginx.conf that does not include the platform's files", check: "nginx-include", where: nginxConf + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, nginxConf, "        include conf.d/elasticbeanstalk/*.conf;\n", "        location / { proxy_pass http://beanpole; proxy_http_version 1.1; proxy_read_timeout 75s; client_max_body_size 2m; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; }\n")
	}},
	{about: "1,024 connections for each worker", check: "worker-connections", where: nginxConf + ":", breaks: func(t *testing.T, b *Bundle) { edit(t, b, nginxConf, "32768", "1024") }},
	{about: "keepalive_timeout as long as the load balancer's idle timeout", check: "keepalive-race", where: nginxConf + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, nginxConf, "keepalive_timeout     75", "keepalive_timeout     60")
	}},
	{about: "bodies that nginx refuses and the server would take", check: "body-size", where: passFile + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, passFile, "client_max_body_size    2m", "client_max_body_size    512k")
	}},
	{about: "proxy_read_timeout below the heartbeat", check: "proxy-read-timeout", where: passFile + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, passFile, "proxy_read_timeout    75s", "proxy_read_timeout    30s")
	}},
	{about: "PORT beside an upstream of another", check: "port-mismatch", where: ".platform/nginx/conf.d/beanpole.conf:", breaks: func(t *testing.T, b *Bundle) { edit(t, b, application, `PORT: "5000"`, `PORT: "8080"`) }},
	{about: "no .platform", check: "no-platform", where: ".platform", breaks: func(_ *testing.T, b *Bundle) {
		for _, name := range b.under(".platform") {
			delete(b.Files, name)
		}
	}},
	{about: "no process named web", check: "procfile-web", where: "Procfile:1", breaks: func(_ *testing.T, b *Bundle) { b.Add("Procfile", 0o644, []byte("app: bin/application\n")) }},
	{about: "a comment in the Procfile", check: "procfile-line", where: "Procfile:1", breaks: func(_ *testing.T, b *Bundle) { b.Add("Procfile", 0o644, []byte("# start\nweb: bin/application\n")) }},
	{about: "a program that is not shipped", check: "procfile-missing", where: "Procfile:1", breaks: func(_ *testing.T, b *Bundle) { delete(b.Files, "bin/application") }},
	{about: "a program for another processor than the instances'", check: "binary-architecture", where: "bin/application", breaks: func(_ *testing.T, b *Bundle) {
		b.Add("bin/application", 0o755, program(0x3e)) // the bundle's instances are arm64
	}},
	{about: "a program for Windows", check: "binary-system", where: "bin/application", breaks: func(_ *testing.T, b *Bundle) { b.Add("bin/application", 0o755, []byte("MZ this is for Windows")) }},
	{about: "everything in one folder", check: "top-folder", where: "app/", breaks: func(_ *testing.T, b *Bundle) {
		for _, name := range b.Names() {
			f, text := b.Files[name], b.text(name)
			delete(b.Files, name)
			b.Add("app/"+name, f.Mode, text)
		}
	}},
	{about: "backslashes in names", check: "backslash", where: `bin\application`, breaks: func(_ *testing.T, b *Bundle) { b.Add(`bin\application`, 0o755, program(0x3e)) }},
}

// brokenImages do so for the Docker platform.
var brokenImages = []bundleCase{
	{platform: Docker, about: "two ports exposed", check: "docker-expose", where: "Dockerfile:", breaks: func(t *testing.T, b *Bundle) { edit(t, b, "Dockerfile", "EXPOSE 5000", "EXPOSE 5000 5001") }},
	{platform: Docker, about: "no port exposed", check: "docker-expose", where: "Dockerfile:", breaks: func(t *testing.T, b *Bundle) { edit(t, b, "Dockerfile", "EXPOSE 5000", "") }},
	{platform: Docker, about: "CMD for a shell", check: "docker-shell-form", where: "Dockerfile:", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, "Dockerfile", `CMD ["/bin/application"]`, "CMD /bin/application")
	}},
	{platform: Docker, about: "no USER", check: "docker-root", where: "Dockerfile:", breaks: func(t *testing.T, b *Bundle) { edit(t, b, "Dockerfile", "USER 65532:65532", "") }},
	{platform: Docker, about: "the server on the container's loopback", check: "docker-loopback", where: "Dockerfile:", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, "Dockerfile", "ENV PORT=5000", "ENV PORT=5000 HOST=127.0.0.1")
	}},
	{platform: Docker, about: "EXPOSE beside another PORT", check: "port-mismatch", where: "Dockerfile:", breaks: func(t *testing.T, b *Bundle) { edit(t, b, application, `PORT: "5000"`, `PORT: "8080"`) }},
	{platform: Docker, about: "a docker-compose.yml", check: "compose", where: "docker-compose.yml", breaks: func(_ *testing.T, b *Bundle) { b.Add("docker-compose.yml", 0o644, []byte("services: {}\n")) }},
	{platform: Docker, about: "a stop that takes longer than Docker waits", check: "shutdown-timeout", where: application + ":", breaks: func(t *testing.T, b *Bundle) {
		edit(t, b, application, "    BEANPOLE_RECOVERY", "    BEANPOLE_SHUTDOWN_TIMEOUT: 20s\n    BEANPOLE_RECOVERY")
	}},
	{platform: Docker, about: "a location / beside the one of Docker's nginx.conf", check: "nginx-duplicate", where: passFile, breaks: func(_ *testing.T, b *Bundle) {
		delete(b.Files, nginxConf)
		b.Add(passFile, 0o644, []byte("location / { proxy_pass http://docker; }\n"))
	}},
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
	list := parseIgnore("# comment\n*.log\nbuild/\n/docs\ndeploy/*.yml\nweb/**/*.ts\n**/tmp\n[ab].out\n!keep.log\né/\\[x]\n")
	for name, want := range map[string]bool{
		"a.log": true, "x/b.log": true, "keep.log": false, "docs": true, "docs/x/y": true, "x/docs": false, "deploy/a.yml": true, "a.yml": false,
		"x/build/y": true, "build": false, "web/a.ts": true, "web/x/y/a.ts": true, "web/a.js": false, "x/tmp/y": true, "a.out": true, "c.out": false,
		"é/[x]": true, "x/[x]": false,
	} {
		if got := list.Match(name); got != want {
			t.Errorf("match(%q) = %v, want %v", name, got, want)
		}
	}
}

// Patterns that take long are given up, and nothing that they may leave out is taken for shipped.
func TestLongPatternsComeToAnEnd(t *testing.T) {
	g := parseIgnore(strings.Repeat("**/*"+strings.Repeat("a", 60)+"?b*\n", 100))
	g.left = 1_000_000 // they come to as much with each of their kind
	dir := folderOf(t, good(t))
	if err := os.WriteFile(filepath.Join(dir, strings.Repeat("a", 200)), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openDir(dir, g); err == nil || !strings.Contains(err.Error(), "steps") {
		t.Errorf("openDir = %v", err)
	}
	if !g.Match("x") {
		t.Error("a file is not left out when it is not known whether it is")
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

// Whatever stands in an nginx file, a request comes to an end.
func FuzzOverlay(f *testing.F) {
	f.Add([]byte("location ~ ^/a(?!b)(.*)$ { rewrite ^/(.*)$ /$1$1 last; try_files $uri @x; }"), []byte("map $uri $a { default $a$b; ~^/(?<b>.) $b; }"))
	f.Add([]byte("if ($a ~ (.+)+x) { set $a $a$a; proxy_pass http://$a; } location @x { return 301 $a; }"), []byte("map $a $b { include conf.d/*.conf; }"))
	for _, text := range Stock(Go) {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, inServer, inHTTP []byte) {
		b := &Bundle{}
		b.Add(".ebextensions/a.config", 0o644, []byte("option_settings:\n  aws:elasticbeanstalk:environment:\n    LoadBalancerType: application\n"))
		b.Add(".platform/nginx/conf.d/elasticbeanstalk/10.conf", 0o644, inServer)
		b.Add(".platform/nginx/conf.d/10.conf", 0o644, inHTTP)
		Run(t.Context(), b, Options{Platform: Go, Nginx: "off"})
	})
}
