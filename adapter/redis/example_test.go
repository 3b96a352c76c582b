package redis_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log"
	"net/http"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// The examples of this file are the code of docs/adapters.md; package house compares them.

func ExampleNew() {
	ctx := context.Background()

	cluster, err := redis.New(redis.Config{URL: "rediss://:password@redis.example.com:6379"})
	if err != nil {
		log.Fatal(err)
	}
	io, err := server.New(server.Config{Adapter: cluster.Adapter()})
	if err != nil {
		log.Fatal(err)
	}
	// ... and at the end, the server first:
	err = errors.Join(io.Shutdown(ctx), cluster.Close(ctx))

	log.Print(err)
}

func ExampleConfig_recovery() {
	var url string

	cluster, err := redis.New(redis.Config{URL: url, Mode: redis.Streams, Recovery: &adapter.Recovery{}})
	if err != nil {
		log.Fatal(err)
	}
	io, err := server.New(server.Config{Adapter: cluster.Adapter(), Recovery: &server.Recovery{}})

	log.Print(io, err)
}

func ExampleCluster_Forward() {
	cluster := new(redis.Cluster)

	var node transport.NodeID // this server's name in the ids of its sessions
	_, _ = rand.Read(node[:])
	forwarder, err := cluster.Forward(redis.ForwardConfig{
		Node: hex.EncodeToString(node[:]),
		NodeOf: func(sid string) (string, bool) {
			id, ok := transport.NodeOf(sid)
			return hex.EncodeToString(id[:]), ok
		},
		URL:  "http://10.0.0.5:8080", // where the other servers reach this one
		Path: "/socket.io/",
	})
	if err != nil {
		log.Fatal(err)
	}
	io, err := server.New(server.Config{
		Adapter:   cluster.Adapter(),
		Transport: transport.Config{NodeID: node, UnknownSession: forwarder.UnknownSession},
	})

	// In front of everything that may refuse a request.
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !forwarder.Visited(w, r) {
			io.ServeHTTP(w, r)
		}
	})

	log.Print(handler, err)
}

func ExampleNewEmitter() {
	var url string
	ctx := context.Background()

	emitter, err := redis.NewEmitter(redis.Config{URL: url})
	if err != nil {
		log.Fatal(err)
	}
	err = emitter.Of("/chat").To("room").Emit("message", "from a cron job")
	err = errors.Join(err, emitter.Close(ctx))

	log.Print(err)
}
