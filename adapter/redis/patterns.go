package redis

import (
	"slices"
	"strings"
)

// Where Redis lets nobody subscribe to patterns, as ACL rules and ElastiCache Serverless do, a node in pub/sub mode
// listens to the channel of each of its rooms.

// manyPatterns is of how many it is said that publishing gets dear: some 40 us for each message, of each server that has
// as many.
const manyPatterns = 100

func (p *pubsub) pattern(nsp string) subscription {
	return subscription{subPattern, escapeGlob(p.broadcasts(nsp)) + "*"}
}

// escapeGlob takes the meaning from the characters of a pattern of PSUBSCRIBE.
func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(s)
}

// refusesPatterns reports whether err may say that a user may not subscribe to a pattern, or nobody.
func refusesPatterns(err error) bool {
	if !refused(err) {
		return false
	}
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "psubscribe") || strings.HasPrefix(text, "noperm") && strings.Contains(text, "channel")
}

// forget ends a subscription that Redis does not let anybody have, whose connection has ended. It returns what was known
// of it.
func (b *bus) forget(s subscription) (old want) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := b.wants[s]; w != nil {
		if w.link != nil {
			w.link.breaks(w)
		}
		old = *w
		delete(b.wants, s)
	}
	return old
}

// succeed has subscriptions of r take the place of an old one: they were there since then, and may have brought nothing
// since that broke. Called between two connections.
func (b *bus) succeed(old want, r receiver) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.wants {
		if slices.Contains(w.to, r) && w.at.After(old.at) {
			if w.at = old.at; !w.confirmed && w.broken.IsZero() {
				w.broken = old.broken
			}
		}
	}
}

// withoutPatterns finds another way for patterns if err says that Redis refuses them, and reports whether it has.
func (b *bus) withoutPatterns(err error) bool {
	if !b.patternsRefused(err) {
		return false
	}
	b.state.log.Info("redis refuses patterns: this server subscribes to the channel of each room and socket it has", "error", err)
	b.noPatterns()
	return true
}

// patternsRefused reports whether err may be about patterns, which are wanted and can be done without.
func (b *bus) patternsRefused(err error) bool {
	if b.noPatterns == nil || !refusesPatterns(err) {
		return false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for s := range b.wants {
		if s.kind == subPattern {
			return true
		}
	}
	return false
}

// turn has all namespaces listen to the channels of their rooms instead of patterns.
func (c *Cluster) turn() {
	p, ok := c.wire.(*pubsub)
	if !ok {
		return
	}
	c.mu.Lock() // so that none is made between
	p.refused.Store(true)
	list := make([]*namespace, 0, len(c.namespaces))
	for _, n := range c.namespaces {
		list = append(list, n)
	}
	c.mu.Unlock()
	for _, n := range list {
		old := c.bus.forget(p.pattern(n.name))
		for _, s := range n.subs() {
			c.bus.add(s, n)
		}
		for _, room := range n.Names(true) {
			n.roomChanged(room)
		}
		c.bus.succeed(old, n)
	}
}
