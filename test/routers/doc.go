// Package routers holds the server behind the routers and middlewares that applications have: clients get a WebSocket
// behind each that can be made to, and where they cannot the log says what to do. It is a module of its own, so that
// none of them is a dependency of Beanpole.
package routers
