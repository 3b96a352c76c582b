package servertest_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/server/servertest"
)

// A server that does not answer the others is waited for as over Redis, and in development it says why it does not.
func TestClusterAsksWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &text{}
		nodes := servertest.Cluster(t, 2, server.Config{Development: true, Logger: slog.New(slog.NewTextHandler(log, nil))})
		nodes[1].OnServerSide("flush", func(server.Ack) {})
		for _, event := range []string{"flsh", "flush"} {
			since := time.Now()
			_, err := nodes[0].ServerSideEmitWithAck(context.Background(), event)
			var partial *adapter.PartialError
			if waited := time.Since(since); waited != 5*time.Second || !errors.Is(err, server.ErrTimeout) || !errors.As(err, &partial) || partial.Nodes != 1 {
				t.Errorf("%s: %v after %v", event, err, waited)
			}
		}
		if err := nodes[0].ServerSideEmit("flsh"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := strings.Count(log.String(), "event=flsh waits_for_an_answer=true perhaps_meant=flush"); n != 1 || strings.Contains(log.String(), "event=flush") {
			t.Errorf("said %d times: %s", n, log)
		}
	})
}
