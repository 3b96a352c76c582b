//go:build !linux

package transport

// turnstile is nothing here: see listener_linux.go.
type turnstile struct{}

func (*turnstile) pass() bool { return false }
func (*turnstile) close()     {}
