// Package plan is what the simulation and the program that runs it have in common: what is to happen, and what
// has been found.
package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Plan says what one run contains. What the zero value leaves open is drawn from the seed.
type Plan struct {
	Seed uint64 `json:"seed"`
	// Mode is memory, pubsub, sharded or streams; with recovery: memory+, streams+.
	Mode    string `json:"mode"`
	Nodes   int    `json:"nodes"`
	Clients int    `json:"clients"`
	Seconds int    `json:"seconds"` // of load, of the simulation's time
	// Masters are how many Redis has: more than one are a Redis Cluster.
	Masters int `json:"masters"`
	// Faults are those that may happen; nil means those of the seed, and One alone one of the seed.
	Faults []string `json:"faults"`
	// Load is what clients and nodes may do; nil means everything.
	Load []string `json:"load"`
	// Defect is one of package defects, planted to prove that it is found.
	Defect string `json:"defect,omitempty"`
}

// Modes are those of Plan.Mode. A + means recovery.
var Modes = []string{"memory", "memory+", "pubsub", "sharded", "streams", "streams+"}

// The faults.
const (
	Cut      = "cut"      // connections of clients end, on both sides or one, in the middle of a message too
	Delay    = "delay"    // nothing arrives for a while
	Slow     = "slow"     // clients stop reading
	Kill     = "kill"     // a node ends without a word, and comes back on the same address
	Drain    = "drain"    // a node is drained and replaced
	RedisCut = "rediscut" // connections to Redis end
	RedisOff = "redisoff" // Redis restarts, with its data
	RedisNew = "redisnew" // Redis restarts empty
	RedisLag = "redislag" // Redis answers late
	RedisNo  = "redisno"  // Redis refuses: LOADING, READONLY, OOM, NOPERM
	RedisIce = "redisice" // Redis stands still, as a stopped process: connections hold, and nothing comes
	RedisBar = "redisbar" // a node cannot reach Redis, and others can
	Handlers = "handlers" // handlers block, panic, disconnect their own client
	Pause    = "pause"    // a node stands still, as a stopped process
	Failover = "failover" // a replica of Redis takes over, without what had not come to it
	Idle     = "idle"     // Redis closes connections on which nothing happens
	Stray    = "stray"    // the balancer sends requests to nodes that do not hold their session
)

// One as the only fault stands for one of them, another with each seed.
const One = "one"

// Faults are all of them.
var Faults = []string{Cut, Delay, Slow, Kill, Drain, RedisCut, RedisOff, RedisNew, RedisLag, RedisNo, Handlers, Stray, Pause, Failover, Idle, RedisIce, RedisBar}

// The load.
const (
	Broadcasts = "broadcasts" // to rooms, with except, from a socket, to one socket
	Volatile   = "volatile"
	Acks       = "acks" // both ways, and broadcasts with acknowledgement
	Rooms      = "rooms"
	Binary     = "binary"
	Polling    = "polling" // clients on polling, and those that upgrade
	Namespaces = "namespaces"
	Servers    = "servers" // events and questions between servers
	Queries    = "queries"
	Leaving    = "leaving" // clients and servers end connections as the protocol has it
	Old        = "old"     // clients of Socket.IO v2
	Library    = "library" // nodes of package zishang
	Bounds     = "bounds"  // servers keep little for clients, in some runs
	Deflate    = "deflate" // WebSockets with permessage-deflate, and answers to polls that are compressed
	JSONP      = "jsonp"   // clients that poll by JSONP
)

// Loads are all of them.
var Loads = []string{Broadcasts, Volatile, Acks, Rooms, Binary, Polling, Namespaces, Servers, Queries, Leaving, Old, Library, Bounds, Deflate, JSONP}

// Fill draws from the seed what is left open.
func (p Plan) Fill() Plan {
	rng := rand.New(rand.NewPCG(p.Seed, 1))
	mode := Modes[rng.IntN(len(Modes))]
	nodes, clients, seconds := 2+rng.IntN(2), 3+rng.IntN(8), 8+rng.IntN(8)
	order := rng.Perm(len(Faults))
	k := rng.IntN(4)
	if rng.IntN(8) == 0 {
		k = len(Faults) // everything at once
	}
	crowd := rng.IntN(8) == 0
	if p.Mode == "" {
		p.Mode = mode
	}
	if p.Nodes == 0 {
		p.Nodes = nodes
	}
	if p.Masters == 0 { // of another source: what else a seed draws was there before
		p.Masters = []int{1, 1, 2, 3}[rand.New(rand.NewPCG(p.Seed, 2)).IntN(4)]
	}
	if !p.Redis() {
		p.Nodes, p.Masters = 1, 1
	}
	if p.Clients == 0 {
		p.Clients = clients
		if crowd && !p.Redis() { // rooms above adapter.indexAbove; elsewhere it takes too long
			p.Clients += 50
		}
	}
	if p.Seconds == 0 {
		p.Seconds = seconds
	}
	if p.Faults == nil {
		p.Faults = []string{}
		for _, i := range order[:k] {
			p.Faults = append(p.Faults, Faults[i])
		}
		slices.Sort(p.Faults)
	}
	if len(p.Faults) == 1 && p.Faults[0] == One {
		i := p.Seed % uint64(len(Faults))
		p.Faults = Faults[i : i+1 : i+1]
	}
	if p.Load == nil {
		p.Load = Loads
	}
	return p
}

// Has reports whether a fault may happen.
func (p *Plan) Has(fault string) bool { return slices.Contains(p.Faults, fault) }

// Does reports whether something is part of the load.
func (p *Plan) Does(what string) bool { return slices.Contains(p.Load, what) }

// Redis reports whether the nodes have a Redis between them.
func (p *Plan) Redis() bool { return !strings.HasPrefix(p.Mode, "memory") }

// Recovers reports whether clients may recover.
func (p *Plan) Recovers() bool { return strings.HasSuffix(p.Mode, "+") }

// Streams reports whether events between nodes go through a stream.
func (p *Plan) Streams() bool { return strings.HasPrefix(p.Mode, "streams") }

// String is the plan as flags of the program.
func (p Plan) String() string {
	s := fmt.Sprintf("-seed %d -mode %s -nodes %d -clients %d -seconds %d", p.Seed, p.Mode, p.Nodes, p.Clients, p.Seconds)
	faults := strings.Join(p.Faults, ",")
	if len(p.Faults) == 0 {
		faults = "none"
	}
	if p.Redis() {
		s += fmt.Sprintf(" -masters %d", p.Masters)
	}
	s += " -faults " + faults
	if len(p.Load) < len(Loads) {
		load := strings.Join(p.Load, ",")
		if load == "" {
			load = "none"
		}
		s += " -load " + load
	}
	if p.Defect != "" {
		s += " -defect " + p.Defect
	}
	return s
}

// Violation is one promise that was not kept.
type Violation struct {
	Promise string `json:"promise"` // the name of its check
	What    string `json:"what"`
	About   string `json:"about"` // what to look for in the history
	At      int64  `json:"at"`    // nanoseconds of the simulation's time
}

// Result is what one run has found. It is the last line that the simulation prints.
type Result struct {
	Violations []Violation    `json:"violations"`
	Counts     map[string]int `json:"counts"`
	Virtual    float64        `json:"virtual"` // seconds
}

// List reads a comma-separated list of what there is: all, none, or nil when text is empty.
func List(text string, all []string) []string {
	switch text {
	case "":
		return nil
	case "all":
		return all
	case "none":
		return []string{}
	}
	return strings.Split(text, ",")
}
