package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrClosed is returned by an adapter whose Cluster has been closed.
var ErrClosed = errors.New("cluster closed")

// ErrTooLarge is returned for a message to other nodes of more than Config.MaxMessageBytes. Clients of this node got
// the event.
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
	errAstray     = errors.New("the address that this server announces does not lead the others to it")
	errSecrets    = errors.New("another server has another secret, so that neither believes what the other says of a forwarded client")
	errAway       = errors.New("a server does not answer, and is not known to have ended")
)

// announced is where the address is set that a node announces.
const announced = "(URL of ForwardConfig; BEANPOLE_NODE_URL of a host, which as http://:5000 means the address of its own instance)"

// advice says what a person may do about an error of Redis.
func advice(err error) string {
	var n net.Error
	var nowhere *Unlocated
	var certificate *tls.CertificateVerificationError
	var answer redis.Error
	text := ""
	if errors.As(err, &answer) {
		text = answer.Error() // without what the library says before it
	} else if err != nil {
		text = err.Error()
	}
	switch {
	case errors.As(err, &nowhere):
		return nowhere.Advice
	case strings.HasPrefix(text, "NOAUTH"), strings.HasPrefix(text, "WRONGPASS"), strings.HasPrefix(text, unauthenticated):
		return "check user and password of Redis in the configuration"
	case refusesPatterns(err):
		return "this Redis user may not have one of the channels, or subscribe to patterns: allow it what docs/adapters.md " +
			"lists, and leave Subscriptions empty, or dynamic, where patterns are not allowed or not known, as in ElastiCache Serverless"
	case strings.HasPrefix(text, "NOPERM"), strings.Contains(text, "user executing the script"):
		return "allow this Redis user the commands and channels of the adapter, see docs/adapters.md"
	case strings.HasPrefix(text, "BUSY"):
		return "a script keeps Redis busy: look in its log and its slowlog whose it is, and end it with SCRIPT KILL"
	case strings.HasPrefix(text, "LOADING"):
		return "Redis has been started and reads its data: it takes no commands until then"
	case strings.HasPrefix(text, "NOREPLICAS"):
		return "Redis takes no writes while too few replicas are connected: look at these, or lower min-replicas-to-write"
	case strings.HasPrefix(text, "OOM"):
		return "Redis is out of memory: enlarge it or lower its other use"
	case strings.HasPrefix(text, "WRONGTYPE"):
		return "something else uses a key of this cluster: delete the key, or give the cluster another Prefix and Stream"
	case strings.HasPrefix(text, "UNBLOCKED"):
		return "a server of Redis has handed over to its replica: connections are being made anew"
	case strings.HasPrefix(text, "MISCONF"):
		return "Redis cannot write to its disk: look at its log and make room there"
	case errors.Is(err, errCutOff):
		return outputAdvice
	case strings.HasPrefix(text, "READONLY"), errors.Is(err, errReplica):
		return "this Redis is a replica: name the primary endpoint"
	case errors.Is(err, errElsewhere):
		return "name the primary endpoint of one Redis, or of a cluster with cluster=true, and not an address that divides connections among servers; " + outputAdvice
	case errors.Is(err, errUncounted):
		return "look at the status of the other servers: one that cannot subscribe, or subscribes to another Redis than this one, gets no events"
	case errors.Is(err, errHandedOver):
		return "subscriptions are being made at the new master"
	case strings.HasPrefix(text, "MOVED"), strings.HasPrefix(text, "CROSSSLOT"):
		return "this Redis is a cluster: add cluster=true to its URL"
	case strings.HasPrefix(text, "ERR unknown command"):
		switch lower := strings.ToLower(text); {
		case strings.Contains(lower, "spublish"), strings.Contains(lower, "ssubscribe"), strings.Contains(lower, "sunsubscribe"):
			return "this Redis has no sharded channels, which came with Redis 7: use mode pubsub, or auto, or streams for events that survive an outage"
		case strings.Contains(lower, "'x"), strings.Contains(lower, "`x"):
			return "this Redis has no streams, which came with Redis 5: use mode pubsub, or auto"
		}
		return "this Redis is too old, or restricted"
	case errors.Is(err, errGarbled):
		return garbledAdvice
	case errors.Is(err, errSettings), errors.Is(err, errOthers):
		return "give all servers the same mode, streams, subscriptions and recovery, and those that are to be apart another Prefix"
	case errors.Is(err, errStream):
		return "give each cluster a Stream of its own, or all servers the same Prefix"
	case errors.Is(err, errMode):
		return "start this server again, and name the mode in its configuration"
	case errors.Is(err, errSilent):
		return "subscriptions are being made again; if this stays, check ACL rules for channels"
	case errors.Is(err, errName):
		return "give each server a NodeID of its own"
	case errors.Is(err, errTwin), errors.Is(err, errAstray):
		return "have each server announce an address at which the others reach it, and nobody else " + announced
	case errors.Is(err, errUnreached):
		return "let the other servers connect to this address (security group, firewall, port of the container), or announce another " + announced
	case errors.Is(err, errUnanswered):
		return "look at what takes the connections at this address, and whether this server stands still; or announce another " + announced
	case errors.Is(err, errSecrets):
		return "give all servers the same Secret, or none (BEANPOLE_NODE_SECRET of a host)"
	case errors.As(err, &certificate):
		return "the certificate of Redis is not for the name in its URL, not in force, or of an authority that this machine does not know"
	case errors.As(err, new(tls.RecordHeaderError)):
		return "this Redis has no TLS: its URL begins with redis://"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &n) && n.Timeout():
		return "Redis does not answer: check its load and the network, and that it has TLS if its URL begins with rediss://"
	}
	// A connection that Redis has closed, and that it takes none, is one thing to look into.
	return "check that Redis runs and can be reached from here, and that its URL begins with rediss:// if it wants TLS; " + outputAdvice
}

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
