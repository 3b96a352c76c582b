package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// remedy is what a person may do about one kind of error: answers of Redis that begin like this, and have one of some
// words in them if there are any, or errors of this package.
type remedy struct {
	begins, has []string
	is          []error
	advice      string
}

const (
	allow    = "allow this Redis user the commands and channels of the adapter, see docs/adapters.md"
	noAnswer = "Redis does not answer: check its load and the network, and that it has TLS if its URL begins with rediss://"
	noServer = "check that Redis runs and can be reached from here"
	// announced is where the address is set that a node announces.
	announced = "(URL of ForwardConfig; BEANPOLE_NODE_URL of a host, which as http://:5000 means the address of its own instance)"
)

// remedies are looked at in order, the answers of Redis first: what they are wrapped in says less.
var remedies = []remedy{
	{begins: []string{"NOAUTH", "WRONGPASS", unauthenticated}, advice: "check user and password of Redis in the configuration"},
	{begins: []string{"NOPERM"}, advice: allow},
	{has: []string{"user executing the script"}, advice: allow},
	{begins: []string{"BUSY"}, advice: "a script keeps Redis busy: look in its log and its slowlog whose it is, and end it with SCRIPT KILL"},
	{begins: []string{"LOADING"}, advice: "Redis has been started and reads its data: it takes no commands until then"},
	{begins: []string{"NOREPLICAS"}, advice: "Redis takes no writes while too few replicas are connected: look at these, or lower min-replicas-to-write"},
	{begins: []string{"OOM"}, advice: "Redis is out of memory: enlarge it or lower its other use"},
	{begins: []string{"WRONGTYPE"}, advice: "something else uses a key of this cluster: delete the key, or give the cluster another Prefix and Stream"},
	{begins: []string{"UNBLOCKED"}, advice: "a server of Redis has handed over to its replica: connections are being made anew"},
	{begins: []string{"MISCONF"}, advice: "Redis cannot write to its disk: look at its log and make room there"},
	{begins: []string{"READONLY"}, is: []error{errReplica}, advice: "this Redis is a replica: name the primary endpoint"},
	{begins: []string{"MOVED", "CROSSSLOT"}, advice: "this Redis is a cluster: add cluster=true to its URL"},
	{begins: []string{"ASK", "TRYAGAIN"}, advice: "slots of this Redis Cluster are being moved: what is for them waits until they have come; " +
		"if that does not end, look at CLUSTER NODES for a slot that stayed between two masters"},
	{begins: []string{"CLUSTERDOWN", "MASTERDOWN"}, advice: "servers of this Redis Cluster are down, and no replica has taken over: look at CLUSTER INFO and CLUSTER NODES, and start what is missing"},
	{begins: []string{"ERR max number of clients"}, advice: "Redis has as many connections as it may: raise maxclients, or look in CLIENT LIST whose they are"},
	{begins: []string{"ERR unknown command"}, has: []string{"spublish", "ssubscribe", "sunsubscribe"},
		advice: "this Redis has no sharded channels, which came with Redis 7: use mode pubsub, or auto, or streams for events that survive an outage"},
	{begins: []string{"ERR unknown command"}, has: []string{"'x", "`x"}, advice: "this Redis has no streams, which came with Redis 5: use mode pubsub, or auto"},
	{begins: []string{"ERR unknown command"}, advice: "this Redis is too old, or restricted"},
	{is: []error{errCutOff}, advice: outputAdvice},
	{is: []error{errElsewhere}, advice: "name the primary endpoint of one Redis, or of a cluster with cluster=true, and not an address that divides connections among servers; " + outputAdvice},
	{is: []error{errUncounted}, advice: "look at the status of the other servers: one that cannot subscribe, or subscribes to another Redis than this one, gets no events"},
	{is: []error{errHandedOver}, advice: "subscriptions are being made at the new master"},
	{is: []error{errGarbled}, advice: garbledAdvice},
	{is: []error{errSettings, errOthers}, advice: "give all servers the same mode, streams, subscriptions and recovery, and those that are to be apart another Prefix"},
	{is: []error{errStream}, advice: "give each cluster a Stream of its own, or all servers the same Prefix"},
	{is: []error{errMode}, advice: "start this server again, and name the mode in its configuration"},
	{is: []error{errSilent}, advice: "subscriptions are being made again; if this stays, check ACL rules for channels"},
	{is: []error{errName}, advice: "give each server a NodeID of its own"},
	{is: []error{errTwin, errAstray}, advice: "have each server announce an address at which the others reach it, and nobody else " + announced},
	{is: []error{errUnreached}, advice: "let the other servers connect to this address (security group, firewall, port of the container), or announce another " + announced +
		"; or let out the server that has found this, where it reaches no other either"},
	{is: []error{errUnanswered}, advice: "look at what takes the connections at this address, and whether this server stands still; or announce another " + announced},
	{is: []error{errEnded}, advice: "renew the certificate and have it served, look at the clocks of both servers, or announce another address " + announced},
	{is: []error{errAuthority}, advice: "have all servers trust this authority (the system's certificates, or SSL_CERT_FILE; an image from scratch has none), serve the " +
		"certificates between it and the server's too, or announce an address of http:// in a network of your own " + announced},
	{is: []error{errOtherName}, advice: "announce a name that the certificate has, or have it made out to this one " + announced},
	{is: []error{errPlain}, advice: "announce the address with http://, or have TLS there " + announced},
	{is: []error{errSecure}, advice: "announce the address with https://, or one where this server itself listens " + announced},
	{is: []error{errHandshake}, advice: "have TLS 1.2 or later there, for this name, and ask for no certificate; or announce another address " + announced},
	{is: []error{errShut, errBarred}, advice: "let this server connect to the others (rules for what goes out, routes, names, authorities of certificates, its clock); where all servers " +
		"say so, let them connect to each other"},
	{is: []error{errSecrets}, advice: "give all servers the same Secret, or none (BEANPOLE_NODE_SECRET of a host)"},
}

// advice says what a person may do about an error of Redis.
func advice(err error) string {
	var nowhere *Unlocated
	if errors.As(err, &nowhere) {
		return nowhere.Advice
	}
	if refusesPatterns(err) {
		return "this Redis user may not have one of the channels, or subscribe to patterns: allow it what docs/adapters.md " +
			"lists, and leave Subscriptions empty, or dynamic, where patterns are not allowed or not known, as in ElastiCache Serverless"
	}
	for _, r := range remedies {
		if r.fits(err) {
			return r.advice
		}
	}
	return ofConnection(err)
}

// fits reports whether err is of the kind of r.
func (r *remedy) fits(err error) bool {
	if slices.ContainsFunc(r.is, func(kind error) bool { return errors.Is(err, kind) }) {
		return true
	}
	if err == nil || len(r.begins)+len(r.has) == 0 {
		return false
	}
	text := err.Error()
	var answer redis.Error
	if errors.As(err, &answer) {
		text = answer.Error() // without what the library says before it
	}
	return (len(r.begins) == 0 || slices.ContainsFunc(r.begins, func(s string) bool { return strings.HasPrefix(text, s) })) &&
		(len(r.has) == 0 || slices.ContainsFunc(r.has, func(s string) bool { return strings.Contains(strings.ToLower(text), s) }))
}

// ofConnection is the advice for what is no known answer of Redis.
func ofConnection(err error) string {
	var n net.Error
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case refused(err):
		return "Redis runs, and has refused this: look up what its answer means"
	case errors.As(err, &certificate):
		return "the certificate of Redis is not for the name in its URL, not in force, or of an authority that this machine does not know"
	case errors.As(err, new(tls.RecordHeaderError)):
		return "this Redis has no TLS: its URL begins with redis://"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &n) && n.Timeout():
		return noAnswer
	case errors.As(err, &op) && op.Op == "dial":
		return noServer
	}
	// A connection that Redis closes is one thing to look into, whatever the reason.
	return noServer + ", and that its URL begins with rediss:// if it wants TLS; " + outputAdvice
}
