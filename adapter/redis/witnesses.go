package redis

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// That a node is not met may be the fault of either side. So some others are asked, each in a visit to it, whether they reach who was not
// met: what most find is the fault of who is not reached, and what fewer find that of who does not reach it. Who meets nobody can ask
// nobody, and says so of itself. A node of a version before answers the visit, and not the question.

// sight is what a visit to a node has found: nothing if it was met.
type sight struct {
	node  string
	at    place
	found string
	votes string // what it says of each that it was asked about; empty if it does not know the question
}

// What a node says of another, of which else nothing is known to it.
const (
	reachesIt     = '+'
	reachesItNot  = '-'
	cannotSayOfIt = '?'
)

func (s sight) met() bool { return s.found == "" }

// elsewhere reports whether another has answered: then others, who meet the right one by chance, say nothing about it.
func (s sight) elsewhere() bool { return strings.HasPrefix(s.found, findElsewhere) }

// missed returns which nodes of list are to be asked about, and whether that is new.
func (v *visits) missed(list []sight) (nodes []string, fresh bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range list {
		if !s.met() {
			d := v.doubted[s.node]
			nodes, fresh = append(nodes, s.node), fresh || d == nil || d.missed < missedOften
		}
	}
	return nodes, fresh
}

// witnesses are some others than nodes, who are asked about these: who is met there shows besides that this node gets out.
func (v *visits) witnesses(nodes []string) (others []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for node := range v.listed {
		if len(others) < maxWitnesses && !slices.Contains(nodes, node) {
			others = append(others, node)
		}
	}
	return others
}

// votes says of nodes whether this one reaches them, a letter each, in less time than who asks has. Whom it does not reach it goes on
// visiting: what it has to say of that itself may be that it is barred.
func (v *visits) votes(ctx context.Context, nodes []string) string {
	nodes = nodes[:min(len(nodes), maxDoubted)]
	ctx, cancel := context.WithTimeout(ctx, v.client.Timeout-time.Second)
	defer cancel()
	said := bytes.Repeat([]byte{cannotSayOfIt}, len(nodes))
	for _, s := range v.look(ctx, nodes, nil) {
		i := slices.Index(nodes, s.node)
		switch {
		case s.met():
			said[i] = reachesIt
		case ctx.Err() == nil: // or it may only be slow
			said[i] = reachesItNot
			v.doubt(s.node)
		}
	}
	return string(said)
}

// weigh notes what witnesses say of the nodes that they were asked about.
func (v *visits) weigh(nodes []string, witnesses []sight) {
	for i, node := range nodes {
		reached, not := 0, 1 // this one does not
		for _, s := range witnesses {
			if i < len(s.votes) && s.votes[i] == reachesIt {
				reached++
			} else if i < len(s.votes) && s.votes[i] == reachesItNot {
				not++
			}
		}
		if reached+not == 1 {
			continue // nobody else can say
		}
		v.doubt(node)
		v.mu.Lock()
		if d := v.doubted[node]; d != nil {
			if d.against++; reached >= not {
				d.reached, d.against = true, 0
			} else if d.against > 1 { // one vote may not have come in time
				d.reached = false
			}
		}
		v.mu.Unlock()
	}
}

// long is how many rounds in a row something must have failed of which a node says that it is its own fault: one that is not met may have ended, and
// its entry is still there.
func (v *visits) long() int { return v.r.c.cfg.HeartbeatMisses + 1 }

// barred returns an error if this node does not reach another that is reached by others.
func (v *visits) barred() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, d := range v.doubted {
		if d.reached && !d.elsewhere && d.missed > v.long() {
			_, detail := reading(d.last.found)
			return fmt.Errorf("%w: server %s, at %s: %s", errBarred, d.last.node, d.last.at.addr, detail)
		}
	}
	return nil
}

// lost reports whether what was found is no more likely to be of those that were visited than of this node, which has met none
// of several. It says so of itself when that has lasted.
func (v *visits) lost(list []sight) bool {
	v.mu.Lock()
	nobody := len(list) == 0 && len(v.doubted) == 0
	v.mu.Unlock()
	switch {
	case nobody, slices.ContainsFunc(list, sight.met), len(list) == 1 && v.shut <= v.long():
		v.shut = 0
		return false
	case len(list) == 0: // it could not look
		return true
	}
	if v.shut++; v.shut > v.long() {
		_, detail := reading(list[0].found)
		v.r.c.state.report(PartForwarding, ofOut, fmt.Errorf("%w: of server %s, at %s: %s", errShut, list[0].node, list[0].at.addr, detail))
	}
	return true
}
