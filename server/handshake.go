package server

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
	"github.com/beanpole/beanpole/transport"
)

// Handshake tells how a client connected to a namespace: the first request of its session, and the auth
// payload it sent for this namespace.
type Handshake struct {
	*transport.Handshake
	auth   json.RawMessage
	advice *advice // nil unless Config.Development
}

// Auth decodes the auth payload into what v points to, which is left as it is without one. An error's text names what was
// expected and may go to the client. In development mode v is taken for all that the application wants of it: this module
// reads what is for itself by RawAuth.
func (h Handshake) Auth(v any) error {
	if len(h.auth) == 0 {
		return target(v)
	}
	if err := packet.Decode(h.auth, nil, v); err != nil {
		return fmt.Errorf("auth: %w", err)
	}
	h.advice.takes("auth", v, h.auth)
	return nil
}

// RawAuth returns the auth payload as JSON, or nil when the client sent none.
func (h Handshake) RawAuth() json.RawMessage { return h.auth }

// Issued returns when the client connected, in milliseconds since 1970.
func (h Handshake) Issued() int64 { return h.Time().UnixMilli() }

// describe is the handshake in Node's form.
func (h Handshake) describe() adapter.Handshake {
	t := h.Time()
	d := adapter.Handshake{
		Headers: make(map[string]string), Query: make(map[string]string),
		Time: t.UTC().Format("Mon Jan 02 2006 15:04:05 GMT-0700 (MST)"), Issued: t.UnixMilli(),
		Address: h.Addr(), XDomain: h.CrossOrigin(), Secure: h.Secure(), URL: h.URL(), Auth: adapter.Raw(h.auth),
	}
	for name, value := range h.Fields() {
		name = strings.ToLower(name)
		if before, more := d.Headers[name]; more {
			value = before + ", " + value
		}
		d.Headers[name] = value
	}
	for k, v := range h.Query() {
		d.Query[k] = v[len(v)-1]
	}
	return d
}
