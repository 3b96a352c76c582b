package adminui

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
)

// The forms of @socket.io/admin-ui 0.5 (lib/typed-events.ts).

type serverStats struct {
	ServerID         string      `json:"serverId"`
	Hostname         string      `json:"hostname"`
	PID              int         `json:"pid"`
	Uptime           float64     `json:"uptime"` // seconds
	Clients          int         `json:"clientsCount"`
	PollingClients   int         `json:"pollingClientsCount"`
	AggregatedEvents []aggregate `json:"aggregatedEvents"`
	Namespaces       []namespace `json:"namespaces"`
}

type aggregate struct {
	Timestamp int64  `json:"timestamp"` // milliseconds since 1970, whole seconds
	Type      string `json:"type"`
	SubType   string `json:"subType,omitempty"`
	Count     uint64 `json:"count"`
}

type namespace struct {
	Name    string `json:"name"`
	Sockets int    `json:"socketsCount"`
}

type socketDetails struct {
	ID        string           `json:"id"`
	ClientID  string           `json:"clientId"`
	Transport string           `json:"transport"`
	Namespace string           `json:"nsp"`
	Data      json.RawMessage  `json:"data"`
	Handshake handshakeDetails `json:"handshake"`
	Rooms     []string         `json:"rooms"`
}

// handshakeDetails leaves out what lets one act as the client.
type handshakeDetails struct {
	Address string            `json:"address"`
	Headers map[string]string `json:"headers"`
	Query   map[string]string `json:"query"`
	Issued  int64             `json:"issued"`
	Secure  bool              `json:"secure"`
	Time    string            `json:"time"`
	URL     string            `json:"url"`
	XDomain bool              `json:"xdomain"`
}

// adminKey is where a socket's data has what other servers tell their pages of it, as Node's have it.
const adminKey = "_admin"

type adminData struct {
	ClientID  string `json:"clientId"`
	Transport string `json:"transport"`
}

// shownHeaders are those that the page gets to see: what a client is, and the way it came. Every other may
// carry a credential, whatever its name is.
var shownHeaders = map[string]bool{
	"accept": true, "accept-encoding": true, "accept-language": true, "cache-control": true, "connection": true,
	"content-length": true, "content-type": true, "dnt": true, "forwarded": true, "host": true, "origin": true,
	"pragma": true, "sec-ch-ua": true, "sec-ch-ua-mobile": true, "sec-ch-ua-platform": true, "sec-fetch-dest": true,
	"sec-fetch-mode": true, "sec-fetch-site": true, "sec-websocket-extensions": true, "sec-websocket-version": true,
	"upgrade": true, "user-agent": true, "via": true, "x-forwarded-for": true, "x-forwarded-host": true,
	"x-forwarded-port": true, "x-forwarded-proto": true, "x-real-ip": true,
}

// details is what the page is told of a socket.
func details(r *server.RemoteSocket, nsp string) socketDetails {
	h := r.Handshake()
	admin, _ := server.Value[adminData](&r.Data, adminKey)
	d := socketDetails{
		ID: r.ID(), ClientID: admin.ClientID, Transport: admin.Transport, Namespace: nsp,
		Data: withoutAdmin(r.RawData()), Rooms: r.Rooms(), Handshake: handshakeOf(h),
	}
	if d.Rooms == nil {
		d.Rooms = []string{}
	}
	return d
}

func handshakeOf(h adapter.Handshake) handshakeDetails {
	d := handshakeDetails{
		Address: h.Address, Headers: make(map[string]string), Query: maps.Clone(h.Query), Issued: h.Issued, Secure: h.Secure,
		Time: h.Time, XDomain: h.XDomain,
	}
	for name, value := range h.Headers {
		if shownHeaders[strings.ToLower(name)] {
			d.Headers[name] = value
		}
	}
	delete(d.Query, "sid")
	d.URL, _, _ = strings.Cut(h.URL, "?") // the query may hold a token, and is shown beside it
	return d
}

// withoutAdmin is the application's data.
func withoutAdmin(raw json.RawMessage) json.RawMessage {
	var values map[string]json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		return json.RawMessage("{}")
	}
	delete(values, adminKey)
	out, err := json.Marshal(values)
	if err != nil || values == nil {
		return json.RawMessage("{}")
	}
	return out
}

// clientID tells clients apart without being their session's id, which is a credential.
func clientID(s *server.Socket) string {
	sum := sha256.Sum256([]byte(s.Session().ID()))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// timestamp is a time as JavaScript writes it.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// maxArgs is how much of an event's arguments is shown, and maxName how much of its name, in bytes.
const (
	maxArgs = 16 << 10
	maxName = 256
)

// arguments is an event as the page shows it: its name and arguments, binaries as their placeholders.
func arguments(e *server.Event) []any {
	name := e.Name
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	out := []any{name}
	size := 0
	for i := range e.Len() {
		raw := e.Raw(i)
		if size += len(raw); size > maxArgs {
			return append(out, fmt.Sprintf("(%d more, too long to show)", e.Len()-i))
		}
		out = append(out, raw)
	}
	return out
}
