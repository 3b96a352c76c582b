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

// A server that is cut off goes on with its own clients, and what asks the cluster says what is missing, on both sides, until it is back.
func TestServerIsCutOffAndComesBack(t *testing.T) {
	for _, recovery := range []*server.Recovery{nil, {}} {
		synctest.Test(t, func(t *testing.T) {
			nodes := servertest.Cluster(t, 3, server.Config{Recovery: recovery})
			told := make([]int, len(nodes))
			var clients []*servertest.Client
			for i, io := range nodes {
				io.OnServerSide("tell", func() int { told[i]++; return i })
				clients = append(clients, servertest.Connect(t, io))
			}
			partial := func(what string, err error, missing int, cause error) {
				t.Helper()
				var p *adapter.PartialError
				if !errors.As(err, &p) || p.Nodes != missing || !errors.Is(err, cause) {
					t.Errorf("%s: %v, want %d missing and %v", what, err, missing, cause)
				}
			}
			servertest.CutOff(t, nodes[2])

			// On its side everything is answered at once, with what is missing.
			since := time.Now()
			if err := nodes[2].Emit("news", "of two"); !errors.Is(err, adapter.ErrDegraded) {
				t.Errorf("Emit: %v", err)
			}
			if err := nodes[2].ServerSideEmit("tell"); !errors.Is(err, adapter.ErrDegraded) {
				t.Errorf("ServerSideEmit: %v", err)
			}
			n, err := nodes[2].Count(t.Context())
			if partial("Count", err, 2, adapter.ErrDegraded); n != 1 || time.Since(since) != 0 {
				t.Errorf("%d sockets after %v", n, time.Since(since))
			}
			if got := servertest.Expect[string](clients[2], "news"); got != "of two" {
				t.Error(got)
			}
			clients[0].ExpectNothing("news")

			// The others do not know yet, and wait.
			if err := nodes[0].Emit("news", "of zero"); err != nil {
				t.Errorf("Emit: %v", err)
			}
			if got := servertest.Expect[string](clients[1], "news"); got != "of zero" {
				t.Error(got)
			}
			clients[2].ExpectNothing("news")
			since = time.Now()
			answers, err := nodes[0].ServerSideEmitWithAck(t.Context(), "tell")
			if partial("ServerSideEmitWithAck", err, 1, server.ErrTimeout); len(answers) != 1 || time.Since(since) != 5*time.Second {
				t.Errorf("%d answers after %v", len(answers), time.Since(since))
			}

			// Then they do.
			time.Sleep(adapter.LinkForgotten)
			if list, err := nodes[0].FetchSockets(t.Context()); len(list) != 2 || err != nil {
				t.Errorf("%d sockets, %v", len(list), err)
			}
			if n, err := nodes[0].Servers(t.Context()); n != 2 || err != nil {
				t.Errorf("%d servers, %v", n, err)
			}

			servertest.Rejoin(t, nodes[2])
			if n, err := nodes[2].Count(t.Context()); n != 3 || err != nil {
				t.Errorf("%d sockets, %v", n, err)
			}
			if err := nodes[2].ServerSideEmit("tell"); err != nil {
				t.Error(err)
			}
			if err := nodes[1].Emit("news", "again"); err != nil {
				t.Error(err)
			}
			if got := servertest.Expect[string](clients[2], "news"); got != "again" {
				t.Error(got)
			}
			synctest.Wait()
			if told[0] != 1 || told[1] != 2 || told[2] != 0 {
				t.Errorf("told %v", told)
			}
		})
	}
}

func TestOnlyAClusterCanBeCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := servertest.Server(t, server.Config{})
		if said := fails(t, func(t testing.TB) { servertest.CutOff(t, io) }); !strings.Contains(said, "servertest.Cluster") {
			t.Error(said)
		}
	})
}
