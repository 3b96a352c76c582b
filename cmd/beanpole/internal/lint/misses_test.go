package lint

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	more     = ".ebextensions/60-more.config"
	upstream = ".platform/nginx/conf.d/beanpole.conf"
	extra    = ".platform/nginx/conf.d/elasticbeanstalk/10_extra.conf"
	inHTTP   = ".platform/nginx/conf.d/extra.conf"
	appPort  = ".ebextensions/12-application-port.config"
)

type step func(t *testing.T, b *Bundle)

// with adds a .config file of option settings, or replaces it.
func with(lines ...string) step {
	return func(_ *testing.T, b *Bundle) {
		b.Add(more, 0o644, []byte("option_settings:\n  "+strings.Join(lines, "\n  ")+"\n"))
	}
}

// properties adds environment properties.
func properties(lines ...string) step {
	return with(append([]string{"aws:elasticbeanstalk:application:environment:"}, indent(lines)...)...)
}

func indent(lines []string) (out []string) {
	for _, l := range lines {
		out = append(out, "  "+l)
	}
	return out
}

// write adds a file, or replaces it.
func write(name, text string) step {
	return func(_ *testing.T, b *Bundle) { b.Add(name, 0o644, []byte(text)) }
}

// swap replaces text in a file.
func swap(name, old, new string) step {
	return func(t *testing.T, b *Bundle) { edit(t, b, name, old, new) }
}

// drop takes files away.
func drop(names ...string) step {
	return func(_ *testing.T, b *Bundle) {
		for _, name := range names {
			delete(b.Files, name)
		}
	}
}

func steps(list ...step) step {
	return func(t *testing.T, b *Bundle) {
		for _, s := range list {
			s(t, b)
		}
	}
}

// network lays the variant for a network load balancer over the bundle.
func network(t *testing.T, b *Bundle) {
	copyTree(t, b, filepath.Join(top, "deploy", "network-load-balancer"), ".ebextensions")
}

const (
	headers = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; " +
		"proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; " +
		"proxy_read_timeout 75s; client_max_body_size 2m; access_log off; error_log /dev/null emerg;"
	pass = "proxy_pass http://beanpole; " + headers
)

const certificate = "  SSLCertificateArns: arn:aws:acm:eu-central-1:1:certificate/x"

// serverless is an ElastiCache Serverless in the place of the bundle's replication group.
func serverless(t *testing.T, b *Bundle) {
	text := string(b.text(redisFile))
	from := strings.Index(text, "  BeanpoleRedis:\n")
	to := from + strings.Index(text[from:], "\n\n")
	text = text[:from] + `  BeanpoleRedis:
    Type: AWS::ElastiCache::ServerlessCache
    Properties:
      ServerlessCacheName: beanpole
      Engine: valkey
      SecurityGroupIds:
        - { "Fn::GetAtt": [BeanpoleRedisSecurityGroup, GroupId] }` + text[to:]
	line := text[strings.Index(text, "    REDIS_URL:"):]
	line = line[:strings.Index(line, "\n")]
	text = strings.Replace(text, line, "    REDIS_URL: '`{\"Fn::Join\":[\"\",[\"rediss://\",{\"Fn::GetAtt\":[\"BeanpoleRedis\",\"Endpoint.Address\"]},\":6379/?cluster=true\"]]}`'", 1)
	b.Add(redisFile, 0o644, []byte(text))
}

// missedBundles are what lint did not see, or took for wrong, when people came with it.
var missedBundles = []bundleCase{
	{about: "a property that stops the start", check: "environment", where: more + ":3",
		breaks: properties("BEANPOLE_PING_INTERVAL: 25"), mends: properties("BEANPOLE_PING_INTERVAL: 20s")},
	{about: "two properties that stop the start together", check: "environment", where: application + "|BEANPOLE_IDLE_TIMEOUT",
		breaks: properties("BEANPOLE_PING_TIMEOUT: 40s"), mends: properties("BEANPOLE_PING_TIMEOUT: 30s")},
	{about: "recovery with a mode that keeps nothing", check: "environment", where: more + ":3",
		breaks: properties("BEANPOLE_REDIS_MODE: sharded"), mends: properties("BEANPOLE_REDIS_MODE: streams")},
	{about: "a folder that the bundle does not have", check: "environment", where: more + ":3",
		breaks: properties("BEANPOLE_STATIC_DIR: public"), mends: write("public/index.html", "<p>")},
	{about: "a bad value in the image", check: "environment", where: "Dockerfile|SHUTDOWN_TIMEOUT", platform: Docker,
		breaks: swap("Dockerfile", "BEANPOLE_SHUTDOWN_TIMEOUT=8s", "BEANPOLE_SHUTDOWN_TIMEOUT=8"), mends: swap("Dockerfile", "BEANPOLE_SHUTDOWN_TIMEOUT=8", "BEANPOLE_SHUTDOWN_TIMEOUT=8s")},
	{about: "a health check of another port", check: "docker-health", where: "Dockerfile|HEALTHCHECK", platform: Docker,
		breaks: swap("Dockerfile", `"/livez"]`, `"http://127.0.0.1:8080/livez"]`), mends: swap("Dockerfile", "127.0.0.1:8080", "127.0.0.1:5000")},
	{about: "a health check by http where the port speaks https", check: "docker-health", where: "Dockerfile|HEALTHCHECK", platform: Docker,
		breaks: steps(withCertificate, swap("Dockerfile", `"/livez"]`, `"http://127.0.0.1:5000/livez"]`)), mends: drop(more)},
	{about: "a name with a slip of the pen", check: "variable-unknown", where: more + ":3",
		breaks: properties("BEANPOLE_PING_INTERVALL: 20s"), mends: properties("BEANPOLE_PING_INTERVAL: 20s")},
	{about: "a variable that needs another", check: "variable-idle", where: more + ":3",
		breaks: properties(`BEANPOLE_ALLOW_CREDENTIALS: "true"`), mends: properties(`BEANPOLE_ALLOW_CREDENTIALS: "true"`, "BEANPOLE_ALLOWED_ORIGINS: https://www.example.com")},
	{about: "events to be shown, and no level that shows them", check: "variable-idle", where: more + ":3",
		breaks: properties("BEANPOLE_DEBUG: /chat"), mends: properties("BEANPOLE_DEBUG: /chat", "BEANPOLE_LOG_LEVEL: debug")},
	{about: "development mode", check: "for-development", where: more + ":3",
		breaks: properties(`BEANPOLE_DEVELOPMENT: "true"`), mends: properties(`BEANPOLE_DEVELOPMENT: "false"`)},
	{about: "development mode of the image", check: "for-development", where: "Dockerfile|BEANPOLE_DEVELOPMENT", platform: Docker,
		breaks: swap("Dockerfile", "BEANPOLE_SHUTDOWN_TIMEOUT=8s", "BEANPOLE_SHUTDOWN_TIMEOUT=8s BEANPOLE_DEVELOPMENT=1"),
		mends:  swap("Dockerfile", " BEANPOLE_DEVELOPMENT=1", "")},
	{about: "messages of users in the log", check: "for-development", where: more + ":5",
		breaks: properties("BEANPOLE_DEBUG: /chat", "BEANPOLE_LOG_LEVEL: debug", `BEANPOLE_DEBUG_PAYLOADS: "true"`),
		mends:  properties("BEANPOLE_DEBUG: /chat", "BEANPOLE_LOG_LEVEL: debug")},

	{about: "a regular expression that takes the path from location /", check: "nginx-location", where: extra + ":1",
		breaks: write(extra, `location ~ ^/socket { root /var/www; }`), mends: write(extra, `location ~ ^/sockets { root /var/www; }`)},
	{about: "a regular expression without Upgrade", check: "nginx-upgrade", where: extra + ":1",
		breaks: write(extra, `location ~* ^/SOCKET\.IO/ { proxy_pass http://beanpole; proxy_read_timeout 75s; client_max_body_size 2m; }`),
		mends:  write(extra, `location ~* ^/SOCKET\.IO/ { `+pass+` }`)},
	{about: "a regular expression that looks ahead", check: "nginx-location", where: extra + ":1",
		breaks: write(extra, `location ~ "^/(?!api/)[a-z.]{2,20}/" { return 404; }`), mends: write(extra, `location ~ "^/(?!socket\.io/|healthz)[a-z.]{2,20}/" { return 404; }`)},
	{about: "^~ before a regular expression", check: "nginx-upgrade", where: extra + ":1",
		breaks: write(extra, "location ^~ /socket.io/ { proxy_pass http://beanpole; proxy_read_timeout 75s; client_max_body_size 2m; }\nlocation ~ ^/socket { return 404; }"),
		mends:  write(extra, "location ^~ /socket.io/ { "+pass+" }\nlocation ~ ^/socket { return 404; }")},
	{about: "a location in a location", check: "nginx-upgrade", where: extra + ":2",
		breaks: write(extra, "location /socket {\n location /socket.io/ { proxy_pass http://beanpole; proxy_read_timeout 75s; client_max_body_size 2m; }\n}"),
		mends:  write(extra, "location /socket {\n location /socket.io/ { "+pass+" }\n}")},
	{about: "proxy_pass with a path that strips ours", check: "nginx-path", where: extra + ":1",
		breaks: write(extra, `location /socket.io/ { proxy_pass http://beanpole/; `+headers+` }`),
		mends:  write(extra, `location /socket.io/ { proxy_pass http://127.0.0.1:5000/socket.io/; `+headers+` }`)},
	{about: "a rewrite that strips our path", check: "nginx-path", where: extra + ":1",
		breaks: write(extra, `location /socket.io/ { rewrite ^/socket\.io/(.*)$ /$1 break; `+pass+` }`),
		mends:  write(extra, `location /chat/ { rewrite ^/chat/(.*)$ /$1 break; `+pass+` }`)},
	{about: "a path that clients use and the application does not", check: "nginx-path", where: passFile + "|proxy_pass",
		breaks: steps(properties("BEANPOLE_PATH: /realtime/"), swap(passFile, "http://beanpole;", "http://beanpole/v1/;")),
		mends:  swap(passFile, "http://beanpole/v1/;", "http://beanpole/;")},
	{about: "PORT, which the platform writes into its own nginx files", check: "port-mismatch", where: upstream + ":",
		breaks: steps(properties(`PORT: "8080"`), swap(application, `    PORT: "5000"`+"\n", ""), swap(redisFile, "FromPort: 5000\n      ToPort: 5000", "FromPort: 8080\n      ToPort: 8080")),
		mends: func(t *testing.T, b *Bundle) {
			// The stock location, with its port written by the platform, under what else is needed.
			drop(passFile)(t, b)
			const include = "        include conf.d/elasticbeanstalk/*.conf;"
			edit(t, b, nginxConf, include, "        client_max_body_size 2m; proxy_read_timeout 75s; error_log /dev/null emerg;\n"+include)
		}},
	{about: "a redirect to HTTPS that answers the health check", check: "health-answer", where: extra + ":1",
		breaks: write(extra, `if ($http_x_forwarded_proto != "https") { return 301 https://$host$request_uri; }`),
		mends:  write(extra, `if ($http_x_forwarded_proto = "unknown") { return 301 https://$host$request_uri; }`)},
	{about: "a health check that nginx answers", check: "health-answer", where: extra + ":1",
		breaks: write(extra, `location = /healthz { return 200 ok; }`), mends: write(extra, `location = /healthz { proxy_pass http://beanpole; }`)},
	{about: "a password that the load balancer does not have", check: "health-answer", where: passFile + "|auth_basic",
		breaks: swap(passFile, "proxy_buffering off;", "proxy_buffering off;\n    auth_basic staging;\n    auth_basic_user_file conf.d/users;"),
		mends:  swap(passFile, "    auth_basic staging;\n    auth_basic_user_file conf.d/users;", "")},
	{about: "a redirect to a host name, by a map", check: "health-answer", where: extra + ":1",
		breaks: steps(write(inHTTP, "map $host $foreign { default 1; chat.example.com 0; www.example.com 0; }"), write(extra, "if ($foreign) { return 301 https://chat.example.com$request_uri; }")),
		mends:  write(inHTTP, `map $host $foreign { default 1; chat.example.com 0; www.example.com 0; "~^[0-9.]+$" 0; }`)},
	{about: "a redirect of clients", check: "nginx-redirect", where: extra + ":1",
		breaks: write(extra, `if ($http_x_forwarded_proto = "http") { return 301 https://$host$request_uri; }`),
		mends: with("aws:elbv2:listener:443:", "  Protocol: HTTPS", certificate, "  SSLPolicy: "+recommendedPolicy,
			"aws:elbv2:listener:default:", `  ListenerEnabled: "false"`)},
	{about: "a Dockerfile beside an overlay for Go", check: "overlay-platform", where: upstream, platform: Docker,
		breaks: func(t *testing.T, b *Bundle) { copyTree(t, b, top, ".platform") },
		mends: func(t *testing.T, b *Bundle) {
			drop(passFile)(t, b)
			copyTree(t, b, filepath.Join(top, "deploy", "docker"), ".platform")
		}},
	{about: "the overlay for Docker on Go", check: "overlay-platform", where: nginxConf + "|proxy_pass",
		breaks: func(t *testing.T, b *Bundle) {
			drop(passFile)(t, b)
			copyTree(t, b, filepath.Join(top, "deploy", "docker"), ".platform")
		},
		mends: func(t *testing.T, b *Bundle) { copyTree(t, b, top, ".platform") }},
	{about: "a rule that sends clients to a process that is not sticky", check: "stickiness-off", where: more,
		breaks: with("aws:elbv2:listener:default:", "  Rules: ws", "aws:elbv2:listenerrule:ws:", "  PathPatterns: /socket.io/*", "  Process: ws",
			"aws:elasticbeanstalk:environment:process:ws:", "  HealthCheckPath: /healthz", `  HealthCheckInterval: "10"`, `  UnhealthyThresholdCount: "2"`, `  DeregistrationDelay: "30"`),
		mends: with("aws:elbv2:listener:default:", "  Rules: ws", "aws:elbv2:listenerrule:ws:", "  PathPatterns: /socket.io/*", "  Process: ws",
			"aws:elasticbeanstalk:environment:process:ws:", "  HealthCheckPath: /healthz", `  HealthCheckInterval: "10"`, `  UnhealthyThresholdCount: "2"`, `  DeregistrationDelay: "30"`,
			`  StickinessEnabled: "true"`)},
	{about: "a program for another processor than launchconfiguration's", check: "binary-architecture", where: "bin/application",
		breaks: steps(swap(deployment, "    InstanceTypes: m8g.medium,m7g.medium,m6g.medium\n", ""), with("aws:autoscaling:launchconfiguration:", "  InstanceType: t4g.small"), program64(0x3e)), mends: program64(0xb7)},
	{about: "types of two architectures", check: "instance-mixed", where: deployment + "|    InstanceTypes",
		breaks: swap(deployment, "InstanceTypes: m8g.medium,m7g.medium,m6g.medium", "InstanceTypes: t3.small,t4g.small"), mends: swap(deployment, "t3.small,t4g.small", "m8g.small,t4g.small")},
	{about: "a type that is not of SupportedArchitectures", check: "instance-architecture", where: deployment + "|    InstanceTypes",
		breaks: swap(deployment, "InstanceTypes: m8g.medium,m7g.medium,m6g.medium", "InstanceTypes: m6i.large"), mends: swap(deployment, "m6i.large", "m8gd.large")},
	{about: "a health check for a path that the server does not have", check: "health-path", where: balancer + "|HealthCheckPath",
		breaks: swap(balancer, "HealthCheckPath: /healthz", "HealthCheckPath: /health"), mends: write(extra, "location = /health { proxy_pass http://beanpole/healthz; }")},
	{about: "a health check that no drain is seen by", check: "health-path", where: balancer + "|HealthCheckPath",
		breaks: swap(balancer, "HealthCheckPath: /healthz", "HealthCheckPath: /livez"), mends: swap(balancer, "HealthCheckPath: /livez", "HealthCheckPath: /healthz")},
	{about: "a process on a port where nobody listens", check: "process-port", where: balancer + "|    Port:",
		breaks: swap(balancer, `Port: "80"`, `Port: "8080"`), mends: swap(balancer, `Port: "8080"`, `Port: "80"`)},
	{about: "a security group for another port than PORT", check: "forwarding-port", where: redisFile + "|FromPort: 5050",
		breaks: swap(redisFile, "FromPort: 5000\n      ToPort: 5000", "FromPort: 5050\n      ToPort: 5050"), mends: swap(redisFile, "FromPort: 5050\n      ToPort: 5050", "FromPort: 5000\n      ToPort: 6000")},
	{about: "Redis of one's own, and no way between the instances", check: "forwarding-closed", where: more + ":3",
		breaks: steps(drop(redisFile), properties("REDIS_URL: rediss://redis.example.com:6379")),
		mends:  properties("REDIS_URL: rediss://redis.example.com:6379", `BEANPOLE_NO_FORWARDING: "true"`)},
	{about: "more trusted hops than proxies", check: "trusted-hops", where: application + "|HOPS",
		breaks: swap(application, `HOPS: "2"`, `HOPS: "3"`), mends: swap(application, `HOPS: "3"`, `HOPS: "2"`)},
	{about: "trusted hops past nginx", check: "trusted-hops", where: application + "|HOPS",
		breaks: steps(direct, swap(application, `HOPS: "1"`, `HOPS: "2"`)), mends: direct},
	{about: "a port past nginx, and nobody who writes nginx's log", check: "direct-healthd", where: balancer + "|    Port:",
		breaks: steps(direct, swap(application, "    BEANPOLE_HEALTHD_LOG: /var/log/nginx/healthd\n", "")), mends: direct},
	{about: "a port past nginx that speaks TLS, and a load balancer that does not", check: "direct-tls", where: more + ":3",
		breaks: steps(direct, withCertificate), mends: swap(balancer, "Protocol: HTTP", "Protocol: HTTPS")},
	{about: "TLS to a port past nginx that speaks none", check: "direct-tls", where: balancer + "|Protocol",
		breaks: steps(direct, swap(balancer, "Protocol: HTTP", "Protocol: HTTPS")), mends: withCertificate},
	{about: "a certificate behind nginx, which speaks HTTP", check: "upstream-tls", where: more + ":3",
		breaks: withCertificate, mends: drop(more)},
	{about: "a port past nginx that no security group opens", check: "direct-closed", where: balancer + "|    Port:",
		breaks: steps(direct, drop(appPort)), mends: direct},
	{about: "a port past nginx, and a way out of the load balancer's group alone", check: "direct-closed", where: balancer + "|    Port:",
		breaks: steps(direct, swap(appPort, "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress")), mends: direct},
	{about: "a port past nginx, and rules for another", check: "direct-closed", where: balancer + "|    Port:",
		breaks: steps(direct, func(t *testing.T, b *Bundle) {
			b.Add(appPort, 0o644, bytes.ReplaceAll(b.text(appPort), []byte("ToPort: 5000"), []byte("ToPort: 4999")))
		}), mends: direct},
	{about: "a drain before nginx is stopped, which serves nobody", check: "direct-drain", where: drainHook,
		breaks: func(t *testing.T, b *Bundle) {
			hook := b.Files[drainHook]
			direct(t, b)
			b.Files[drainHook] = hook
		}, mends: drop(drainHook)},
	{about: "a log for enhanced health that nginx writes too", check: "healthd-twice", where: more + ":3",
		breaks: properties("BEANPOLE_HEALTHD_LOG: /var/log/nginx/healthd"), mends: drop(more)},
	{about: "a drain that takes longer than its hook waits", check: "drain-hook-time", where: more + ":3",
		breaks: steps(properties("BEANPOLE_DRAIN_TIME: 61s", "BEANPOLE_SHUTDOWN_TIMEOUT: 80s"), swap(balancer, `DeregistrationDelay: "30"`, `DeregistrationDelay: "90"`)),
		mends:  properties("BEANPOLE_DRAIN_TIME: 50s", "BEANPOLE_SHUTDOWN_TIMEOUT: 80s")},
	{about: "a drain for which there is no listener", check: "drain-no-admin", where: more + ":3",
		breaks: properties(`BEANPOLE_NO_ADMIN: "true"`), mends: properties(`BEANPOLE_NO_ADMIN: "false"`)},
	{about: "the admin listener on nginx's port", check: "admin-port", where: more + ":3",
		breaks: properties(`BEANPOLE_ADMIN_PORT: "80"`), mends: properties(`BEANPOLE_ADMIN_PORT: "5001"`)},
	{about: "the admin listener on the application's port", check: "environment", where: more + ":3",
		breaks: properties(`BEANPOLE_ADMIN_PORT: "5000"`), mends: properties(`BEANPOLE_ADMIN_PORT: "5001"`)},
	{about: "the metrics on nginx's port", check: "metrics-port", where: more + ":3",
		breaks: properties(`BEANPOLE_METRICS_ADDR: ":80"`), mends: properties(`BEANPOLE_METRICS_ADDR: ":9464"`)},
	{about: "the metrics on the application's port", check: "environment", where: more + ":3",
		breaks: properties(`BEANPOLE_METRICS_ADDR: ":5000"`), mends: properties(`BEANPOLE_METRICS_ADDR: ":9464"`)},
	{about: "the metrics on the admin listener's port", check: "environment", where: more + ":3",
		breaks: properties(`BEANPOLE_METRICS_ADDR: ":5001"`), mends: properties(`BEANPOLE_METRICS_ADDR: ":9464"`)},
	{about: "a server that the other instances do not reach", check: "host-loopback", where: more + ":3",
		breaks: properties("HOST: 127.0.0.1"), mends: properties("HOST: 0.0.0.0")},
	{about: "port 443 without Protocol", check: "listener-plain", where: more + ":",
		breaks: with("aws:elbv2:listener:443:", certificate, "  SSLPolicy: "+recommendedPolicy),
		mends:  with("aws:elbv2:listener:443:", "  Protocol: HTTPS", certificate, "  SSLPolicy: "+recommendedPolicy)},
	{about: "HTTPS without a policy", check: "tls-policy", where: more + ":3",
		breaks: with("aws:elbv2:listener:443:", "  Protocol: HTTPS", certificate),
		mends:  with("aws:elbv2:listener:443:", "  Protocol: HTTPS", certificate, "  SSLPolicy: ELBSecurityPolicy-TLS13-1-3-PQ-2025-09")},
	{about: "a policy that admits TLS 1.0", check: "tls-policy", where: more + ":5",
		breaks: with("aws:elbv2:listener:443:", "  Protocol: HTTPS", certificate, "  SSLPolicy: ELBSecurityPolicy-2016-08"),
		mends:  with("aws:elbv2:listener:443:", "  Protocol: HTTPS", certificate, "  SSLPolicy: "+recommendedPolicy)},
	{about: "a policy that is older than the recommended one", check: "tls-policy", where: more + ":5",
		breaks: with("aws:elbv2:listener:443:", "  Protocol: HTTPS", certificate, "  SSLPolicy: ELBSecurityPolicy-TLS13-1-2-2021-06"),
		mends:  with("aws:elbv2:listener:443:", "  Protocol: HTTPS", certificate, "  SSLPolicy: "+recommendedPolicy)},
	{about: "a policy that there is not", check: "tls-policy", where: more + ":5",
		breaks: with("aws:elbv2:listener:443:", "  Protocol: HTTPS", certificate, "  SSLPolicy: ELBSecurityPolicy-TLS13-1-2-2022-06"),
		mends:  with("aws:elbv2:listener:443:", "  Protocol: HTTPS", certificate, "  SSLPolicy: "+recommendedPolicy)},
	{about: "a health check that a network load balancer does not make", check: "bad-value", where: balancer + "|HealthCheckInterval",
		breaks: steps(network, swap(balancer, `HealthCheckInterval: "10"`, `HealthCheckInterval: "15"`)), mends: swap(balancer, `HealthCheckInterval: "15"`, `HealthCheckInterval: "30"`)},
	{about: "codes that a network load balancer does not take", check: "bad-value", where: more + ":3",
		breaks: steps(network, with("aws:elasticbeanstalk:environment:process:default:", "  MatcherHTTPCode: 200-404")), mends: with("aws:elasticbeanstalk:environment:process:default:", "  MatcherHTTPCode: 200-399")},
	{about: "TLS at a network load balancer", check: "bad-value", where: more + ":3",
		breaks: steps(network, with("aws:elbv2:listener:443:", "  Protocol: TLS")), mends: with("aws:elbv2:listener:443:", "  Protocol: TCP")},
	{about: "the idle timeout of a network load balancer", check: "network-option", where: more + ":3",
		breaks: steps(network, with("aws:elbv2:loadbalancer:", `  IdleTimeout: "60"`)), mends: drop(more)},
	{about: "polling behind a network load balancer", check: "network-polling", where: application,
		breaks: steps(network, swap(application, "BEANPOLE_TRANSPORTS: websocket", "BEANPOLE_TRANSPORTS: websocket,polling")),
		mends:  swap(application, "BEANPOLE_TRANSPORTS: websocket,polling", "BEANPOLE_TRANSPORTS: websocket")},
	{about: ".platform in .ebextensions", check: "misplaced", where: ".ebextensions/.platform/",
		breaks: write(".ebextensions/.platform/nginx/conf.d/x.conf", "gzip off;"), mends: drop(".ebextensions/.platform/nginx/conf.d/x.conf")},
	{about: ".ebextensions in a folder", check: "misplaced", where: "server/.ebextensions/",
		breaks: write("server/.ebextensions/x.config", "option_settings: {}"), mends: drop("server/.ebextensions/x.config")},
	{about: ".platform/hook", check: "misplaced", where: ".platform/hook/",
		breaks: write(".platform/hook/predeploy/x.sh", "#!/bin/sh"), mends: drop(".platform/hook/predeploy/x.sh")},
	{about: "ebextensions without its dot", check: "misplaced", where: "ebextensions/",
		breaks: write("ebextensions/x.config", "option_settings: {}"), mends: drop("ebextensions/x.config")},
	{about: "procfile", check: "misplaced", where: "procfile",
		breaks: steps(drop("Procfile"), write("procfile", "web: bin/application\n")), mends: steps(drop("procfile"), write("Procfile", "web: bin/application\n"))},
	{about: "a zip of macOS, with everything in one folder", check: "top-folder", where: "app/",
		breaks: func(_ *testing.T, b *Bundle) {
			for _, name := range b.Names() {
				f, text := b.Files[name], b.text(name)
				delete(b.Files, name)
				b.Add("app/"+name, f.Mode, text)
			}
			b.Add("__MACOSX/app/._Procfile", 0o644, []byte{0, 5, 22, 7})
		}},
	{about: "what macOS knows of a hook", check: "macos-zip", where: ".platform/hooks/predeploy/._10_drain.sh",
		breaks: write(".platform/hooks/predeploy/._10_drain.sh", "\x00\x05\x16\x07"), mends: drop(".platform/hooks/predeploy/._10_drain.sh")},
	{about: "a folder that macOS adds", check: "macos-zip", where: "__MACOSX/",
		breaks: write("__MACOSX/._Procfile", "\x00\x05\x16\x07"), mends: drop("__MACOSX/._Procfile")},
	{about: "a file of Finder's", check: "macos-zip", where: "web/.DS_Store",
		breaks: write("web/.DS_Store", "\x00"), mends: drop("web/.DS_Store")},
	{about: "an access key of AWS, whatever its name", check: "secret", where: more + ":3",
		breaks: properties("UPLOADS: AKIAABCDEFGHIJKLMNOP"), mends: properties("UPLOADS: my-bucket")},
	{about: "a password in the URL of a database", check: "secret", where: more + ":3",
		breaks: properties("DB: postgres://app:hunter2@db.example.com/app"), mends: properties("DB: postgres://app@db.example.com/app")},
	{about: "a signed token", check: "secret", where: more + ":3",
		breaks: properties("UPSTREAM: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhcHAifQ.c2lnbmF0dXJl"), mends: properties("UPSTREAM: api.example.com")},
	{about: "a key by its name", check: "secret", where: more + ":3",
		breaks: properties("MAPS_API_KEY: pk.0815"), mends: properties("MAPS_API_KEY: '`{\"Ref\":\"MapsKey\"}`'")},
	{about: "something random", check: "secret", where: more + ":3",
		breaks: properties("SALT: q7Zr2Lk9Vx4Tn8Wb3Hd6Jm1Pc5Sf0Gy"), mends: properties("SALT: one-of-many-words-in-a-sentence")},
	{about: "a password of a database of the environment", check: "secret", where: more + ":3",
		breaks: with("aws:rds:dbinstance:", "  DBPassword: hunter2"), mends: with("aws:rds:dbinstance:", "  DBPassword: '{{resolve:secretsmanager:db:SecretString:password}}'")},
	{about: "a secret in the image", check: "secret", where: "Dockerfile|ENV PORT", platform: Docker,
		breaks: swap("Dockerfile", "ENV PORT=5000", "ENV PORT=5000 GITHUB=ghp_0123456789abcdefghijklmnopqrstuvwxyz"), mends: swap("Dockerfile", " GITHUB=ghp_0123456789abcdefghijklmnopqrstuvwxyz", "")},
	{about: "a private key that a .config file writes", check: "secret-file", where: ".ebextensions/70.config:4",
		breaks: write(".ebextensions/70.config", "files:\n  /etc/pki/x.key:\n    content: |\n      -----BEGIN RSA PRIVATE KEY-----\n"), mends: drop(".ebextensions/70.config")},
	{about: "a .env", check: "secret-file", where: ".env", breaks: write(".env", "A=b\n"), mends: drop(".env")},
	{about: "ElastiCache Serverless, and a mode that needs to know it is a cluster", check: "redis-serverless", where: redisFile + "|    REDIS_URL",
		breaks: steps(serverless, swap(redisFile, "/?cluster=true", "")), mends: serverless},
	{about: "ElastiCache Serverless, and patterns", check: "redis-serverless", where: more + "|STATIC",
		breaks: steps(serverless, swap(application, "    BEANPOLE_RECOVERY: 2m\n", ""), properties("BEANPOLE_REDIS_MODE: pubsub", "BEANPOLE_REDIS_SUBSCRIPTIONS: static # STATIC")),
		mends:  properties("BEANPOLE_REDIS_MODE: sharded")},
	{about: "ElastiCache Serverless, and a second database", check: "redis-serverless", where: redisFile + "|    REDIS_URL",
		breaks: steps(serverless, swap(redisFile, "/?cluster=true", "/1?cluster=true")), mends: swap(redisFile, "/1?cluster=true", "/?cluster=true")},
	{about: "ElastiCache Serverless without TLS", check: "redis-tls", where: redisFile + "|    REDIS_URL",
		breaks: steps(serverless, swap(redisFile, "rediss://", "redis://")), mends: swap(redisFile, "redis://", "rediss://")},
	{about: "a file that includes itself", check: "nginx-include-circle", where: inHTTP + ":1",
		breaks: write(inHTTP, "include conf.d/*.conf;"), mends: write(inHTTP, "gzip_vary on;")},
	{about: "files that include each other, doubled each time", check: "nginx-include-circle", where: ".platform/nginx/",
		breaks: func(t *testing.T, b *Bundle) {
			for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
				next := string(name[0] + 1)
				write(".platform/nginx/part/"+name, "include part/"+next+"; include part/"+next+";")(t, b)
			}
			write(inHTTP, "include part/a;")(t, b)
		}, mends: write(inHTTP, "gzip_vary on;")},
	{about: "a folder whose last commit is another", check: "not-committed", where: "Procfile",
		breaks: func(_ *testing.T, b *Bundle) { b.Commit, b.changed = true, []string{"Procfile"} },
		mends:  func(_ *testing.T, b *Bundle) { b.changed = nil }},
}

// direct is the variant.
func direct(t *testing.T, b *Bundle) {
	folder := filepath.Join(top, "deploy", "direct")
	copyTree(t, b, folder, ".ebextensions")
	copyTree(t, b, folder, ".platform")
	remove, err := os.ReadFile(filepath.Join(folder, "REMOVE"))
	if err != nil {
		t.Fatal(err)
	}
	drop(strings.Fields(string(remove))...)(t, b)
}

// withCertificate has the application speak TLS.
func withCertificate(t *testing.T, b *Bundle) {
	properties("BEANPOLE_TLS_CERT: /etc/pki/cert.pem", "BEANPOLE_TLS_KEY: /etc/pki/key.pem")(t, b)
}

// program64 is a program for a machine in the place of the bundle's.
func program64(machine uint16) step {
	return func(_ *testing.T, b *Bundle) { b.Add("bin/application", 0o755, program(machine)) }
}
