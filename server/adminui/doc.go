// Package adminui is the server side of Socket.IO's Admin UI (npm package @socket.io/admin-ui, 0.5): the
// page shows the servers of a cluster with their clients and, in development, every socket, room and
// event; from it one can move sockets between rooms and disconnect them.
//
//	io, err := server.New(server.Config{})
//	ui, err := adminui.Attach(io, adminui.Config{Username: "admin", PasswordHash: "$2a$10$…"})
//	defer ui.Close()
//
// Attach before the application registers its own handlers. The page is static: have Page serve node_modules/
// @socket.io/admin-ui/ui/dist, or allow the origin https://admin.socket.io, where it is too.
//
// # Files
//
//   - adminui.go: Config, Attach, UI and its one goroutine
//   - page.go: the page's files
//   - auth.go: who is let in, and the sessions that spare typing the password again
//   - logins.go: names and passwords, and what guessing them may cost
//   - commands.go: what the page may do
//   - stats.go: what each server tells of itself every two seconds
//   - sockets.go: what is told of each socket in development; queue.go: the way it takes
//   - wire.go: the forms that the page wants
//
// # Decisions
//
//   - 2026-11: Development mode, in which every event of every client goes to the page, is off unless asked
//     for; Node's is on.
//   - 2026-11: A session is signed with a key made of the credentials instead of being stored. So every
//     server with the same configuration knows it, and it survives a restart.
//   - 2026-11: A socket ends with the session that it was let in by. What is recovered shows its session again:
//     the connection handler asks for it too, and so nothing depends on the middleware having run.
//   - 2026-11: The right login is remembered as a keyed hash once it has been seen. From then on every other is
//     refused without a comparison, so that guesses hold up nobody. What one wins by it who can read the
//     process's memory is little: passwords are in it while the pages that sent them are connected.
//   - 2026-11: Guesses are bounded by address alone. A bound on all of them together would be a way to keep
//     the owner out.
//   - 2026-11: Pages of other origins are refused unless they are listed, even where the server lets every page
//     connect. From the administrator's own browser, any page could guess until his address is locked out, or read
//     what is open to his machine.
//   - 2026-11: Cookies, Authorization and the auth payload are not shown, and neither is a session's id, which
//     is a credential: the page gets a hash to tell clients apart by.
//   - 2026-11: What happens to sockets goes through a queue, bounded in number and bytes, to one goroutine. It
//     is told from places that hold locks or must not wait. It is encoded there, so that nothing that waits
//     holds a whole packet. What does not fit is dropped and counted.
//   - 2026-11: Upgrades and changes of a socket's data are looked for with the statistics, every two
//     seconds, so that sockets need no hooks for them.
//   - 2026-11: Commands reach only namespaces that exist here. To make one because the page names it
//     would leave out the middlewares of the pattern that it belongs to.
package adminui
