package lint

const offBuffering = "proxy_buffering off;"

// passes puts lines into the location that passes requests on, in the place of one.
func passes(line string) step { return swap(passFile, offBuffering, line) }

// passed puts another in the place of that.
func passed(line, other string) step { return swap(passFile, line, other) }

// passingBundles have an nginx that passes requests on as they were not sent, or some of them.
var passingBundles = []bundleCase{
	{about: "a Host that is not the client's", check: "nginx-host", where: passFile + "|Host",
		breaks: swap(passFile, "Host                $host;", "Host $proxy_host;"), mends: swap(passFile, "Host $proxy_host;", "Host $http_host;")},
	{about: "no Origin", check: "nginx-origin", where: passFile + "|Origin",
		breaks: passes(`proxy_set_header Origin "";`), mends: passed(`proxy_set_header Origin "";`, "proxy_set_header Origin $http_origin;")},
	{about: "X-Forwarded-For begun anew", check: "nginx-forwarded-for", where: passFile + "|X-Forwarded-For",
		breaks: swap(passFile, "$proxy_add_x_forwarded_for", "$remote_addr"), mends: swap(passFile, "X-Forwarded-For     $remote_addr", `X-Forwarded-For "$http_x_forwarded_for, $remote_addr"`)},
	{about: "a query that proxy_pass with variables drops", check: "nginx-query", where: passFile + "|proxy_pass",
		breaks: swap(passFile, "http://beanpole;", "http://beanpole$uri;"), mends: swap(passFile, "http://beanpole$uri;", "http://beanpole$uri$is_args$args;")},
	{about: "a query that rewrite drops", check: "nginx-query", where: passFile + "|proxy_pass",
		breaks: passes("rewrite ^(.*)$ $1? break;"), mends: passed("rewrite ^(.*)$ $1? break;", "rewrite ^(.*)$ $1?from=nginx break;")},
	{about: "a query that is set", check: "nginx-query", where: passFile + "|proxy_pass",
		breaks: passes(`set $args "";`), mends: passed(`set $args "";`, `set $args "$args&from=nginx";`)},
	{about: "GET alone, by limit_except", check: "nginx-post", where: passFile + "|limit_except",
		breaks: passes("limit_except GET { deny all; }"), mends: passed("limit_except GET {", "limit_except GET POST OPTIONS {")},
	{about: "GET alone, by if", check: "nginx-post", where: passFile + "|if (",
		breaks: passes("if ($request_method != GET) { return 405; }"), mends: passed("!= GET", "= TRACE")},
	{about: "a rate for the load balancer's address", check: "nginx-limit", where: passFile + "|limit_req",
		breaks: steps(write(inHTTP, "limit_req_zone $binary_remote_addr zone=one:1m rate=9r/s;\n"), passes("limit_req zone=one;")), mends: passed("limit_req zone=one;", offBuffering)},
	{about: "connections for the load balancer's address", check: "nginx-limit", where: passFile + "|limit_conn",
		breaks: steps(write(inHTTP, "limit_conn_zone $binary_remote_addr zone=one:1m;\n"), passes("limit_conn one 20;")), mends: passed("limit_conn one 20;", offBuffering)},
	{about: "answers that nginx remembers", check: "nginx-cache", where: passFile + "|proxy_cache one",
		breaks: steps(write(inHTTP, "proxy_cache_path /var/cache/one keys_zone=one:1m;\n"), passes("proxy_cache one;\nproxy_ignore_headers Cache-Control;")),
		mends:  steps(drop(inHTTP), passed("proxy_cache one;", "proxy_cache off;"))},
	{about: "CORS by nginx too", check: "nginx-cors", where: passFile + "|add_header",
		breaks: steps(properties("BEANPOLE_ALLOWED_ORIGINS: https://www.example.com"), passes("add_header Access-Control-Allow-Origin * always;")), mends: passed("Access-Control-Allow-Origin *", "X-Frame-Options DENY")},
	{about: "every listener off", check: "listener-none", where: more + ":3",
		breaks: configFile("option_settings:", "  aws:elbv2:listener:default:", "    ListenerEnabled: false"), mends: configFile("option_settings:", "  aws:elbv2:listener:default:", "    ListenerEnabled: true")},
	{about: "a cookie that lasts for less than a poll", check: "stickiness-short", where: balancer + "|StickinessLBCookieDuration",
		breaks: swap(balancer, `StickinessLBCookieDuration: "86400"`, `StickinessLBCookieDuration: "30"`), mends: swap(balancer, `StickinessLBCookieDuration: "30"`, `StickinessLBCookieDuration: "3600"`)},
}
