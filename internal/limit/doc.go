// Package limit counts what clients may do: so many events a second, so many sessions of one address or
// one identity, so long a wait.
//
// Files: bucket.go (Bucket: a rate; Table: a rate for each key), holders.go (Holders: how many of one key
// there are), deadline.go (Deadline: a wait), address.go (the key of an address), notice.go (Notice: one
// log line for a limit that is reached again and again).
//
// # Decisions
//
//   - 2026-11: a Table holds at most MaxKeys keys in two generations. A key that has not been used for as
//     long as its bucket takes to fill is forgotten with its generation, which changes nothing. When there
//     are more keys than that, the older half is forgotten early: who can send from so many addresses is not
//     held up by a limit per address, and nobody else is to be refused for it.
//   - 2026-11: a Table keeps a long key as its hash: an identity may be a text that clients choose, and 131,072
//     of a megabyte would be a bound in name only.
//   - 2026-11: addresses of IPv6 count by their first 64 bits, which is what one customer of a network has.
package limit
