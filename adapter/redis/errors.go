package redis

import (
	"errors"
	"net"

	"github.com/redis/go-redis/v9"
)

// ErrClosed is returned by an adapter whose Cluster has been closed.
var ErrClosed = errors.New("cluster closed")

// ErrTooLarge is returned for a message to other nodes of more than Config.MaxMessageBytes. Nothing was done, and no client
// of this node has got the event, either.
var ErrTooLarge = errors.New("message too large for Redis")

var (
	errStarting   = errors.New("no heartbeat has come back yet")
	errSilent     = errors.New("heartbeats are published but do not come back")
	errOutbox     = errors.New("outbox full")
	errReplica    = errors.New("this Redis is a replica: what is published here does not reach the others")
	errUnsent     = errors.New("no connection to send on")
	errCutOff     = errors.New("a subscription breaks whenever what was missed is sent again")
	errSettings   = errors.New("servers with this Prefix do not have the same settings, and do not hear each other, or not all")
	errStream     = errors.New("servers with another Prefix use the same Stream, and get the events of this cluster")
	errGarbled    = errors.New("messages of other servers are not understood")
	errNumber     = errors.New("a message has a number that its server has not given")
	errEncode     = errors.New("redis: encode")
	errShape      = errors.New("message has an unexpected shape")
	errUncounted  = errors.New("servers live, and renew their entries in Redis, and have no subscriptions there that could be counted")
	errUnheard    = errors.New("no subscription to the channel of this server")
	errName       = errors.New("another server has this one's NodeID")
	errTwin       = errors.New("another server announces the address of this one, too")
	errUnreached  = errors.New("the other servers do not reach this one at the address that it announces")
	errUnanswered = errors.New("nothing answers the other servers at the address that this one announces")
	errEnded      = errors.New("the certificate at the address that this server announces is not in force")
	errAuthority  = errors.New("the certificate at the address that this server announces is of an authority that the others do not know")
	errOtherName  = errors.New("the certificate at the address that this server announces is of another name")
	errPlain      = errors.New("no TLS is spoken at the address of https:// that this server announces")
	errSecure     = errors.New("TLS is spoken at the address of http:// that this server announces")
	errHandshake  = errors.New("the others and what listens at the address that this server announces do not agree on TLS")
	errShut       = errors.New("this server reaches none of the others")
	errBarred     = errors.New("this server does not reach another, and others do")
	errAstray     = errors.New("the address that this server announces does not lead the others to it")
	errSecrets    = errors.New("another server has another secret, so that neither believes what the other says of a forwarded client")
	errAway       = errors.New("a server does not answer, and is not known to have ended")
)

// refused reports whether err is an answer of Redis, which then has not done what it was asked.
func refused(err error) bool {
	var e redis.Error
	return errors.As(err, &e) && !errors.Is(err, redis.Nil)
}

// notSent reports whether err says that a command cannot have reached Redis.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, errUnsent) || errors.Is(err, redis.ErrClosed)
}
