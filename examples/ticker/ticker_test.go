package main

import (
	"math"
	"testing"
	"time"

	"github.com/beanpole/beanpole/server"
)

func TestPriceDependsOnTheTimeAlone(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	seen := make(map[float64]string)
	for i, s := range market() {
		got, again := s.price(at), market()[i].price(at)
		if got != again || got < s.base/2 || got > 2*s.base {
			t.Errorf("%s: %v and %v, want the same near %v", s.Symbol, got, again, s.base)
		}
		if other, ok := seen[got/s.base]; ok {
			t.Errorf("%s moves as %s does", s.Symbol, other)
		}
		seen[got/s.base] = s.Symbol
	}
}

func TestPriceMovesInSmallSteps(t *testing.T) {
	s := market()[0]
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	last, moved := s.price(at), 0
	for range 3000 {
		at = at.Add(interval)
		now := s.price(at)
		if math.Abs(now-last) > last/500 {
			t.Errorf("from %v to %v in one tick", last, now)
		}
		if now != last {
			moved++
		}
		last = now
	}
	if moved < 1500 {
		t.Errorf("the price moved in %d of 3000 ticks", moved)
	}
}

func TestWelcomeListsEverySymbol(t *testing.T) {
	io, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer io.Close()
	w := newTicker(io, "a").welcome(time.Now())
	if len(w.Listings) != len(market()) || w.Interval != 20 || w.Node != "a" {
		t.Errorf("welcome is %+v", w)
	}
	for _, l := range w.Listings {
		if l.Price <= 0 || l.Open <= 0 || l.Name == "" {
			t.Errorf("listing is %+v", l)
		}
	}
}
