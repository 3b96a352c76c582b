// Package zishang runs applications written for github.com/zishang520/socket.io/v2.
package zishang
