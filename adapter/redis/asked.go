package redis

import (
	"strings"
	"sync"
	"time"

	"github.com/beanpole/beanpole/adapter"
)

// A question goes to the nodes that have the namespace when it is asked. One of them may close it before the question
// comes, and open it again: so does a node that emits into a namespace in which it has no clients. To who counts the nodes
// it looks like one that is thinking. So who waits for it says on the way that the question went, where everything comes in order, which
// question that was: a node that has opened the namespace since, and has not got it, answers that it has nothing to say.
//
// It is said as an order that puts nobody into no room, with a member that others do not know: so nodes of Node, and of
// versions before, need not understand it.

// firsts is what a namespace was asked when it had just been opened. The zero value is ready.
type firsts struct {
	mu  sync.Mutex
	ids map[string]struct{}
}

// note notes a question that has come to n, while n is young.
func (n *namespace) note(m *message) {
	if m.request == "" || m.kind.answers() || m.kind == kindPiece || time.Since(n.began) > young {
		return
	}
	f := &n.firsts
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ids == nil {
		f.ids = map[string]struct{}{}
		time.AfterFunc(2*young, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.ids = nil
		})
	}
	f.ids[m.request] = struct{}{}
}

// lacks answers a node that waits for this one, if the question has not come since the namespace was opened: what connections that
// broke had lost has come before this, unless it is counted.
func (n *namespace) lacks(m *message) {
	n.firsts.mu.Lock()
	_, had := n.firsts.ids[m.request]
	n.firsts.mu.Unlock()
	if !had && time.Since(n.began) < young && n.c.inbox.lostLast(m.uid).Before(n.began) {
		n.respond(m, &message{kind: kindUnasked})
	}
}

// remind says to the nodes that have not answered a question, and are there, which it was. Where messages have no numbers
// one may be lost, and nobody can say that it has not come.
func (n *namespace) remind(r *request, id string, x *round) (reminded bool) {
	if strings.Contains(n.name, "#") || !r.waitsFor(x.named) {
		return false
	}
	_ = n.publish(&message{kind: kindSocketsJoin, target: adapter.Target{Rooms: []string{id}}, asked: true}, "") // or the next round does
	return true
}

// waitsFor reports whether one of the nodes has not answered.
func (r *request) waitsFor(uids []string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, uid := range uids {
		if r.waiting[uid] == unheard {
			return true
		}
	}
	return false
}
