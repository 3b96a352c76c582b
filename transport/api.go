package transport

// NodeID is the part of a session id that names the server which made it.
type NodeID [5]byte

// Message is the payload of one Engine.IO MESSAGE packet, text or binary, without the packet type.
type Message struct {
	Data   []byte
	Binary bool
}

// Receiver gets what happens on one session. Receive is called for one message at a time, in order;
// m.Data is valid only until it returns, and it must not block. Work follows when everything that one read,
// or 16 KiB of a POST's body, brought has been received: it may run the application's handlers and so may
// block; what is sent meanwhile on this session is gathered and leaves in one write. While a Work blocks,
// further messages are received (and another Work called) from another goroutine. Closed is called once,
// after the last Receive has returned, though a Work may still be running. A panic in a method is logged, counted
// (Stats.Panics), and ends that call alone. One that ends its goroutine (runtime.Goexit) ends Receive's session with
// ReasonForcedServerClose, as what came behind the message is lost, and nothing else.
type Receiver interface {
	Receive(m Message)
	Work()
	Closed(reason CloseReason, cause error)
}
