//go:build !linux

package limit

import "net"

// KeepUnsentSmall does nothing here.
func KeepUnsentSmall(net.Conn) {}
