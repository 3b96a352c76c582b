package server

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"

	"github.com/beanpole/beanpole/server/packet"
)

// eventLog shows events in the log, those that Config.Debug names. A nil one shows nothing.
type eventLog struct {
	log      *slog.Logger // apart: an adapter delivers under locks
	filters  []filter
	payloads bool
}

// filter is what names of namespaces and of events are like.
type filter struct{ namespace, event *regexp.Regexp }

// newEventLog reads Config.Debug.
func newEventLog(cfg *Config, log *slog.Logger) (*eventLog, error) {
	if cfg.Debug == "" {
		return nil, nil //nolint:nilnil // nothing is shown
	}
	d := &eventLog{log: log, payloads: cfg.DebugPayloads}
	for part := range strings.SplitSeq(cfg.Debug, ",") {
		part = strings.TrimSpace(part)
		namespace, event, both := strings.Cut(part, ":")
		switch {
		case part == "":
			return nil, fmt.Errorf("server: Debug is %q; it must be * or names such as /chat:message,/game:*", cfg.Debug)
		case !both && strings.HasPrefix(part, "/"):
			event = "*"
		case !both:
			namespace, event = "*", part
		case !strings.HasPrefix(namespace, "/") && !strings.HasPrefix(namespace, "*"): // an event with a colon in its name
			namespace, event = "*", part
		}
		d.filters = append(d.filters, filter{like(namespace), like(event)})
	}
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		log.Warn("no events are shown: the log leaves out what is of level debug, of which they are", "debug", cfg.Debug)
	}
	return d, nil
}

// like returns the expression for a name in which each * is anything.
func like(name string) *regexp.Regexp {
	return regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(name), `\*`, ".*") + "$")
}

// shows reports whether an event is to be in the log.
func (d *eventLog) shows(namespace string, event []byte) bool {
	if !d.log.Enabled(context.Background(), slog.LevelDebug) {
		return false
	}
	for _, f := range d.filters {
		if f.namespace.MatchString(namespace) && f.event.Match(event) {
			return true
		}
	}
	return false
}

// in shows an event of the client's, as its turn comes.
func (d *eventLog) in(s *Socket, name []byte, e *Event) {
	if d.shows(s.name, name) {
		d.show("event in", s.name, name, e.data, len(e.attachments), "session", s.client.session.Num(), "wants_ack", e.WantsAck())
	}
}

// answer shows what the handlers of an event of the client's answer.
func (d *eventLog) answer(s *Socket, e *Event, data []byte, attachments int) {
	if name := []byte(e.Name); d.shows(s.name, name) {
		d.show("answer out", s.name, name, data, attachments, "session", s.client.session.Num())
	}
}

// out shows an event that is sent, to whom the arguments say.
func (d *eventLog) out(what string, p *packet.Packet, to ...any) {
	name, err := packet.EventName(p.Data)
	if err == nil && d.shows(p.Namespace, name) {
		d.show(what, p.Namespace, name, p.Data, len(p.Attachments), to...)
	}
}

func (d *eventLog) show(what, namespace string, name, data []byte, attachments int, args ...any) {
	args = append(args, "namespace", namespace, "event", string(name[:min(len(name), maxLoggedName)]), "bytes", len(data), "attachments", attachments)
	if d.payloads {
		args = append(args, "payload", string(data))
	}
	d.log.Debug(what, args...)
}
