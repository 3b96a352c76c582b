package limit

import (
	"sync"
	"time"
)

// quiet is how long a limit must not have been reached for its next time to be news again.
const quiet = time.Minute

// Notice tells the first time that a limit is reached from those that follow, so that a flood of clients is
// no flood of log lines. The zero Notice is ready; its methods may be called from any goroutine.
type Notice struct {
	mu   sync.Mutex
	last map[string]time.Time // guarded by mu; by the limit's name
}

// News reports whether the limit was last reached a minute ago or more, and notes that it is now. Names are
// few: they are the program's, not the clients'.
func (n *Notice) News(name string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	last, known := n.last[name]
	if n.last == nil {
		n.last = make(map[string]time.Time)
	}
	n.last[name] = now
	return !known || now.Sub(last) >= quiet
}
