package transport

import (
	"crypto/rand"
	"encoding/base64"
)

// A session id is 15 bytes in URL-safe base64, as long as Node's: the NodeID, then random bytes. 80
// random bits cannot be guessed, and the rest lets any server of a cluster find the session's node.
const (
	sidBytes  = 15
	sidLength = sidBytes / 3 * 4
)

// newSID returns a new session id that carries node.
func newSID(node NodeID) string {
	var b [sidBytes]byte
	copy(b[:], node[:])
	rand.Read(b[len(node):]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// NodeOf returns the NodeID inside a session id made by the default generator. It reports false for text
// that cannot be one. Nothing about an id it accepts is proven: the client may have made it up.
func NodeOf(sid string) (id NodeID, ok bool) {
	if len(sid) != sidLength {
		return NodeID{}, false
	}
	var b [sidBytes]byte
	if _, err := base64.RawURLEncoding.Decode(b[:], []byte(sid)); err != nil {
		return NodeID{}, false
	}
	return NodeID(b[:len(id)]), true
}
