package host

import (
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/transport"
)

// allowed holds value against the field's allow tag, where a range stands in it, and its own rules. folder is asked
// whether there is a folder.
func allowed(f reflect.StructField, value any, folder func(name string) bool) bool {
	low, high := limits(f.Tag.Get("allow"))
	switch value := value.(type) {
	case time.Duration:
		l, _ := time.ParseDuration(low)
		h, _ := time.ParseDuration(high)
		return l <= value && value <= h
	case int, int64:
		n := reflect.ValueOf(value).Int()
		l, _ := strconv.ParseInt(low, 10, 64)
		h, _ := strconv.ParseInt(high, 10, 64)
		return l <= n && n <= h
	case Port:
		return value >= AnyPort && value <= 65535
	case LogFormat:
		return value == LogText || value == LogJSON
	case RedisMode:
		return slices.Contains([]redis.Mode{redis.Auto, redis.PubSub, redis.Sharded, redis.Streams}, redis.Mode(value))
	case RedisSubscriptions:
		return slices.Contains([]redis.Subscriptions{redis.Static, redis.Dynamic, redis.DynamicPrivate}, redis.Subscriptions(value))
	case AccessLog:
		return slices.Contains([]AccessLog{AccessApp, AccessSessions, AccessErrors, AccessAll, AccessNone}, value)
	case transport.JSONP:
		return slices.Contains([]transport.JSONP{transport.JSONPEIO3, transport.JSONPAll, transport.JSONPDespiteOrigins}, value)
	case []transport.Name:
		return !slices.ContainsFunc(value, func(n transport.Name) bool {
			return n != transport.Polling && n != transport.WebSocket
		})
	case slog.Level:
		return slices.Contains([]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}, value)
	}
	switch f.Name {
	case "RedisURL":
		u, err := url.Parse(value.(string))
		return err == nil && (u.Scheme == "redis" || u.Scheme == "rediss") && u.Host != "" && validPort(u)
	case "Path":
		p := value.(string)
		return !strings.ContainsAny(p, `?#*: \%`) && !strings.Contains(p, "//") && strings.Trim(path.Clean("/"+p), "/") == strings.Trim(p, "/") && !strings.ContainsFunc(p, unicode.IsControl) &&
			!slices.Contains([]string{"", "healthz", "livez"}, strings.Trim(p, "/"))
	case "Cookie":
		return (&http.Cookie{Name: value.(string), Value: "x"}).Valid() == nil
	case "Host":
		_, err := netip.ParseAddr(value.(string))
		return err == nil || hostName.MatchString(value.(string))
	case "Instance", "Version", "Environment", "AdminUIServerName":
		return word.MatchString(value.(string))
	case "TracesEndpoint":
		return validCollector(value.(string))
	case "NodeURL":
		u, err := url.Parse(value.(string))
		return err == nil && (u.Scheme == "http" || u.Scheme == "https") && (u.Hostname() != "" || u.Port() != "") && validPort(u) &&
			strings.Trim(u.Path, "/") == "" && u.User == nil && u.RawQuery == "" && !ofNobody(u.Hostname())
	case "CloudWatchMetrics":
		return value == CloudWatchLog || filepath.IsAbs(value.(string))
	case "HealthdLog":
		return filepath.IsAbs(value.(string))
	case "LifecycleHook":
		return hookName.MatchString(value.(string))
	case "Debug":
		return !slices.ContainsFunc(strings.Split(value.(string), ","), func(name string) bool { return strings.TrimSpace(name) == "" })
	case "RedisPrefix":
		return word.MatchString(value.(string))
	case "ProbeToken", "NodeSecret":
		return len(value.(string)) >= 16
	case "MetricsAddr":
		host, port, err := net.SplitHostPort(value.(string))
		_, bad := strconv.ParseUint(port, 10, 16)
		return err == nil && bad == nil && (host == "" || hostName.MatchString(host) || net.ParseIP(host) != nil)
	case "StaticImmutable":
		name := strings.Trim(value.(string), "/")
		return fs.ValidPath(name) && name != "."
	case "StaticDir", "ClientDir":
		return folder(value.(string))
	}
	return true
}

// word is what may stand in a header without quotes.
var word = regexp.MustCompile(`^[A-Za-z0-9._:+-]{1,64}$`)

// hostName is a name of the machine's, or of an address of it.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$`)

// ofNobody reports whether a host is an address that no single machine has.
func ofNobody(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && (addr.IsUnspecified() || addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}))
}

// validPort reports whether the port of a URL, if it has one, is one.
func validPort(u *url.URL) bool {
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return u.Port() == "" || err == nil && n > 0
}

// numeric reports whether a field is a number or a duration for which zero is not the default.
func numeric(f reflect.StructField) bool {
	_, high := limits(f.Tag.Get("allow"))
	return high != "" && !strings.HasPrefix(f.Tag.Get("default"), "0") && (f.Type.Kind() == reflect.Int || f.Type.Kind() == reflect.Int64) && f.Type != reflect.TypeFor[Port]()
}

// failed reports whether the list has an error of the field.
func failed(list []error, f reflect.StructField) bool {
	return slices.ContainsFunc(list, func(err error) bool {
		var bad *ValueError
		return errors.As(err, &bad) && bad.Variable == f.Tag.Get("env")
	})
}

// hookName is what AWS takes for the name of a lifecycle hook.
var hookName = regexp.MustCompile(`^[A-Za-z0-9_/.-]{1,255}$`)

// limits returns the two ends of the range in an allow tag such as "a duration from 1s to 10m".
func limits(allow string) (low, high string) {
	_, span, _ := strings.Cut(allow, "from ")
	span, _, _ = strings.Cut(span, ",") // and what else is allowed
	low, high, _ = strings.Cut(span, " to ")
	return low, high
}
