package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

func TestFollowersGetTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTicker(servertest.Server(t, server.Config{}), "a")
		ctx, stop := context.WithCancel(t.Context())
		go k.run(ctx)
		defer stop()
		c, other := servertest.Connect(t, k.io), servertest.Connect(t, k.io)
		w := servertest.Expect[Welcome](c, "welcome")
		if len(w.Listings) != len(market()) || w.Node != "a" {
			t.Errorf("welcome is %+v", w)
		}
		symbol := w.Listings[0].Symbol
		p := servertest.Ask[Past](c, "follow", symbol)
		if n := int(past/pastStep) + 1; len(p.Prices) != n || p.Prices[n-1] != k.stocks[0].price(time.UnixMilli(p.End)) {
			t.Errorf("%d prices, the last %v", len(p.Prices), p.Prices[len(p.Prices)-1])
		}
		for range 3 {
			var name string
			var at int64
			var price float64
			if err := c.ExpectArgs("tick").Scan(&name, &at, &price); err != nil || name != symbol || price != k.stocks[0].price(time.UnixMilli(at)) {
				t.Errorf("tick of %s at %d: %v, %v", name, at, price, err)
			}
		}
		if err := c.Emit("unfollow", symbol); err != nil {
			t.Fatal(err)
		}
		c.ExpectNothing("tick")
		time.Sleep(time.Second)
		c.ExpectNothing("tick")
		other.ExpectNothing("tick")
		if got := servertest.AskFails(c, "follow", "NONE"); got != "no such symbol" {
			t.Error(got)
		}
	})
}

func TestFollowingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		newTicker(io, "")
		io.Of("/beside")
		c := servertest.Connect(t, io)
		for range 30 {
			servertest.Ask[Past](c, "follow", "BEAN")
		}
		c.Of("/beside") // keeps the session
		for range 2 {
			if got := servertest.AskFails(c, "follow", "BEAN"); got != "not so fast" {
				t.Error(got)
			}
			c.Disconnect() // another socket is no way round
			if err := c.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		servertest.Ask[Past](c, "follow", "BEAN")
	})
}
