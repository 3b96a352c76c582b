// Admin publishes what happens in the scores example: without words an afternoon of football, with words
// a line of news.
//
//	admin                      plays four matches, a second a minute
//	admin -minute 200ms        plays them faster
//	admin The rain has stopped
//
// With REDIS_URL it publishes through Redis to all servers of the cluster, as an Emitter that serves no
// clients itself; without it, by HTTP to the server at -url.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/beanpole/beanpole/examples/scores/match"
)

func main() {
	url := flag.String("url", "http://localhost:5000/", "the server, without REDIS_URL")
	minute := flag.Duration("minute", time.Second, "how long a minute of play takes")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "the same seed makes the same matches")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *url, *minute, *seed, strings.Join(flag.Args(), " ")); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url string, minute time.Duration, seed uint64, news string) error {
	p, err := newPublisher(url)
	if err != nil {
		return err
	}
	defer p.close()
	if news != "" {
		return p.publish(ctx, match.Event{Kind: match.News, Text: news})
	}
	a := newAfternoon(rand.New(rand.NewPCG(seed, 1)))
	clock := time.NewTicker(minute)
	defer clock.Stop()
	for !a.over() {
		for _, e := range a.minute() {
			if err := p.publish(ctx, e); err != nil {
				return err
			}
			if e.Kind != match.Clock {
				fmt.Println(e.Text)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-clock.C:
		}
	}
	return nil
}
