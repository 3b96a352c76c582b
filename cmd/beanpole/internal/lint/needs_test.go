package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secureListener is a listener on 443.
var secureListener = with("aws:elbv2:listener:443:", "  Protocol: HTTPS", certificate, "  SSLPolicy: "+recommendedPolicy)

// needsBundles have an nginx that keeps something from clients or from the application, or gives it to them twice.
var needsBundles = []bundleCase{
	{about: "no Sec-WebSocket-Key", check: "nginx-handshake", where: passFile + "|Sec-WebSocket-Key",
		breaks: passes(`proxy_set_header Sec-WebSocket-Key "";`), mends: passed(`proxy_set_header Sec-WebSocket-Key "";`, "proxy_set_header Sec-WebSocket-Key $http_sec_websocket_key;")},
	{about: "no Sec-WebSocket-Version", check: "nginx-handshake", where: passFile + "|Sec-WebSocket-Version",
		breaks: passes(`proxy_set_header Sec-WebSocket-Version "";`), mends: passed("Sec-WebSocket-Version", "Sec-WebSocket-Extensions")},
	{about: "no headers of the client", check: "nginx-handshake", where: passFile + "|proxy_pass_request_headers",
		breaks: passes("proxy_pass_request_headers off;"), mends: passed("proxy_pass_request_headers off;", "proxy_pass_request_headers on;")},
	{about: "no answer to the handshake", check: "nginx-answer", where: passFile + "|Sec-WebSocket-Accept",
		breaks: passes("proxy_hide_header Sec-WebSocket-Accept;"), mends: passed("Sec-WebSocket-Accept;", "X-Beanpole;")},
	{about: "no CORS header", check: "nginx-answer", where: passFile + "|proxy_hide_header Access",
		breaks: steps(properties("BEANPOLE_ALLOWED_ORIGINS: https://www.example.com"), passes("proxy_hide_header Access-Control-Allow-Origin;")), mends: drop(more)},
	{about: "X-Forwarded-Proto of nginx behind TLS", check: "nginx-proto", where: passFile + "|X-Forwarded-Proto",
		breaks: steps(secureListener, passes("proxy_set_header X-Forwarded-Proto $scheme;")), mends: passed("X-Forwarded-Proto $scheme", "X-Forwarded-Proto $http_x_forwarded_proto")},
	{about: "requests without their bodies", check: "nginx-body", where: passFile + "|proxy_pass_request_body",
		breaks: passes("proxy_pass_request_body off;"), mends: properties("BEANPOLE_TRANSPORTS: websocket")},
	{about: "a body of nginx's", check: "nginx-body", where: passFile + "|proxy_set_body",
		breaks: passes(`proxy_set_body "x";`), mends: passed(`proxy_set_body "x";`, "proxy_set_body $request_body;")},
	{about: "one method for all", check: "nginx-method", where: passFile + "|proxy_method",
		breaks: passes("proxy_method GET;"), mends: passed("proxy_method GET;", "proxy_method $request_method;")},
	{about: "a page in the place of a refusal", check: "nginx-answer", where: passFile + "|error_page",
		breaks: passes("proxy_intercept_errors on; error_page 400 404 =200 /index.html;"), mends: passed("proxy_intercept_errors on;", "")},
	{about: "requests that are mirrored to the application itself", check: "nginx-twice", where: passFile + "|mirror",
		breaks: steps(write(extra, "location = /m { internal; proxy_pass http://beanpole$request_uri; }"), passes("mirror /m;")),
		mends:  swap(extra, "http://beanpole$request_uri", "http://127.0.0.1:9090$request_uri")},
	{about: "a POST that is repeated", check: "nginx-twice", where: passFile + "|proxy_next_upstream",
		breaks: passed("proxy_next_upstream off;", "proxy_next_upstream error timeout non_idempotent;"), mends: passed("proxy_next_upstream error timeout non_idempotent;", "proxy_next_upstream error;")},
	{about: "a PROXY protocol that nobody speaks", check: "nginx-proxy-protocol", where: nginxConf + "|default_server",
		breaks: swap(nginxConf, "80 default_server;", "80 default_server proxy_protocol;"), mends: swap(nginxConf, " proxy_protocol;", ";")},
	{about: "the PROXY protocol on one of two servers", check: "nginx-proxy-protocol", where: inHTTP + ":1",
		breaks: write(inHTTP, "server { listen 80 proxy_protocol; server_name a.example.com; return 404; }"), mends: swap(inHTTP, "listen 80 proxy_protocol", "listen 8443 proxy_protocol")},
	{about: "a server for every name, which hangs up", check: "health-answer", where: inHTTP + ":1",
		breaks: write(inHTTP, `server { listen 80; server_name ~.*; return 444; }`), mends: swap(inHTTP, "~.*", "~^old[0-9]+\\.example\\.com$")},
	{about: "a server for every name that redirects clients", check: "nginx-redirect", where: inHTTP + ":1",
		breaks: write(inHTTP, `server { listen 80; server_name "~^[a-z]"; return 301 https://www.example.com$request_uri; }`), mends: swap(inHTTP, `"~^[a-z]"`, ".example.com")},
	{about: "a server for what is no www, and the health check is", check: "health-answer", where: inHTTP + ":1",
		breaks: write(inHTTP, `server { listen 80; server_name ~^(?!www\.); return 301 https://www.$host$request_uri; }`), mends: swap(inHTTP, `(?!www\.)`, `(?!www\.|\d)`)},
	{about: "pages of others alone", check: "health-answer", where: passFile + "|invalid_referer",
		breaks: passes("valid_referers server_names example.com; if ($invalid_referer) { return 403; }"), mends: passed("valid_referers server_names", "valid_referers none server_names")},
	{about: "somebody who is asked, and is the application", check: "health-answer", where: passFile + "|auth_request",
		breaks: passes("auth_request /auth;"), mends: write(extra, "location = /healthz { "+pass+" }")},
	{about: "somebody who is asked, and says no", check: "nginx-location", where: passFile + "|auth_request",
		breaks: steps(passes("auth_request /auth;"), write(extra, "location = /auth { return 401; }")), mends: write(extra, "location = /auth { return 204; } location = /healthz { "+pass+" }")},
	{about: "a password for all but the load balancer", check: "health-answer", where: passFile + "|auth_basic",
		breaks: passes(`auth_basic "x"; allow 10.0.0.0/8; deny all;`), mends: passed(`auth_basic "x";`, `satisfy any; auth_basic "x";`)},
	{about: "a drain that nginx hides", check: "health-answer", where: passFile + "|error_page",
		breaks: passes("proxy_intercept_errors on; error_page 503 =200 /ok.html;"), mends: passed("error_page 503 =200", "error_page 503")},
	{about: "a death that nginx hides", check: "health-answer", where: passFile + "|error_page",
		breaks: passes("error_page 500 502 504 =200 /sorry.html;"), mends: passed("504 =200", "504")},
	{about: "no log for enhanced health", check: "healthd-none", where: passFile + "|location / {",
		breaks: passed("access_log /var/log/nginx/healthd/application.log.$year-$month-$day-$hour healthd if=$beanpole_healthd;", ""),
		mends:  write(extra, "location = /x { access_log /var/log/nginx/healthd/application.log.$year-$month-$day-$hour healthd; proxy_pass http://beanpole; }")},
	{about: "files of one name that are the server's", check: "nginx-client", where: extra + ":1",
		breaks: write(extra, `location ~* \.(js|css|png)$ { root /var/app/current/public; expires 1d; }`), mends: write("public/socket.io/socket.io.js", "var io")},
	{about: "files that are looked for before the server is asked", check: "nginx-client", where: extra + ":1",
		breaks: write(extra, `location ~ \.js$ { root /var/app/current/public; try_files $uri =404; }`),
		mends:  write(extra, `location ~ \.js$ { root /var/app/current/public; try_files $uri @all; } location @all { `+pass+` }`)},
}

// workingBundles are unusual, and work.
var workingBundles = map[string]step{
	"X-Forwarded-Proto of nginx, which is right without TLS": passes("proxy_set_header X-Forwarded-Proto $scheme;"),
	"X-Forwarded-Proto of all proxies":                       steps(secureListener, passes(`proxy_set_header X-Forwarded-Proto "$http_x_forwarded_proto, $scheme";`)),
	"a rule for something that is called like Socket.IO":     otherPath("/socket.io-docs/*", "chat"),
	"the PROXY protocol of whom one has put in front":        steps(single, swap(nginxConf, "80 default_server;", "80 default_server proxy_protocol;")),
	"a rule of a security group by its name": steps(swap(redisFile, "      SecurityGroupIngress:\n        - IpProtocol: tcp\n          FromPort: 6379\n          ToPort: 6379\n          SourceSecurityGroupId: { \"Fn::GetAtt\": [AWSEBSecurityGroup, GroupId] }\n", ""),
		configFile("Resources:", "  More:", "    Type: AWS::EC2::SecurityGroupIngress", "    Properties:", "      GroupName: { Ref: BeanpoleRedisSecurityGroup }", "      IpProtocol: tcp", "      FromPort: 6379", "      ToPort: 6379", "      CidrIp: 10.0.0.0/8")),
	"a policy by a metric of others":                    swap(scaling, "Namespace: Beanpole", "Namespace: Shop"),
	"a mirror elsewhere":                                steps(write(extra, "location = /m { internal; proxy_pass http://127.0.0.1:9090$request_uri; }"), passes("mirror /m;")),
	"a mirror of all but Socket.IO":                     steps(write(extra, "mirror /m; location = /m { internal; proxy_pass http://beanpole$request_uri; }"), passes("mirror off;")),
	"hidden files":                                      write(extra, `location ~ /\. { deny all; }`),
	"a page for what is dead":                           passes("error_page 502 504 /sorry.html;"),
	"somebody who is asked for one path":                write(extra, "location /private/ { auth_request /auth; "+pass+" }"),
	"a redirect of an old path":                         write(extra, "location = /old { return 301 /new; }"),
	"a redirect of a name":                              write(inHTTP, "server { listen 80; server_name .elasticbeanstalk.com; return 301 https://www.example.com$request_uri; }"),
	"values of http{} that the location has its own of": steps(passes("proxy_pass_request_body on; proxy_method $request_method; proxy_intercept_errors off;"), write(inHTTP, "proxy_read_timeout 10s; proxy_pass_request_body off; proxy_method POST; proxy_intercept_errors on; error_page 400 =200 /x;\n")),
	"directives that a nginx of Debian does not have":   write(inHTTP, "ssl_certificate_cache off; proxy_ssl_certificate_cache off; ssl_object_cache_inheritable on; add_trailer_inherit on;\n"),
	"health by a location of its own":                   write(extra, "location = /healthz { access_log off; proxy_pass http://beanpole; }"),
}

// single lays the variant for a single instance over the bundle.
func single(t *testing.T, b *Bundle) {
	copyTree(t, b, filepath.Join(top, "deploy", "single-instance"), ".ebextensions")
	remove, err := os.ReadFile(filepath.Join(top, "deploy", "single-instance", "REMOVE"))
	if err != nil {
		t.Fatal(err)
	}
	drop(strings.Fields(string(remove))...)(t, b)
}

func TestWorkingBundlesHaveNoFindings(t *testing.T) {
	for about, change := range workingBundles {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			b := good(t)
			change(t, b)
			if findings := Run(t.Context(), b, Options{Platform: Go}); len(findings) > 0 {
				t.Error("there are findings:")
				tell(t, findings)
			}
		})
	}
}

// Nginx takes the server whose name says more, whatever stands first.
func TestServerByName(t *testing.T) {
	const text = `server { listen 80; server_name ~^mail; } server { listen 80 default_server; server_name _; }
		server { listen 80; server_name *.example.com; } server { listen 80; server_name .a.example.com www.*; } server { listen 80; server_name b.example.com; }`
	list, err := parseNginx("x", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		"mail.test": 0, "10.0.0.1": 1, "example.com": 1, "x.example.com": 2, "mail.example.com": 2, "a.example.com": 3, "y.a.example.com": 3, "www.test": 3, "b.example.com": 4,
	} {
		if got := (&model{}).serverFor(&directive{block: list}, "80", host); got != list[want] {
			t.Errorf("%s gets server %v, want %d", host, got, want)
		}
	}
}
