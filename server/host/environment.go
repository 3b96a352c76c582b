package host

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caarlos0/env/v11"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/internal/origin"
	"github.com/beanpole/beanpole/transport"
)

// Port is a TCP port. Zero means DefaultPort, AnyPort one that the system chooses.
type Port int

// UnmarshalText reads a port; 0 is AnyPort.
func (p *Port) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil {
		return err
	}
	*p = Port(n)
	if n == 0 {
		*p = AnyPort
	}
	return nil
}

// LogFormat is the form of the log. The zero value means LogText.
type LogFormat string

// The forms of the log.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// AccessLog says which requests are logged. The zero value means AccessApp.
type AccessLog string

// The kinds of access log.
const (
	AccessApp      AccessLog = "app"
	AccessSessions AccessLog = "sessions"
	AccessErrors   AccessLog = "errors"
	AccessAll      AccessLog = "all"
	AccessNone     AccessLog = "none"
)

// ValueError says that a setting has a value that is not allowed. Its text is one line.
type ValueError struct {
	Variable string // the variable that sets it
	Value    string // as given; a password in it is hidden
	Allowed  string // what is allowed, as in "a duration from 1s to 10m"
}

// Error names the variable, its value and what is allowed.
func (e *ValueError) Error() string {
	return fmt.Sprintf("%s=%q is not allowed: it must be %s", e.Variable, e.Value, e.Allowed)
}

// FromEnv returns the Config that the process's environment describes. An empty variable counts as not
// set. The error is a *ValueError for the first variable with a bad value.
func FromEnv() (Config, error) { return fromEnv(os.Environ()) }

func fromEnv(environ []string) (Config, error) {
	cfg, bad := readVariables(environ)
	if len(bad) > 0 {
		return Config{}, bad[0]
	}
	return cfg, cfg.check()
}

// readVariables returns the Config that environ describes and an error for each variable that cannot be read, whose fields
// stay zero.
func readVariables(environ []string) (cfg Config, bad []error) {
	set := make(map[string]string, len(environ))
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok && strings.TrimSpace(v) != "" {
			set[k] = strings.TrimSpace(v)
		}
	}
	if err := env.ParseWithOptions(&cfg, env.Options{Environment: set}); err != nil {
		all := env.AggregateError{}
		if !errors.As(err, &all) {
			return Config{}, []error{err}
		}
		for _, err := range all.Errors {
			var parse env.ParseError
			if errors.As(err, &parse) {
				f, _ := reflect.TypeFor[Config]().FieldByName(parse.Name)
				err = badValue(f, set[f.Tag.Get("env")])
			}
			bad = append(bad, err)
		}
	}
	v := reflect.ValueOf(&cfg).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) { // a zero that was set is not the default that it is to check
		value, field := set[f.Tag.Get("env")], v.FieldByIndex(f.Index)
		if value != "" && field.IsZero() && numeric(f) && !allowed(f, field.Interface(), nil) && !failed(bad, f) {
			bad = append(bad, badValue(f, value))
		}
	}
	for _, l := range [][]string{cfg.AllowedOrigins, cfg.AllowedHosts, cfg.AdminUIAllowedOrigins} {
		for i, v := range l {
			l[i] = strings.TrimSpace(v)
		}
	}
	for i, t := range cfg.Transports {
		cfg.Transports[i] = transport.Name(strings.TrimSpace(string(t)))
	}
	return cfg, bad
}

func badValue(f reflect.StructField, value string) error {
	bad := &ValueError{Variable: f.Tag.Get("env"), Value: shown(f, value), Allowed: f.Tag.Get("allow")}
	if _, err := strconv.ParseFloat(value, 64); err == nil && f.Type == reflect.TypeFor[time.Duration]() {
		bad.Allowed += ", with its unit: 25s, 250ms" // Node's options are numbers of milliseconds
	}
	return bad
}

// shown is what may be told of a value that is not allowed: nothing of a secret, and no password of a URL, which it may
// have whether or not it can be understood.
func shown(f reflect.StructField, value string) string {
	if f.Tag.Get("secret") != "" {
		return fmt.Sprintf("(%d characters)", utf8.RuneCountInString(value))
	}
	if strings.Contains(value, "://") && f.Type.Kind() == reflect.String {
		value, _, _ = strings.Cut(value, "?") // as Redis' passwords may stand there
	}
	u, err := url.Parse(value)
	switch {
	case err == nil && u.User != nil:
		return u.Redacted()
	case strings.Contains(value, "@") && f.Type.Kind() == reflect.String:
		return "(hidden, as it may have a password)" + value[strings.LastIndex(value, "@"):]
	}
	return value
}

// badRedisURL is the error for a RedisURL that is one, of which the client of Redis does not understand a part.
func (cfg *Config) badRedisURL(err error) error {
	f, _ := reflect.TypeFor[Config]().FieldByName("RedisURL")
	bad := badValue(f, cfg.RedisURL).(*ValueError)
	bad.Allowed += "; " + err.Error()
	return bad
}

// check returns a *ValueError for the first field whose value is not allowed. Zero is always allowed: it
// means the default.
func (cfg *Config) check() error {
	if bad := cfg.wrong(isFolder); len(bad) > 0 {
		return bad[0]
	}
	return cfg.checkHealthdLog()
}

// isFolder reports whether there is a folder of that name here.
func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// wrong returns a *ValueError for each field whose value is not allowed. folder is asked for those that name one.
func (cfg *Config) wrong(folder func(name string) bool) (bad []error) {
	v := reflect.ValueOf(cfg).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		field := v.FieldByIndex(f.Index)
		if f.Tag.Get("allow") == "" || field.IsZero() {
			continue
		}
		if !allowed(f, field.Interface(), folder) {
			bad = append(bad, badValue(f, text(field.Interface())))
		}
	}
	for _, check := range []func() error{cfg.checkSites, cfg.checkTLS, cfg.checkTimes, cfg.checkPorts, cfg.checkRedisPassword, cfg.checkRecovery, cfg.checkAdminUI, cfg.checkTracing, cfg.checkJSONP} {
		if err := check(); err != nil {
			bad = append(bad, err)
		}
	}
	return bad
}

// checkTimes returns a *ValueError for times that do not fit together.
func (cfg *Config) checkTimes() error {
	silence := cmp.Or(cfg.PingInterval, transport.DefaultPingInterval) + cmp.Or(cfg.PingTimeout, transport.DefaultPingTimeout)
	if cfg.IdleTimeout > 0 && cfg.IdleTimeout <= silence {
		return &ValueError{"BEANPOLE_IDLE_TIMEOUT", text(cfg.IdleTimeout), fmt.Sprintf(
			"longer than BEANPOLE_PING_INTERVAL and BEANPOLE_PING_TIMEOUT together, %v, or proxies cut quiet clients", silence)}
	}
	variable, drain := "BEANPOLE_DRAIN_TIME", cfg.DrainTime
	if cfg.StopDrainTime > 0 {
		variable, drain = "BEANPOLE_STOP_DRAIN_TIME", cfg.StopDrainTime
	}
	if s := cmp.Or(cfg.ShutdownTimeout, DefaultShutdownTimeout); drain >= s {
		return &ValueError{variable, text(drain), fmt.Sprintf(
			"shorter than BEANPOLE_SHUTDOWN_TIMEOUT, %v, which has to hold the drain", s)}
	}
	return nil
}

// adminPort is the port of the admin listener; none above 0 is any that is free.
func (cfg *Config) adminPort() Port {
	if port := cmp.Or(cfg.Port, DefaultPort); cfg.AdminPort == 0 && port > 0 {
		return port + 1
	}
	return cfg.AdminPort
}

// checkPorts returns a *ValueError for two listeners that cannot both have their port, however long they try.
func (cfg *Config) checkPorts() error {
	port, admin := cmp.Or(cfg.Port, DefaultPort), cfg.adminPort()
	at, digits, _ := net.SplitHostPort(cfg.MetricsAddr)
	number, _ := strconv.ParseUint(digits, 10, 16)
	metrics := Port(number)
	if cfg.NoAdmin {
		admin = AnyPort
	}
	switch {
	case admin > 65535:
		return &ValueError{"PORT", text(port), "65534 or less, or BEANPOLE_ADMIN_PORT set: without that the admin listener has the port after it"}
	case admin > 0 && admin == port && overlap(adminHost, cfg.Host):
		return &ValueError{"BEANPOLE_ADMIN_PORT", text(cfg.AdminPort), "another port than PORT, or not set"}
	case metrics > 0 && metrics == port && overlap(at, cfg.Host):
		return &ValueError{"BEANPOLE_METRICS_ADDR", cfg.MetricsAddr, "an address with another port than PORT, which is " + text(port)}
	case metrics > 0 && metrics == admin && overlap(at, adminHost):
		return &ValueError{"BEANPOLE_METRICS_ADDR", cfg.MetricsAddr, "an address with another port than that of the admin listener, which is " +
			text(admin) + ": BEANPOLE_ADMIN_PORT, or else the one after PORT"}
	}
	return nil
}

// overlap reports whether listeners of one port at two addresses are in each other's way. A name, or nothing, may be any.
func overlap(a, b string) bool {
	x, bad := netip.ParseAddr(a)
	y, worse := netip.ParseAddr(b)
	return bad != nil || worse != nil || x.IsUnspecified() || y.IsUnspecified() || x.Unmap() == y.Unmap()
}

// checkHealthdLog returns a *ValueError for what is there and no folder. One that is not there yet may come.
func (cfg *Config) checkHealthdLog() error {
	if info, err := os.Stat(cfg.HealthdLog); cfg.HealthdLog != "" && err == nil && !info.IsDir() {
		f, _ := reflect.TypeFor[Config]().FieldByName("HealthdLog")
		return badValue(f, cfg.HealthdLog)
	}
	return nil
}

// checkRedisPassword returns a *ValueError for a password that is there twice.
func (cfg *Config) checkRedisPassword() error {
	if u, err := url.Parse(cfg.RedisURL); err == nil && cfg.RedisPassword != "" {
		if _, two := u.User.Password(); two {
			f, _ := reflect.TypeFor[Config]().FieldByName("RedisPassword")
			return badValue(f, cfg.RedisPassword)
		}
	}
	return nil
}

// checkRecovery returns a *ValueError for a mode of Redis that keeps nothing to recover.
func (cfg *Config) checkRecovery() error {
	if cfg.RedisURL != "" && cfg.Recovery > 0 && cfg.redisMode() != RedisMode(redis.Streams) {
		return &ValueError{"BEANPOLE_REDIS_MODE", string(cfg.RedisMode),
			"streams, auto, or not set, when BEANPOLE_RECOVERY is on: the other modes keep nothing to recover"}
	}
	return nil
}

// checkSites returns a *ValueError for lists of origins and hosts that no browser's headers can match, or that would
// give anybody's pages cookies. What is wrong follows what is allowed.
func (cfg *Config) checkSites() error {
	bad := func(field string, value []string, err error) error {
		f, _ := reflect.TypeFor[Config]().FieldByName(field)
		return &ValueError{f.Tag.Get("env"), text(value), f.Tag.Get("allow") + "; " + err.Error()}
	}
	if len(cfg.AllowedOrigins) > 0 {
		if err := (&transport.CORS{Origins: cfg.AllowedOrigins}).Check(); err != nil {
			return bad("AllowedOrigins", cfg.AllowedOrigins, err)
		}
		if cfg.cors().Check() != nil { // each is an origin, so it is the credentials
			return &ValueError{"BEANPOLE_ALLOWED_ORIGINS", text(cfg.AllowedOrigins),
				"origins of domains of your own when BEANPOLE_ALLOW_CREDENTIALS is on, as cookies would go to pages of anybody"}
		}
	}
	for _, o := range cfg.AdminUIAllowedOrigins {
		if _, err := origin.ParsePattern(o); err != nil {
			return bad("AdminUIAllowedOrigins", cfg.AdminUIAllowedOrigins, err)
		}
	}
	if _, err := origin.ParseHosts(cfg.AllowedHosts); err != nil {
		return bad("AllowedHosts", cfg.AllowedHosts, err)
	}
	return nil
}

// listed reports whether only the pages of a list may connect.
func (cfg *Config) listed() bool {
	return len(cfg.AllowedOrigins) > 0 && !slices.Contains(cfg.AllowedOrigins, "*")
}

// checkJSONP returns a *ValueError where JSONP does not go with the rest.
func (cfg *Config) checkJSONP() error {
	switch {
	case cfg.JSONP == transport.JSONPEIO3 && !cfg.AllowEIO3:
		return &ValueError{"BEANPOLE_JSONP", text(cfg.JSONP), "used with BEANPOLE_ALLOW_EIO3, or another"}
	case cfg.JSONP != "" && cfg.JSONP != transport.JSONPDespiteOrigins && cfg.listed():
		return &ValueError{"BEANPOLE_JSONP", text(cfg.JSONP), "despite-origins, or not set, when BEANPOLE_ALLOWED_ORIGINS is: " +
			"by JSONP pages of other origins can read"}
	}
	return nil
}

// text is the value as one would write it in the environment.
func text(value any) string {
	switch value := value.(type) {
	case []string:
		return strings.Join(value, ",")
	case []transport.Name:
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(value), " ", ","), "[]")
	}
	return fmt.Sprint(value)
}
