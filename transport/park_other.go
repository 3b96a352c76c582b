//go:build !linux

package transport

import "syscall"

// canPark tells that nothing can be parked here: every WebSocket keeps its reader.
const canPark = false

type parker struct{}

func (p *parker) add(syscall.RawConn, *bool, sleeper) bool { return false }

func (p *parker) remove(syscall.RawConn) {}

func (p *parker) close() {}
