package server

import (
	"crypto/rand"
	"encoding/base64"
)

// newID returns 15 random bytes in URL-safe base64: 20 characters, the length by which Node's sharded
// adapter tells a socket's own room from others.
func newID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand since Go 1.24)
	return base64.RawURLEncoding.EncodeToString(b[:])
}
