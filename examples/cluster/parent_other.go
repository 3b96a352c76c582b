//go:build !linux

package main

import "syscall"

// follow does nothing: only Linux tells programs that the one that started them was killed.
func follow(*syscall.SysProcAttr) {}
