package zishang

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/zishang520/engine.io/v2/config"
	"github.com/zishang520/engine.io/v2/types"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/beanpole/beanpole/transport"
)

// checkOptions returns an error for options that have no meaning here, and says what to use instead.
func checkOptions(o socket.ServerOptionsInterface) error {
	switch {
	case o.GetRawAdapter() != nil:
		return errors.New("zishang: the option Adapter would bypass Config.Adapter; set that instead")
	case o.GetRawParser() != nil:
		return errors.New("zishang: the option Parser would bypass the checks; set Config.Parser instead")
	case o.GetRawInitialPacket() != nil:
		return errors.New("zishang: the option InitialPacket is not supported; emit in the connection handler")
	}
	return nil
}

// applyOptions fills the zero fields of c with what o says.
func applyOptions(c *transport.Config, o *socket.ServerOptions) error {
	durations(c, o)
	if o.GetRawMaxHttpBufferSize() != nil && c.MaxHTTPBufferSize == 0 {
		c.MaxHTTPBufferSize = o.MaxHttpBufferSize()
	}
	if names := o.Transports(); names != nil && len(c.Transports) == 0 {
		for _, name := range names.Keys() {
			if name == "webtransport" {
				continue // clients that would use it fall back to the others
			}
			c.Transports = append(c.Transports, transport.Name(name))
		}
		if len(c.Transports) == 0 {
			return errors.New("zishang: the option Transports leaves neither polling nor websocket")
		}
	}
	if o.GetRawAllowUpgrades() != nil {
		c.DisallowUpgrades = c.DisallowUpgrades || !o.AllowUpgrades()
	}
	c.AllowEIO3 = c.AllowEIO3 || o.AllowEIO3()
	if h := o.HttpCompression(); h != nil && c.HTTPCompression == (transport.HTTPCompression{}) {
		c.HTTPCompression.Threshold = h.Threshold
	}
	if d := o.PerMessageDeflate(); d != nil && c.PerMessageDeflate == nil {
		c.PerMessageDeflate = &transport.PerMessageDeflate{Threshold: d.Threshold}
	}
	if k := o.Cookie(); k != nil && c.Cookie == nil {
		c.Cookie = &transport.Cookie{
			Name: k.Name, Path: k.Path, Domain: k.Domain, MaxAge: k.MaxAge, Secure: k.Secure,
		}
		if k.SameSite != http.SameSiteDefaultMode {
			c.Cookie.SameSite = k.SameSite
		}
	}
	if allow := o.AllowRequest(); allow != nil {
		c.AllowRequest = both(c.AllowRequest, allowRequest(allow))
	}
	if cors := o.Cors(); cors != nil && c.CORS == nil {
		var err error
		if c.CORS, err = corsOf(cors); err != nil {
			return fmt.Errorf("zishang: option Cors: %w", err)
		}
	}
	return nil
}

func durations(c *transport.Config, o *socket.ServerOptions) {
	for _, d := range []struct {
		to   *time.Duration
		from *time.Duration
	}{
		{&c.PingInterval, o.GetRawPingInterval()},
		{&c.PingTimeout, o.GetRawPingTimeout()},
		{&c.UpgradeTimeout, o.GetRawUpgradeTimeout()},
	} {
		if d.from != nil && *d.to == 0 {
			*d.to = *d.from
		}
	}
}

// both refuses what either refuses. The first may be nil.
func both(a, b func(*http.Request) error) func(*http.Request) error {
	if a == nil {
		return b
	}
	return func(r *http.Request) error {
		if err := a(r); err != nil {
			return err
		}
		return b(r)
	}
}

func allowRequest(allow config.AllowRequest) func(*http.Request) error {
	return func(r *http.Request) error { return allow(newContext(r)) }
}

// nobodys is an origin that only a rule for everybody's allows.
const nobodys = "https://nobody.invalid"

// corsOf turns the library's options into transport's. The library echoes a refused origin as "false" and
// serves the request; here transport refuses it.
func corsOf(o *types.Cors) (*transport.CORS, error) {
	c := &transport.CORS{Credentials: o.Credentials}
	var err error
	if c.Methods, err = list(o.Methods); err != nil {
		return nil, fmt.Errorf("methods: %w", err)
	}
	headers := o.AllowedHeaders
	if headers == nil {
		headers = o.Headers
	}
	if c.Headers, err = list(headers); err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	if c.Exposed, err = list(o.ExposedHeaders); err != nil {
		return nil, fmt.Errorf("exposed headers: %w", err)
	}
	if o.MaxAge != "" {
		seconds, err := strconv.Atoi(o.MaxAge)
		if err != nil {
			return nil, fmt.Errorf("max age: %w", err)
		}
		c.MaxAge = time.Duration(seconds) * time.Second
	}
	origin := o.Origin
	if origin == nil {
		origin = "*"
	}
	if origin == "*" {
		// With credentials the library sends both headers, and browsers refuse credentials then.
		c.Origins, c.Credentials = []string{"*"}, false
		return c, nil
	}
	anybodys, err := allows(origin, nobodys)
	switch {
	case err != nil:
		return nil, err
	case anybodys && o.Credentials:
		return nil, errors.New("credentials would go to pages of anybody: name the origins")
	case origin == true:
		c.Origins = []string{"*"}
		return c, nil
	}
	c.AllowOrigin = func(_ *http.Request, candidate string) bool {
		ok, _ := allows(origin, candidate)
		return ok
	}
	return c, nil
}

// allows reports whether rule, as the library takes it, admits the origin.
func allows(rule any, origin string) (bool, error) {
	switch rule := rule.(type) {
	case string:
		return rule == "*" || rule == origin, nil
	case bool:
		return rule, nil
	case *regexp.Regexp:
		return rule.MatchString(origin), nil
	case []string:
		for _, r := range rule {
			if r == origin {
				return true, nil
			}
		}
		return false, nil
	case []any:
		found := false
		for _, r := range rule {
			ok, err := allows(r, origin)
			if err != nil {
				return false, err
			}
			found = found || ok
		}
		return found, nil
	}
	return false, fmt.Errorf("origin is a %T; it may be text, true or false, a regular expression or a list of them", rule)
}

// list reads a list that may also be written as one text with commas.
func list(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []string:
		return v, nil
	case string:
		var out []string
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("is a %T; it may be text or a list of texts", v)
}
