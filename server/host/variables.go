package host

import (
	"log/slog"
	"reflect"
	"slices"
	"strings"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/internal/near"
	"github.com/beanpole/beanpole/transport"
)

// What is wrong with the environment and no reason not to start: names that are no variable's, and variables that do
// nothing as others are set.

// warnVariables says which variables do nothing.
func (h *Host) warnVariables(names []unknown, idle [][2]string) {
	for _, u := range names {
		if u.meant == "" {
			h.log.Warn("unknown variable", "name", u.name)
		} else {
			h.log.Warn("unknown variable", "name", u.name, "perhaps_meant", u.meant)
		}
	}
	for _, pair := range idle {
		h.log.Warn("a variable has no effect without another that is not set, or not so", "name", pair[0], "without", pair[1])
	}
}

// An unknown is the name of a variable that looks like ours and is not.
type unknown struct {
	name  string
	meant string // the variable that was probably meant, or ""
}

// unknownVariables returns the names in environ that look like ours and are not, for a warning.
func unknownVariables(environ []string) (found []unknown) {
	var known []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if name := f.Tag.Get("env"); name != "-" {
			known = append(known, name)
		}
	}
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(strings.ToUpper(name), "BEANPOLE_") && !slices.Contains(known, name) {
			found = append(found, unknown{name, meant(name, known)})
		}
	}
	slices.SortFunc(found, func(a, b unknown) int { return strings.Compare(a.name, b.name) })
	return found
}

// meant returns which of the known names the one that is not known was to be, or "".
func meant(name string, known []string) string {
	name = strings.ToUpper(name)
	if bare := strings.TrimPrefix(name, "BEANPOLE_"); slices.Contains(known, bare) { // as PORT and REDIS_URL
		return bare
	}
	return near.Name(name, known, 3)
}

// idle returns the variables that are set and do nothing without another, with that other: its name, or name=value where
// it has another value.
func (cfg *Config) idle() (idle [][2]string) {
	v := reflect.ValueOf(cfg).Elem()
	mode := cfg.redisMode()
	apart := cfg.RedisURL == "" && cfg.Adapter == nil
	serves := func(name transport.Name) bool {
		return len(cfg.Transports) == 0 || slices.Contains(cfg.Transports, name)
	}
	for _, rule := range []struct {
		idle    bool
		without string
		fields  []string
	}{
		{apart, "REDIS_URL", []string{"RedisMode", "RedisSubscriptions", "RedisStreamLength", "RedisStreamBytes", "RedisStreamCount", "RedisOutboxBytes",
			"RedisPrefix", "RedisPassword", "NodeURL", "NodeSecret"}},
		{!apart && (mode == RedisMode(redis.PubSub) || mode == RedisMode(redis.Sharded)), "BEANPOLE_REDIS_MODE=streams", []string{"RedisStreamLength", "RedisStreamBytes", "RedisStreamCount"}},
		{!apart && mode == RedisMode(redis.Streams), "BEANPOLE_REDIS_MODE=pubsub", []string{"RedisSubscriptions"}},
		{!apart && cfg.NoForwarding, "BEANPOLE_NO_FORWARDING=false", []string{"NodeURL", "NodeSecret"}},
		{cfg.NoAdmin, "BEANPOLE_NO_ADMIN=false", []string{"AdminPort"}},
		{!serves(transport.Polling), "BEANPOLE_TRANSPORTS=polling,websocket", []string{"JSONP"}},
		{!serves(transport.WebSocket), "BEANPOLE_TRANSPORTS=polling,websocket", []string{"PerMessageDeflate"}},
		{!serves(transport.Polling) || !serves(transport.WebSocket), "BEANPOLE_TRANSPORTS=polling,websocket", []string{"NoUpgrades", "UpgradeTimeout"}},
		{len(cfg.AllowedOrigins) == 0, "BEANPOLE_ALLOWED_ORIGINS", []string{"AllowCredentials"}},
		{cfg.Debug == "", "BEANPOLE_DEBUG", []string{"DebugPayloads"}},
		{cfg.Logger == nil && cfg.LogLevel > slog.LevelDebug, "BEANPOLE_LOG_LEVEL=debug", []string{"Debug"}},
		{cfg.CloudWatchMetrics == "", "BEANPOLE_CLOUDWATCH_METRICS", []string{"Environment"}},
	} {
		for _, name := range rule.fields {
			if f, _ := v.Type().FieldByName(name); rule.idle && !v.FieldByName(name).IsZero() {
				idle = append(idle, [2]string{f.Tag.Get("env"), rule.without})
			}
		}
	}
	return idle
}
