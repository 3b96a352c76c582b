package zishang

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

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
	c.KeepContext = true // as the library keeps the request
	c.PingInterval = cmp.Or(c.PingInterval, o.PingInterval())
	c.PingTimeout = cmp.Or(c.PingTimeout, o.PingTimeout())
	c.UpgradeTimeout = cmp.Or(c.UpgradeTimeout, o.UpgradeTimeout())
	c.MaxHTTPBufferSize = cmp.Or(c.MaxHTTPBufferSize, o.MaxHttpBufferSize())
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
		first := c.AllowRequest
		c.AllowRequest = func(r *http.Request) error {
			if first != nil {
				if err := first(r); err != nil {
					return err
				}
			}
			return allow(newContext(r))
		}
	}
	if cors := o.Cors(); cors != nil && c.CORS == nil {
		var err error
		if c.CORS, err = corsOf(cors); err != nil {
			return fmt.Errorf("zishang: option Cors: %w", err)
		}
	}
	return nil
}
