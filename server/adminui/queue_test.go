package adminui

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestQueueIsBoundedInBytes(t *testing.T) {
	q := newQueue()
	long := strings.Repeat("x", maxNewsSize-100)
	const n = 300
	for range n {
		q.put("room_joined", "/", long)
	}
	list := q.take()
	bytes := 0
	for _, n := range list {
		for _, arg := range n.args {
			bytes += len(arg.(json.RawMessage))
		}
	}
	if bytes > maxNewsBytes || len(list) < maxNewsBytes/maxNewsSize || q.droppedCount() != uint64(n-len(list)) {
		t.Errorf("%d events of %d bytes wait, %d were dropped", len(list), bytes, q.droppedCount())
	}
	q.put("room_joined", "/", strings.Repeat("x", maxNewsSize+1)) // too long, and no reason to drop what follows
	q.put("room_joined", "/", "lobby")
	if list := q.take(); len(list) != 1 || string(list[0].args[1].(json.RawMessage)) != `"lobby"` {
		t.Errorf("%d wait", len(list))
	}
	for range maxNews + 1 {
		q.put("x")
	}
	if n := len(q.take()); n != maxNews {
		t.Errorf("%d wait, want %d", n, maxNews)
	}
}

// What waits holds nothing of the packets it tells of: of a long one, only what is shown.
func TestQueueHoldsNoPackets(t *testing.T) {
	q := newQueue()
	packet := []byte(`[1,"` + strings.Repeat("x", 1000) + `"]`)
	q.put("event_received", []any{"name", json.RawMessage(packet[1:2])})
	packet[1] = '2'
	if got := string(q.take()[0].args[0].(json.RawMessage)); got != `["name",1]` {
		t.Errorf("%s after the packet has changed", got)
	}
}
