package redis

import "testing"

// A link has no end of its own but this: of a master that is none any more nothing stays.
func TestLinkOfAMasterThatIsGoneEnds(t *testing.T) {
	b := &bus{wants: map[subscription]*want{}, links: map[string]*link{}}
	l, other := newLink(b, "gone:6379", nil), newLink(b, "", nil)
	b.links[l.addr], b.links[other.addr] = l, other
	w := &want{link: l}
	b.wants[subscription{subShard, "room"}] = w
	if b.retire(l) {
		t.Error("a link was given up that has a subscription")
	}
	w.link = other
	l.run(t.Context()) // returns
	if b.links[l.addr] != nil || b.retire(other) || b.links[""] != other {
		t.Errorf("links are %v", b.links)
	}
}
