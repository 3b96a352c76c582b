package main

import "syscall"

// follow has a program be told to end when this one is killed, and cannot tell it.
func follow(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGTERM }
