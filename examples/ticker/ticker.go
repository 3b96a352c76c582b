package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/time/rate"

	"github.com/beanpole/beanpole/server"
)

// interval is the time between two ticks of a symbol.
const interval = 20 * time.Millisecond

// What somebody who begins to follow a symbol gets of its past.
const (
	past     = 5 * time.Minute
	pastStep = 100 * time.Millisecond
)

// Listing is a symbol as the list shows it.
type Listing struct {
	Symbol string  `json:"symbol"`
	Name   string  `json:"name"`
	Open   float64 `json:"open"`
	Price  float64 `json:"price"`
}

// Welcome is sent to everybody who connects.
type Welcome struct {
	Node     string    `json:"node,omitempty"` // the server that answers, in a cluster
	Interval int64     `json:"interval"`       // milliseconds between two ticks
	Listings []Listing `json:"listings"`
}

// Past answers who begins to follow a symbol: a price every Step milliseconds, the last one at End,
// milliseconds since 1970.
type Past struct {
	Symbol string    `json:"symbol"`
	Step   int64     `json:"step"`
	End    int64     `json:"end"`
	Prices []float64 `json:"prices"`
}

// What the page is sent, which is in events.ts with what it may send.
var (
	welcome = server.Declare[Welcome]("welcome")
	tick    = server.DeclareFunc[func(symbol string, at int64, price float64)]("tick") // at: milliseconds since 1970
)

// ticker answers the events of the page and sends the ticks.
type ticker struct {
	io      *server.Server
	node    string
	stocks  []stock
	symbols map[string]stock
}

func newTicker(io *server.Server, node string) *ticker {
	t := &ticker{io: io, node: node, stocks: market(), symbols: make(map[string]stock)}
	for _, s := range t.stocks {
		t.symbols[s.Symbol] = s
	}
	io.Sends(welcome, tick)
	io.OnConnection(func(s *server.Socket) {
		s.Use(server.Keep(s, newLimits).pass)
		_ = welcome.Emit(s, t.welcome(time.Now())) // it is gone again otherwise
	})
	io.On("follow", t.follow)
	io.On("unfollow", func(s *server.Socket, symbol string) { s.Leave(room(symbol)) })
	return t
}

// limits bound what one session may have done: a few bytes that follow a symbol have 3,000 prices computed and
// sent. They are the session's, since a client makes itself another socket for three bytes.
type limits struct{ events *rate.Limiter }

func newLimits() *limits { return &limits{rate.NewLimiter(2, 30)} }

// pass is a middleware.
func (l *limits) pass(context.Context, *server.Event) error {
	if !l.events.Allow() {
		return errors.New("not so fast")
	}
	return nil
}

func (t *ticker) welcome(now time.Time) Welcome {
	w := Welcome{Node: t.node, Interval: interval.Milliseconds(), Listings: make([]Listing, len(t.stocks))}
	for i, s := range t.stocks {
		w.Listings[i] = Listing{Symbol: s.Symbol, Name: s.Name, Open: s.open(now), Price: s.price(now)}
	}
	return w
}

// follow puts a socket into the room of a symbol and tells what the price was before.
func (t *ticker) follow(s *server.Socket, symbol string) (Past, error) {
	stock, ok := t.symbols[symbol]
	if !ok {
		return Past{}, errors.New("no such symbol")
	}
	s.Join(room(symbol))
	end := time.Now().Truncate(interval)
	p := Past{Symbol: symbol, Step: pastStep.Milliseconds(), End: end.UnixMilli()}
	for at := end.Add(-past); !at.After(end); at = at.Add(pastStep) {
		p.Prices = append(p.Prices, stock.price(at))
	}
	return p, nil
}

// run sends a tick of every symbol each interval until ctx is done.
func (t *ticker) run(ctx context.Context) {
	clock := time.NewTicker(interval)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-clock.C:
			t.tick(now.Truncate(interval))
		}
	}
}

// tick sends the prices of that time. A tick is worth nothing once the next one is there, so it is
// volatile: a client that cannot take it now goes without. It is local, as every server has the feed.
func (t *ticker) tick(at time.Time) {
	for _, s := range t.stocks {
		_ = t.io.Local().To(room(s.Symbol)).Volatile().Emit(tick.Event(), s.Symbol, at.UnixMilli(), s.price(at))
	}
}

// room is where those are who follow a symbol: never the id of a socket.
func room(symbol string) string { return "symbol:" + symbol }
