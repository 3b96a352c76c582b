package host

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beanpole/beanpole/transport"
)

func TestEmptyEnvironmentIsTheZeroConfig(t *testing.T) {
	for _, environ := range [][]string{nil, {"PORT=", "BEANPOLE_PING_INTERVAL= ", "PATH=/bin"}} {
		got, err := fromEnv(environ)
		if err != nil || !reflect.DeepEqual(got, Config{}) {
			t.Errorf("fromEnv(%q) = %+v, %v, want the zero Config", environ, got, err)
		}
	}
}

func TestEveryVariableIsRead(t *testing.T) {
	dir := t.TempDir()
	values := map[string]string{
		"PORT": "8080", "HOST": "127.0.0.1", "REDIS_URL": "rediss://redis.example.com:6379/1", "REDIS_PASSWORD": "pw",
		"BEANPOLE_STATIC_IMMUTABLE": "assets/", "BEANPOLE_TLS_CERT": "cert.pem", "BEANPOLE_TLS_KEY": "key.pem",
		"BEANPOLE_PATH": "/ws/", "BEANPOLE_STATIC_DIR": dir, "BEANPOLE_CLIENT_DIR": dir,
		"BEANPOLE_ALLOWED_ORIGINS": "https://a.example.com, https://*.b.example.com",
		"BEANPOLE_ALLOWED_HOSTS":   "chat.example.com, localhost:5000", "BEANPOLE_JSONP": "despite-origins",
		"BEANPOLE_TRUSTED_HOPS": "2", "BEANPOLE_TRANSPORTS": "websocket, polling", "BEANPOLE_COOKIE": "io",
		"BEANPOLE_RECOVERY": "2m", "BEANPOLE_PING_INTERVAL": "10s", "BEANPOLE_PING_TIMEOUT": "5s",
		"BEANPOLE_UPGRADE_TIMEOUT": "3s", "BEANPOLE_CONNECT_TIMEOUT": "4s", "BEANPOLE_IDLE_TIMEOUT": "60s", "BEANPOLE_MAX_PAYLOAD": "2048",
		"BEANPOLE_MAX_SESSIONS": "1", "BEANPOLE_MAX_SESSIONS_PER_ADDR": "2",
		"BEANPOLE_HANDSHAKES_PER_SECOND": "3", "BEANPOLE_EVENTS_PER_SECOND": "4", "BEANPOLE_MAX_NAMESPACES": "5",
		"BEANPOLE_HANDSHAKES_PER_SECOND_PER_ADDR": "6", "BEANPOLE_EVENTS_PER_SECOND_PER_ADDR": "7",
		"BEANPOLE_MAX_SESSIONS_PER_IDENTITY": "8", "BEANPOLE_EVENTS_PER_SECOND_PER_IDENTITY": "9",
		"BEANPOLE_MAX_BACKLOG_BYTES": "4096", "BEANPOLE_MAX_BACKLOG_PACKETS": "64", "BEANPOLE_MEMORY_PERCENT": "60", "BEANPOLE_LIFECYCLE_HOOK": "drain",
		"BEANPOLE_CLOUDWATCH_METRICS": "log", "BEANPOLE_ENVIRONMENT": "chat", "BEANPOLE_LOG_LEVEL": "debug", "BEANPOLE_DEBUG": "*",
		"BEANPOLE_LOG_FORMAT": "json", "BEANPOLE_ACCESS_LOG": "errors", "BEANPOLE_SHUTDOWN_TIMEOUT": "7s",
		"BEANPOLE_DRAIN_TIME": "2s", "BEANPOLE_STOP_DRAIN_TIME": "100ms", "BEANPOLE_HEALTHD_LOG": "/var/log/nginx/healthd", "BEANPOLE_ADMIN_PORT": "5009", "BEANPOLE_INSTANCE": "i-1", "BEANPOLE_VERSION": "v7",
		"BEANPOLE_PROBE_TOKEN": "0123456789abcdef",
		"BEANPOLE_REDIS_MODE":  "streams", "BEANPOLE_REDIS_PREFIX": "app", "BEANPOLE_NODE_URL": "http://10.0.0.5:5000", "BEANPOLE_METRICS_ADDR": ":9464",
		"BEANPOLE_REDIS_SUBSCRIPTIONS": "dynamic", "BEANPOLE_REDIS_STREAM_LENGTH": "5000", "BEANPOLE_REDIS_STREAM_BYTES": "33554432", "BEANPOLE_REDIS_STREAM_COUNT": "2",
		"BEANPOLE_REDIS_OUTBOX_BYTES": "1000000",
		"BEANPOLE_NODE_SECRET":        "0123456789abcdef", "BEANPOLE_ADMIN_UI_USERNAME": "ada",
		"BEANPOLE_ADMIN_UI_PASSWORD_HASH": hashOfX, "BEANPOLE_ADMIN_UI_SERVER_NAME": "one",
		"BEANPOLE_ADMIN_UI_ALLOWED_ORIGINS": "https://a.example.com",
		"OTEL_EXPORTER_OTLP_ENDPOINT":       "http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_HEADERS": "a=b",
	}
	var environ []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		name := f.Tag.Get("env")
		if name == "-" {
			continue
		}
		if f.Type.Kind() == reflect.Bool {
			values[name] = "true"
		}
		environ = append(environ, name+"="+values[name])
	}
	cfg, err := fromEnv(environ)
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.ValueOf(cfg)
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Tag.Get("env") != "-" && f.Name != "LogLevel" && v.FieldByIndex(f.Index).IsZero() {
			t.Errorf("%s=%q left %s zero", f.Tag.Get("env"), values[f.Tag.Get("env")], f.Name)
		}
	}
	if cfg.LogLevel != slog.LevelDebug || cfg.PingInterval != 10*time.Second {
		t.Errorf("level %v, ping interval %v", cfg.LogLevel, cfg.PingInterval)
	}
	sc := cfg.server(slog.New(slog.DiscardHandler), nil)
	got := []int{
		sc.Transport.MaxSessions, sc.Transport.MaxSessionsPerAddr, sc.Transport.HandshakesPerSecond,
		sc.Limits.EventsPerSecond, sc.Limits.MaxNamespaces, sc.Transport.HandshakesPerSecondPerAddr,
		sc.Limits.EventsPerSecondPerAddr, sc.Limits.MaxSessionsPerIdentity, sc.Limits.EventsPerSecondPerIdentity,
	}
	if want := []int{1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(got, want) {
		t.Errorf("the server's limits are %d, want %d", got, want)
	}
	if want := []transport.Name{"websocket", "polling"}; !slices.Equal(cfg.Transports, want) {
		t.Errorf("transports %q, want %q", cfg.Transports, want)
	}
	if want := []string{"https://a.example.com", "https://*.b.example.com"}; !slices.Equal(cfg.AllowedOrigins, want) {
		t.Errorf("origins %q, want %q", cfg.AllowedOrigins, want)
	}
	if want := []string{"chat.example.com", "localhost:5000"}; !slices.Equal(sc.Transport.AllowedHosts, want) {
		t.Errorf("hosts %q, want %q", sc.Transport.AllowedHosts, want)
	}
	if sc.Transport.JSONP != transport.JSONPDespiteOrigins {
		t.Errorf("JSONP %q", sc.Transport.JSONP)
	}
}

func TestBadValueIsOneLine(t *testing.T) {
	for _, environ := range []string{
		"PORT=abc", "PORT=-1", "PORT=65536", "REDIS_URL=localhost:6379", "REDIS_URL=http://x", "BEANPOLE_PATH=socket.io?x",
		"BEANPOLE_PATH=/a b/", "BEANPOLE_PATH=/", "BEANPOLE_PATH=/healthz/", "BEANPOLE_PATH=//x/", "BEANPOLE_NO_UPGRADES=maybe", "BEANPOLE_STATIC_DIR=/no/such/folder",
		"BEANPOLE_ALLOWED_ORIGINS=example.com", "BEANPOLE_ALLOWED_ORIGINS=https://example.com/",
		"BEANPOLE_ALLOWED_ORIGINS=https://*.*.com", "BEANPOLE_ALLOWED_ORIGINS=*://app.example.com",
		"BEANPOLE_ALLOWED_ORIGINS=https://app.example.com#x", "BEANPOLE_ALLOWED_HOSTS=https://chat.example.com",
		"BEANPOLE_ALLOWED_HOSTS=a b", "BEANPOLE_ALLOWED_HOSTS=*.example.com", "BEANPOLE_ALLOWED_HOSTS=chat.example.com:",
		"BEANPOLE_ALLOWED_ORIGINS=http://localhost:99999", "BEANPOLE_ALLOWED_ORIGINS=http://127.1", "BEANPOLE_ALLOWED_ORIGINS=file://*", "BEANPOLE_JSONP=yes", "BEANPOLE_JSONP=eio3", "BEANPOLE_TRUSTED_HOPS=-1", "BEANPOLE_TRUSTED_HOPS=17",
		"BEANPOLE_TRANSPORTS=carrier-pigeon", "OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4318", "BEANPOLE_TRACING=perhaps",
		"BEANPOLE_ADMIN_UI_READ_ONLY=sometimes", "BEANPOLE_ADMIN_UI_SERVER_NAME=a b", "BEANPOLE_HANDSHAKES_PER_SECOND_PER_ADDR=-1",
		"BEANPOLE_MAX_SESSIONS_PER_IDENTITY=many", "BEANPOLE_COOKIE=a=b", "BEANPOLE_PING_INTERVAL=25",
		"BEANPOLE_PING_INTERVAL=1ms", "BEANPOLE_PING_TIMEOUT=2h", "BEANPOLE_MAX_PAYLOAD=1e6", "BEANPOLE_MAX_PAYLOAD=10",
		"BEANPOLE_LOG_LEVEL=loud", "BEANPOLE_LOG_FORMAT=xml", "BEANPOLE_ACCESS_LOG=some",
		"BEANPOLE_MEMORY_PERCENT=96", "BEANPOLE_LIFECYCLE_HOOK=a hook", "BEANPOLE_CLOUDWATCH_METRICS=metrics.log", "BEANPOLE_ENVIRONMENT=a b",
		"BEANPOLE_SHUTDOWN_TIMEOUT=forever", "BEANPOLE_STOP_DRAIN_TIME=20s", "BEANPOLE_HEALTHD_LOG=healthd", "BEANPOLE_HEALTHD_LOG=/dev/null", "BEANPOLE_IDLE_TIMEOUT=45s",
		"BEANPOLE_RECOVERY=500µs", "BEANPOLE_RECOVERY=25h0m0s", "BEANPOLE_ADMIN_PORT=5000", "PORT=65535",
	} {
		_, err := fromEnv([]string{environ})
		var bad *ValueError
		if !errors.As(err, &bad) {
			t.Errorf("fromEnv(%q) = %v, want a ValueError", environ, err)
			continue
		}
		name, value, _ := strings.Cut(environ, "=")
		text := err.Error()
		if bad.Variable != name || !strings.Contains(text, name) || !strings.Contains(text, value) ||
			bad.Allowed == "" || strings.Contains(text, "\n") {
			t.Errorf("fromEnv(%q): %q", environ, text)
		}
	}
}

// Every variable has values that are no use, and none of them starts a server: what is taken for the default, or found out
// when it is too late, is a fault that nobody sees.
// What a variable may be, the server and the adapter take: whatever either of them refuses is refused by its name before, at
// both ends of every range and within.
func TestWhatAVariableMayBeIsTaken(t *testing.T) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		name := f.Tag.Get("env")
		low, high := limits(f.Tag.Get("allow"))
		if high == "" {
			continue
		}
		values := []string{low, high}
		if f.Type == reflect.TypeFor[time.Duration]() {
			values = append(values, "1ns", "999us", "1ms", "100001us", "1500ms")
		}
		for _, v := range values {
			cfg, err := fromEnv([]string{name + "=" + v, "BEANPOLE_LOG_LEVEL=error"})
			if err == nil {
				var h *Host
				if h, err = New(cfg); err == nil {
					ctx, cancel := context.WithCancel(t.Context())
					cancel() // there is nobody to wait for
					_ = h.Shutdown(ctx)
				}
			}
			if bad := (*ValueError)(nil); err != nil && !errors.As(err, &bad) {
				t.Errorf("%s=%s: %v", name, v, err)
			}
		}
	}
}

func TestAdminPortBesideThePort(t *testing.T) {
	for environ, ok := range map[string]bool{
		"PORT=8000 BEANPOLE_ADMIN_PORT=8000":                        false,
		"PORT=8000 BEANPOLE_ADMIN_PORT=8000 HOST=127.0.0.1":         false,
		"PORT=8000 BEANPOLE_ADMIN_PORT=8000 HOST=localhost":         false,
		"PORT=8000 BEANPOLE_ADMIN_PORT=8000 HOST=::":                false,
		"PORT=8000 BEANPOLE_ADMIN_PORT=8000 HOST=192.0.2.1":         true,
		"PORT=8000 BEANPOLE_ADMIN_PORT=8000 BEANPOLE_NO_ADMIN=true": true,
		"PORT=0 BEANPOLE_ADMIN_PORT=0":                              true,
		"PORT=0":                                                    true,
		"PORT=65535 BEANPOLE_ADMIN_PORT=65534":                      true,
		"PORT=65535 BEANPOLE_NO_ADMIN=true":                         true,
		"PORT=65534":                                                true,
	} {
		if _, err := fromEnv(strings.Fields(environ)); (err == nil) != ok {
			t.Errorf("%s: %v", environ, err)
		}
	}
}

// Two listeners of a host that cannot both have their port are refused at the start, by a line that names the variable: one
// of them would be missing for ever, the one that deployments drain by among them.
func TestMetricsHaveAPortOfTheirOwn(t *testing.T) {
	for environ, ok := range map[string]bool{
		"BEANPOLE_METRICS_ADDR=:5000":                                    false,
		"BEANPOLE_METRICS_ADDR=10.0.0.5:5000":                            false,
		"BEANPOLE_METRICS_ADDR=:5001":                                    false,
		"BEANPOLE_METRICS_ADDR=127.0.0.1:5001":                           false,
		"BEANPOLE_METRICS_ADDR=localhost:5001":                           false,
		"BEANPOLE_METRICS_ADDR=[::]:5001":                                false,
		"BEANPOLE_METRICS_ADDR=:7000 PORT=8000 BEANPOLE_ADMIN_PORT=7000": false,
		"BEANPOLE_METRICS_ADDR=:9464":                                    true,
		"BEANPOLE_METRICS_ADDR=10.0.0.5:5001":                            true,
		"BEANPOLE_METRICS_ADDR=10.0.0.5:5000 HOST=127.0.0.1":             true,
		"BEANPOLE_METRICS_ADDR=:5001 BEANPOLE_ADMIN_PORT=7000":           true,
		"BEANPOLE_METRICS_ADDR=:5001 BEANPOLE_NO_ADMIN=true":             true,
		"BEANPOLE_METRICS_ADDR=:0":                                       true,
		"BEANPOLE_METRICS_ADDR=:5001 PORT=0":                             true,
		"BEANPOLE_METRICS_ADDR=:0 PORT=0 BEANPOLE_ADMIN_PORT=0":          true,
	} {
		_, err := fromEnv(strings.Fields(environ))
		var bad *ValueError
		if ok && err != nil || !ok && (!errors.As(err, &bad) || bad.Variable != "BEANPOLE_METRICS_ADDR") {
			t.Errorf("%s: %v", environ, err)
		}
	}
}

func TestNoVariableTakesWhatIsOfNoUse(t *testing.T) {
	texts := map[string][]string{
		"HOST": {"a b", "[::1]", "0:5000", "host:", "é"}, "BEANPOLE_TLS_CERT": {"cert.pem"}, "BEANPOLE_TLS_KEY": {"key.pem"}, "REDIS_PASSWORD": nil, "BEANPOLE_ADMIN_UI_USERNAME": nil,
		"REDIS_URL": {"redis", "redis://", "redis://127.0.0.1:99999", "redis://127.0.0.1:0", "redis://127.0.0.1:6379/-1", "redis://127.0.0.1:6379/x",
			"redis://127.0.0.1?db=-1", "redis://127.0.0.1:6379?cluster=true&addr=127.0.0.2:99999", "rediss://127.0.0.1?master_name=m&addr=h:0"},
		"BEANPOLE_REDIS_MODE": {"stream"}, "BEANPOLE_REDIS_SUBSCRIPTIONS": {"all"}, "BEANPOLE_REDIS_PREFIX": {"a b", "é"},
		"BEANPOLE_METRICS_ADDR": {"9464", "host", ":", ":x", ":65536", "http://h:9464", "a b:1"},
		"BEANPOLE_NODE_URL": {"http://h:99999", "http://h:0", "http://:99999", "h:5000", "http://h:5000/x",
			"http://h:5000?x=1", "http://me@h:5000", "http://0.0.0.0:5000", "http://[::]:5000", "http://255.255.255.255", "http://224.0.0.1"}, "BEANPOLE_NODE_SECRET": {"short"},
		"BEANPOLE_PATH":             {"/a/../b/", "/./", "/..", "/a//b/", "/a\nb/", "/a%20b/", `/a\b/`, "/a?b", "/:a/", "/*/", "/"},
		"BEANPOLE_STATIC_IMMUTABLE": {"/", "../x", "a/../b", "a//b", "."}, "BEANPOLE_STATIC_DIR": {"/no/such/folder"}, "BEANPOLE_CLIENT_DIR": {"/no/such/folder"},
		"BEANPOLE_ALLOWED_ORIGINS": {"example.com", ",", "https://a.example,"}, "BEANPOLE_ALLOWED_HOSTS": {"a b", ",", "h:99999"},
		"BEANPOLE_TRANSPORTS": {"webtransport", ",", "polling,"}, "BEANPOLE_JSONP": {"yes"}, "BEANPOLE_COOKIE": {"é", "a=b", "a b", "a\nb", "a(b)"},
		"BEANPOLE_LOG_LEVEL": {"loud"}, "BEANPOLE_DEBUG": {",", "/chat,"}, "BEANPOLE_LOG_FORMAT": {"xml"}, "BEANPOLE_ACCESS_LOG": {"some"},
		"BEANPOLE_CLOUDWATCH_METRICS": {"metrics.log"}, "BEANPOLE_ENVIRONMENT": {"a b"}, "BEANPOLE_HEALTHD_LOG": {"healthd"},
		"BEANPOLE_LIFECYCLE_HOOK": {"a hook"}, "BEANPOLE_INSTANCE": {"a b"}, "BEANPOLE_VERSION": {"é"}, "BEANPOLE_PROBE_TOKEN": {"short"},
		"BEANPOLE_ADMIN_UI_PASSWORD_HASH": {"password"}, "BEANPOLE_ADMIN_UI_ALLOWED_ORIGINS": {"example.com", ","}, "BEANPOLE_ADMIN_UI_SERVER_NAME": {"a b"},
		"OTEL_EXPORTER_OTLP_ENDPOINT": {"localhost:4318", "http://localhost:99999"}, "OTEL_EXPORTER_OTLP_HEADERS": {"a", "a b=c"},
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		name := f.Tag.Get("env")
		if name == "-" {
			continue
		}
		values, listed := texts[name]
		low, high := limits(f.Tag.Get("allow"))
		switch {
		case f.Type.Kind() == reflect.Bool:
			values = []string{"maybe", "yes", "2"}
		case f.Type == reflect.TypeFor[Port]():
			values = []string{"-1", "65536", "x", "1.5"}
		case f.Type == reflect.TypeFor[time.Duration]():
			values = []string{"25", "-1s", "x", high + "1ms"}
			if f.Tag.Get("default") != "0s" {
				values = append(values, "0", "0s", "1ns")
			}
		case f.Type.Kind() == reflect.Int || f.Type.Kind() == reflect.Int64:
			values = []string{"-1", "x", "1.5", "1e3", high + "0"}
			if low != "0" {
				values = append(values, "0", "00")
			}
		case !listed:
			t.Errorf("%s has no values here that are of no use", name)
		}
		for _, value := range values {
			found := Problems(map[string]string{name: value, "BEANPOLE_ADMIN_UI_USERNAME": "ada"}, func(string) bool { return false })
			if !slices.ContainsFunc(found, func(p Problem) bool {
				return p.Variable == name && p.Err != nil && !strings.Contains(p.Err.Error(), "\n")
			}) {
				t.Errorf("%s=%q is taken", name, value)
			}
		}
	}
}

// A list says which of its entries nothing matches, and why.
func TestBadEntryOfAList(t *testing.T) {
	for environ, why := range map[string]string{
		`BEANPOLE_ALLOWED_ORIGINS=["https://a.example"]`:                 "separated by commas, without quotes and brackets",
		"BEANPOLE_ALLOWED_HOSTS=localhost,b\u00fccher.example":           `host "bücher.example": browsers write it xn--bcher-kva.example`,
		"BEANPOLE_ALLOWED_HOSTS=localhost,*.example.com":                 `host "*.example.com": "*" stands for nothing here: list the names`,
		"BEANPOLE_ALLOWED_ORIGINS=https://a.example,https://b.example:0": `origin "https://b.example:0": no port 0`,
	} {
		if _, err := fromEnv([]string{environ}); err == nil || !strings.HasSuffix(err.Error(), why) {
			t.Errorf("%s: %v, want %s", environ, err, why)
		}
	}
	if _, err := fromEnv([]string{"BEANPOLE_ALLOWED_ORIGINS=file://,null,https://app.example.com:443"}); err != nil {
		t.Error(err)
	}
}

// What is secret stands in no line of an error, however wrong it is.
func TestBadValueKeepsItsSecret(t *testing.T) {
	for _, environ := range []string{
		"REDIS_URL=https://me:hunter2@example.com", "REDIS_URL=redis://:hunter2 x@example.com:6379", "REDIS_URL=redis://:hunter2@example.com:none",
		"REDIS_URL=redis://:hunter2/x@example.com:6379", "REDIS_URL=redis://:hunter2#x@example.com", "REDIS_URL=redis://:hunter2%zz@example.com",
		"REDIS_URL=me:hunter2@example.com:6379",
		"REDIS_URL=http://example.com?password=hunter2", "REDIS_URL=redis://:p@hunter2@example.com:x",
		"REDIS_PASSWORD=hunter2", "BEANPOLE_NODE_URL=ftp://me:hunter2@example.com", "BEANPOLE_NODE_URL=http://me:hunter2@example.com", "BEANPOLE_NODE_SECRET=hunter2", "BEANPOLE_PROBE_TOKEN=hunter2",
		"BEANPOLE_ADMIN_UI_PASSWORD_HASH=hunter2", "OTEL_EXPORTER_OTLP_HEADERS=hunter2", "OTEL_EXPORTER_OTLP_ENDPOINT=me:hunter2@example.com",
	} {
		name, _, _ := strings.Cut(environ, "=")
		list := []string{environ}
		if name == "REDIS_PASSWORD" {
			list = append(list, "REDIS_URL=redis://:hunter2@example.com")
		}
		if name == "BEANPOLE_ADMIN_UI_PASSWORD_HASH" {
			list = append(list, "BEANPOLE_ADMIN_UI_USERNAME=ada")
		}
		_, err := fromEnv(list)
		var bad *ValueError
		if !errors.As(err, &bad) || bad.Variable != name || strings.Contains(err.Error(), "hunter2") || bad.Value == "" {
			t.Errorf("%s: %v", environ, err)
		}
	}
}

// Whoever adds a variable that is secret by its name says so in its tag.
func TestSecretsAreTagged(t *testing.T) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		name := f.Tag.Get("env")
		secret := regexp.MustCompile(`SECRET|TOKEN|PASSWORD|KEY|HEADERS`).MatchString(name)
		if secret != (f.Tag.Get("secret") != "") {
			t.Errorf("%s: secret:%q", name, f.Tag.Get("secret"))
		}
	}
}

func TestCredentialsNeedOriginsOfOnesOwn(t *testing.T) {
	for _, origins := range []string{"*", "null", "https://*", "https://a.example.com,https://*", "https://app*", "https://*.com"} {
		_, err := fromEnv([]string{"BEANPOLE_ALLOWED_ORIGINS=" + origins, "BEANPOLE_ALLOW_CREDENTIALS=true"})
		var bad *ValueError
		if !errors.As(err, &bad) || bad.Variable != "BEANPOLE_ALLOWED_ORIGINS" || strings.Contains(err.Error(), "\n") {
			t.Errorf("credentials for %s: %v", origins, err)
		}
		if _, err := New(Config{AllowedOrigins: strings.Split(origins, ","), AllowCredentials: true}); err == nil {
			t.Errorf("New allows credentials for %s", origins)
		}
	}
}

func TestJSONPAndAListOfOriginsMustBeSaid(t *testing.T) {
	const list = "BEANPOLE_ALLOWED_ORIGINS=https://a.example.com"
	for _, tt := range []struct {
		environ []string
		bad     bool
	}{
		{[]string{"BEANPOLE_JSONP=all"}, false},
		{[]string{"BEANPOLE_JSONP=eio3", "BEANPOLE_ALLOW_EIO3=true"}, false},
		{[]string{"BEANPOLE_JSONP=all", "BEANPOLE_ALLOWED_ORIGINS=*"}, false},
		{[]string{"BEANPOLE_JSONP=despite-origins", list}, false},
		{[]string{"BEANPOLE_JSONP=all", list}, true},
		{[]string{"BEANPOLE_JSONP=eio3", "BEANPOLE_ALLOW_EIO3=true", list}, true},
	} {
		_, err := fromEnv(tt.environ)
		if bad := new(ValueError); errors.As(err, &bad) != tt.bad || err != nil && (bad.Variable != "BEANPOLE_JSONP" || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%q: %v", tt.environ, err)
		}
	}
}

func TestNewChecksTheConfig(t *testing.T) {
	_, err := New(Config{PingInterval: time.Nanosecond})
	var bad *ValueError
	if !errors.As(err, &bad) || bad.Variable != "BEANPOLE_PING_INTERVAL" {
		t.Errorf("New with a ping interval of 1ns: %v", err)
	}
}

func TestPortZeroIsAnyPort(t *testing.T) {
	cfg, err := fromEnv([]string{"PORT=0"})
	if err != nil || cfg.Port != AnyPort {
		t.Errorf("PORT=0 is %d, %v, want AnyPort", cfg.Port, err)
	}
}

func TestUnknownVariables(t *testing.T) {
	got := unknownVariables([]string{"BEANPOLE_PING_INTERVALL=1", "BEANPOLE_PATH=/x/", "HOME=/", "BEANPOLE_PORT=1", "BEANPOLE_REDIS_URL=x",
		"BEANPOLE_ALLOWED_ORIGIN=x", "beanpole_recovery=1s", "BEANPOLE_COLOUR_OF_BEANS=green", "BEANPOLE_X=1"})
	want := []unknown{
		{"BEANPOLE_ALLOWED_ORIGIN", "BEANPOLE_ALLOWED_ORIGINS"}, {"BEANPOLE_COLOUR_OF_BEANS", ""},
		{"BEANPOLE_PING_INTERVALL", "BEANPOLE_PING_INTERVAL"}, {"BEANPOLE_PORT", "PORT"}, {"BEANPOLE_REDIS_URL", "REDIS_URL"},
		{"BEANPOLE_X", ""}, {"beanpole_recovery", "BEANPOLE_RECOVERY"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("unknownVariables = %q, want %q", got, want)
	}
}

// Variables that do nothing are told, with the one they need.
func TestVariablesWithoutEffect(t *testing.T) {
	cfg, err := fromEnv([]string{"BEANPOLE_REDIS_MODE=streams", "BEANPOLE_NODE_URL=http://10.0.0.5:5000", "BEANPOLE_ALLOW_CREDENTIALS=true"})
	if err != nil {
		t.Fatal(err)
	}
	h, log := newTestHost(t, Config{})
	h.warnVariables(nil, cfg.idle())
	for _, line := range []string{"name=BEANPOLE_REDIS_MODE without=REDIS_URL", "name=BEANPOLE_NODE_URL without=REDIS_URL",
		"name=BEANPOLE_ALLOW_CREDENTIALS without=BEANPOLE_ALLOWED_ORIGINS"} {
		if strings.Count(log.String(), line) != 1 {
			t.Errorf("no line %s in %s", line, log)
		}
	}
	cfg.RedisURL, cfg.AllowedOrigins = "redis://localhost", []string{"https://a.example"}
	if idle := cfg.idle(); len(idle) > 0 {
		t.Errorf("%q have no effect", idle)
	}
}

// So are those that others leave without effect by their values.
func TestVariablesThatContradict(t *testing.T) {
	const redis = "REDIS_URL=redis://localhost"
	for _, c := range []struct{ environ, name, without string }{
		{redis + " BEANPOLE_REDIS_MODE=pubsub BEANPOLE_REDIS_STREAM_COUNT=4", "BEANPOLE_REDIS_STREAM_COUNT", "BEANPOLE_REDIS_MODE=streams"},
		{redis + " BEANPOLE_REDIS_MODE=sharded BEANPOLE_REDIS_STREAM_LENGTH=5000", "BEANPOLE_REDIS_STREAM_LENGTH", "BEANPOLE_REDIS_MODE=streams"},
		{redis + " BEANPOLE_RECOVERY=2m BEANPOLE_REDIS_SUBSCRIPTIONS=dynamic", "BEANPOLE_REDIS_SUBSCRIPTIONS", "BEANPOLE_REDIS_MODE=pubsub"},
		{redis + " BEANPOLE_NO_FORWARDING=true BEANPOLE_NODE_URL=http://10.0.0.5:5000", "BEANPOLE_NODE_URL", "BEANPOLE_NO_FORWARDING=false"},
		{"BEANPOLE_DEBUG_PAYLOADS=true", "BEANPOLE_DEBUG_PAYLOADS", "BEANPOLE_DEBUG"},
		{"BEANPOLE_DEBUG=*", "BEANPOLE_DEBUG", "BEANPOLE_LOG_LEVEL=debug"},
		{"BEANPOLE_DEBUG=* BEANPOLE_LOG_LEVEL=debug", "", ""},
		{"BEANPOLE_NO_ADMIN=true BEANPOLE_ADMIN_PORT=5001", "BEANPOLE_ADMIN_PORT", "BEANPOLE_NO_ADMIN=false"},
		{"BEANPOLE_TRANSPORTS=websocket BEANPOLE_JSONP=all", "BEANPOLE_JSONP", "BEANPOLE_TRANSPORTS=polling,websocket"},
		{"BEANPOLE_TRANSPORTS=websocket BEANPOLE_UPGRADE_TIMEOUT=1s", "BEANPOLE_UPGRADE_TIMEOUT", "BEANPOLE_TRANSPORTS=polling,websocket"},
		{"BEANPOLE_TRANSPORTS=polling BEANPOLE_PER_MESSAGE_DEFLATE=true", "BEANPOLE_PER_MESSAGE_DEFLATE", "BEANPOLE_TRANSPORTS=polling,websocket"},
		{redis + " BEANPOLE_REDIS_STREAM_COUNT=4 BEANPOLE_RECOVERY=2m BEANPOLE_NODE_URL=http://10.0.0.5:5000 BEANPOLE_ADMIN_PORT=5001", "", ""},
		{redis + " BEANPOLE_REDIS_STREAM_COUNT=4", "", ""}, // mode auto may find streams
	} {
		cfg, err := fromEnv(strings.Fields(c.environ))
		if err != nil {
			t.Fatal(err)
		}
		var want [][2]string
		if c.name != "" {
			want = [][2]string{{c.name, c.without}}
		}
		if got := cfg.idle(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.environ, got, want)
		}
	}
}

// What the client of Redis does not understand is told as of any variable, without passwords.
func TestRedisURLThatIsNotUnderstood(t *testing.T) {
	for _, u := range []string{"redis://me:hunter2@localhost:6379/foo", "redis://localhost:6379/?nonsense=hunter2", "redis://localhost:6379/?master_name=x&db=hunter"} {
		_, err := New(Config{RedisURL: u})
		var bad *ValueError
		if !errors.As(err, &bad) || bad.Variable != "REDIS_URL" || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestDurationWithoutUnit(t *testing.T) {
	if _, err := fromEnv([]string{"BEANPOLE_PING_INTERVAL=25000"}); err == nil || !strings.HasSuffix(err.Error(), "10m, with its unit: 25s, 250ms") {
		t.Error(err)
	}
	if _, err := fromEnv([]string{"BEANPOLE_PING_INTERVAL=1h"}); err == nil || strings.Contains(err.Error(), "unit") {
		t.Error(err)
	}
}
