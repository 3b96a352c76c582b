package doctor

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"
)

// probeNamespace is host.ProbeNamespace.
const probeNamespace = "/beanpole-probe"

// checkBroadcast looks whether what one instance emits reaches clients of another.
func (d *doctor) checkBroadcast(ctx context.Context) Result {
	if d.ProbeToken == "" {
		return none("no --probe-token given")
	}
	ctx, cancel := context.WithTimeout(ctx, 3*d.Timeout)
	defer cancel()
	here, there, r := d.pair(ctx)
	defer here.close()
	defer there.close()
	if r != nil {
		return *r
	}
	room, word := "doctor-"+rand.Text(), rand.Text()
	ack := func(s *socket, id string, args ...string) error {
		list, _ := json.Marshal(args) // strings always can
		if err := s.send("42" + probeNamespace + "," + id + string(list)); err != nil {
			return err
		}
		_, err := s.expect(ctx, d.Timeout, "43"+probeNamespace+","+id+"[")
		return err
	}
	if err := ack(here, "1", "join", room); err != nil {
		return fail("join: "+say(err), "the probe namespace does not answer", "see the application's log")
	}
	start := time.Now()
	if err := ack(there, "2", "tell", room, word); err != nil {
		return fail("tell: "+say(err), "the probe namespace does not answer", "see the application's log")
	}
	for {
		p, err := here.expect(ctx, d.Timeout, "42"+probeNamespace)
		if err != nil {
			return fail("what "+there.spoke+" emitted did not reach a client of "+here.spoke, "the instances are not joined: rooms and broadcasts end at each",
				"REDIS_URL on every instance, the security group of Redis open to them, rediss:// where it wants TLS; see /healthz for `degraded`")
		}
		if strings.Contains(p, word) {
			return ok("from %s to %s in %v", there.spoke, here.spoke, time.Since(start).Round(time.Millisecond))
		}
	}
}

// pair connects two clients to the probe namespace of two different instances.
func (d *doctor) pair(ctx context.Context) (here, there *socket, failed *Result) {
	auth, _ := json.Marshal(map[string]string{"token": d.ProbeToken}) // strings always can
	for range d.Samples {
		s, err := d.dial(ctx, nil)
		if err != nil {
			r := fail(say(err), "no WebSocket comes about", "see above")
			return here, nil, &r
		}
		if err := s.send("40" + probeNamespace + "," + string(auth)); err == nil {
			var p string
			if p, err = s.expect(ctx, d.Timeout, "4"); err == nil && !strings.HasPrefix(p, "40"+probeNamespace) {
				s.close()
				r := warn("the probe namespace says "+p, "whether instances reach each other cannot be seen", "BEANPOLE_PROBE_TOKEN on every instance, and the same as --probe-token")
				return here, nil, &r
			}
		}
		switch {
		case here == nil:
			here = s
		case s.spoke != here.spoke:
			return here, s, nil
		default:
			s.close()
		}
	}
	r := none("only one instance was seen")
	return here, nil, &r
}
