package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// What one process may be asked for.
const (
	MaxSessions = 20_000
	MaxArrival  = 5_000 // sessions a second
	MaxRate     = 100_000
	MaxReaching = 1_000_000 // messages a second that broadcasts become
	MaxDuration = 24 * time.Hour
	MaxSize     = 1 << 20
)

// Options say what is put on which server.
type Options struct {
	URL       string // http or https; a path in it is that of Socket.IO
	Namespace string // "" means "/"
	Auth      string // JSON of the payload of CONNECT, "" for none
	Header    http.Header
	Insecure  bool // any certificate will do
	Yes       bool // hosts other than this machine are meant

	Sessions int
	Arrival  float64       // new sessions a second, until all are there
	Polling  float64       // share of the sessions that poll, 0 to 1; the others have a WebSocket
	Upgrade  bool          // those begin with polling, as clients do by default
	Duration time.Duration // of the load, once the sessions are there
	Patience time.Duration // how long at its end answers are waited for, and at its beginning sessions

	Event string  // is acknowledged by the server; "" for none
	Rate  float64 // of it, a second, over all sessions
	Args  string  // JSON of its arguments, with {id} inside a string

	RoomEvent string  // is passed on by the server to a room, or to all; "" for none
	RoomRate  float64 // of it, a second, over all rooms
	RoomArgs  string  // JSON of its arguments, with {id} and, where there are rooms, {room}
	Rooms     int     // 0 for no rooms: what is passed on goes to all
	JoinEvent string  // has its argument for the room of the session, and is acknowledged

	Size       int           // of what {id} stands for, in bytes
	Storm      time.Duration // how often connections are cut, all at once; 0 for never
	StormShare float64       // share of the sessions that are
	Churn      float64       // sessions a second that leave, each followed by a new one
	Unordered  bool          // acknowledgements may come in any order

	Say  func(string) // is told what has begun, if not nil
	Live func(string) // is told how it stands, once a second, if not nil
}

// plan is Options that have been checked.
type plan struct {
	Options
	url            *url.URL
	path           string
	auth           any
	args, roomArgs pattern
	reach          *reach
}

// check reports what cannot be.
func (o Options) check() (*plan, error) {
	p := &plan{Options: o}
	var err error
	if p.url, err = url.Parse(o.URL); err != nil {
		return nil, err
	}
	if p.url.Scheme != "http" && p.url.Scheme != "https" || p.url.Hostname() == "" {
		return nil, fmt.Errorf("address %q: want http://host or https://host", p.url.Redacted())
	}
	p.path, p.url.Path = p.url.Path, ""
	if p.path == "/" {
		p.path = ""
	}
	if !strings.HasPrefix(o.Namespace, "/") {
		p.Namespace = "/" + o.Namespace // as of() in Node
	}
	if o.Auth != "" {
		var auth map[string]json.RawMessage
		if json.Unmarshal([]byte(o.Auth), &auth) != nil || auth == nil {
			return nil, errors.New("the auth payload is no JSON object")
		}
		p.auth = json.RawMessage(o.Auth)
	}
	for _, b := range []struct {
		name         string
		value        float64
		least, most  float64
		asksForEvent bool
	}{
		{"sessions", float64(o.Sessions), 1, MaxSessions, false},
		{"arrival", o.Arrival, 0.001, MaxArrival, false},
		{"polling", o.Polling, 0, 1, false},
		{"duration in seconds", o.Duration.Seconds(), 0.001, MaxDuration.Seconds(), false},
		{"patience in seconds", o.Patience.Seconds(), 0.001, 600, false},
		{"rate", o.Rate, 0.001, MaxRate, o.Event == ""},
		{"room rate", o.RoomRate, 0.001, MaxRate, o.RoomEvent == ""},
		{"rooms", float64(o.Rooms), 0, float64(o.Sessions), false},
		{"size", float64(o.Size), wordLen, MaxSize, false},
		{"storm in seconds", o.Storm.Seconds(), 1, MaxDuration.Seconds(), o.Storm == 0},
		{"storm share", o.StormShare, 0, 1, false},
		{"churn", o.Churn, 0, MaxArrival, false},
	} {
		if !b.asksForEvent && !(b.value >= b.least && b.value <= b.most) {
			return nil, fmt.Errorf("%s is %v: want %v to %v", b.name, b.value, b.least, b.most)
		}
	}
	if o.Rooms > 0 && o.RoomEvent == "" {
		return nil, errors.New("rooms without an event that goes to them")
	}
	if o.RoomEvent != "" {
		if o.Sessions < 2*max(o.Rooms, 1) {
			return nil, fmt.Errorf("%d sessions: want 2 for each room at least, one that sends and one that hears", o.Sessions)
		}
		if n := o.RoomRate * float64(o.Sessions) / float64(max(o.Rooms, 1)); n > MaxReaching {
			return nil, fmt.Errorf("broadcasts would become %.0f messages a second: want %d at most", n, MaxReaching)
		}
		if p.roomArgs, err = parse(o.RoomArgs, o.Rooms > 0); err != nil {
			return nil, err
		}
	}
	if o.Event != "" {
		if p.args, err = parse(o.Args, false); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// polls reports whether a session is one of those that poll, which are spread evenly.
func (p *plan) polls(n int) bool {
	return int(float64(n+1)*p.Polling) > int(float64(n)*p.Polling)
}

// files is how many files this process has open at most, with some for itself.
func (p *plan) files() int {
	polling := int(float64(p.Sessions) * p.Polling)
	n := p.Sessions + polling + 64
	if p.Upgrade {
		n += p.Sessions - polling // the last polls, while the WebSocket is probed
	}
	return n
}
