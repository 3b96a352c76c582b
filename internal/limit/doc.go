// Package limit counts what clients may do: so many events a second, so many sessions of one address or
// one identity, so long a wait.
//
// Files: bucket.go (Bucket: a rate; Table: a rate for each key), tally.go (Tally: how often each key did
// something of late), holders.go (Holders: how many of one key there are), deadline.go (Deadline: a wait),
// parts.go (WriteParts: an answer that is waited for as long as it goes on), address.go (the key of an address),
// notice.go (Notice: one log line for a limit that is reached again and again), sampler.go (Sampler: ten lines a
// second of what may happen without end).
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
//     Where they hold an address of IPv4 (NAT64, SIIT, 6to4, Teredo) that counts: it is what the client has,
//     and the 64 bits are the translator's or the relay's. In the local prefix of NAT64 each network puts it
//     elsewhere, and the whole address stands for it. A translator with a prefix of its own cannot be known
//     by it: all behind it count as one, and a proxy has to tell them apart.
package limit
