// Command node is one server of the cluster that package rolling upgrades. It is built from this commit and from an
// older one, so it uses only what both have. It has one client of its own, sends numbered events to the whole cluster
// until it is told to stop, notes what comes of those of others, and answers questions about it: a line of JSON on
// its input, a line on its output.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/adapter/redis"
	"github.com/beanpole/beanpole/server"
	"github.com/beanpole/beanpole/transport"
)

// track is what came of one kind of event of one server.
type track struct {
	First, Next   int
	Missing       int
	Doubled, Late int
	open          map[int]bool // missing
	begun         bool
	LastMissing   int
	LastMissingAt string
}

func (t *track) add(seq int) {
	switch {
	case !t.begun:
		t.begun, t.First, t.Next, t.open = true, seq, seq+1, map[int]bool{}
	case seq >= t.Next:
		for i := t.Next; i < seq; i++ {
			t.open[i] = true
			t.LastMissing, t.LastMissingAt = i, time.Now().Format(time.StampMilli)
		}
		t.Next = seq + 1
	case seq < t.First:
		for i := seq + 1; i < t.First; i++ {
			t.open[i] = true
		}
		t.First = seq
		t.Late++
	case t.open[seq]:
		delete(t.open, seq)
		t.Late++
	default:
		t.Doubled++
	}
	t.Missing = len(t.open)
}

// node is this server.
type node struct {
	name    string
	io      *server.Server
	cluster *redis.Cluster

	mu     sync.Mutex
	tracks map[string]*track // by sender and kind
	asked  int
	failed map[string]int

	emitMu sync.Mutex // held while an event is sent, so that what is said to have been sent was
	sent   map[string]int
	ended  bool
}

// came notes an event.
func (n *node) came(from, kind string, seq int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := from + " " + kind
	if n.tracks[key] == nil {
		n.tracks[key] = &track{}
	}
	n.tracks[key].add(seq)
}

// emit sends the next event of a kind.
func (n *node) emit(kind string, fn func(seq int) error) {
	n.emitMu.Lock()
	defer n.emitMu.Unlock()
	if n.ended {
		return
	}
	if err := fn(n.sent[kind]); err != nil {
		log.Printf("emit: %v", err)
	}
	n.sent[kind]++
}

// traffic sends events until the node is told to stop.
func (n *node) traffic(every time.Duration) {
	for range time.Tick(every) {
		n.emit("all", func(seq int) error { return n.io.Emit("n", n.name, "all", seq) })
		n.emit("room", func(seq int) error { return n.io.To("room").Emit("n", n.name, "room", seq) })
		n.emit("server", func(seq int) error { return n.io.ServerSideEmit("n", n.name, seq) })
	}
}

// questions asks the cluster again and again, while servers come and go, and notes what fails.
func (n *node) questions() {
	for range time.Tick(150 * time.Millisecond) {
		for what, fn := range map[string]func(context.Context) error{
			"fetch":   func(ctx context.Context) error { _, err := n.io.FetchSockets(ctx); return err },
			"servers": func(ctx context.Context) error { _, err := n.io.ServerSideEmitWithAck(ctx, "who"); return err },
			"clients": func(ctx context.Context) error { _, err := n.io.EmitWithAck(ctx, "who"); return err },
		} {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			err := fn(ctx)
			cancel()
			n.mu.Lock()
			if n.asked++; err != nil {
				n.failed[what+": "+err.Error()]++
			}
			n.mu.Unlock()
		}
	}
}

// client is the client of this node: it notes events and answers questions.
func (n *node) client(url string) error {
	conn, early, _, err := ws.Dial(context.Background(), "ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		return err
	}
	var r io.Reader = conn
	if early != nil { // came with the answer to the handshake
		r = io.MultiReader(early, conn)
	}
	ready := make(chan error, 1)
	go func() {
		for {
			data, err := wsutil.ReadServerText(struct {
				io.Reader
				io.Writer
			}{r, conn})
			if err != nil {
				select {
				case ready <- err:
				default: // at the end
				}
				return
			}
			text, answer := string(data), ""
			switch {
			case text == "2":
				answer = "3"
			case text[0] == '0':
				answer = "40"
			case strings.HasPrefix(text, "40"):
				ready <- nil
			case strings.HasPrefix(text, "42") && strings.Contains(text, `["who"`):
				answer = "43" + text[2:strings.IndexByte(text, '[')] + fmt.Sprintf("[%q]", n.name)
			case strings.HasPrefix(text, `42["n"`):
				var e []json.RawMessage
				var from, kind string
				var seq int
				if json.Unmarshal(data[2:], &e) != nil || json.Unmarshal(e[1], &from) != nil || json.Unmarshal(e[2], &kind) != nil ||
					json.Unmarshal(e[3], &seq) != nil {
					log.Fatalf("event %s", text)
				}
				n.came(from, kind, seq)
			}
			if answer != "" {
				_ = wsutil.WriteClientText(conn, []byte(answer)) // or the next read fails
			}
		}
	}()
	return <-ready
}

// names decodes the first value of each answer.
func names(list []server.Args, err error) ([]string, error) {
	out := []string{}
	for _, a := range list {
		var name string
		if err := a.Decode(0, &name); err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, err
}

// do carries out an order.
func (n *node) do(op string) (out map[string]any, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	out = map[string]any{}
	switch op {
	case "ready":
		err = n.cluster.Ready(ctx)
	case "sent":
		n.emitMu.Lock()
		defer n.emitMu.Unlock()
		out["sent"] = n.sent
	case "servers":
		out["number"], err = n.io.Servers(ctx)
	case "count":
		out["number"], err = n.io.Count(ctx)
	case "fetch":
		var list []string
		sockets, e := n.io.FetchSockets(ctx)
		for _, s := range sockets {
			name, _ := s.Data.Get("home").(string)
			list = append(list, name)
		}
		out["names"], err = list, e
	case "ask servers":
		out["names"], err = names(n.io.ServerSideEmitWithAck(ctx, "who"))
	case "ask clients":
		out["names"], err = names(n.io.EmitWithAck(ctx, "who"))
	case "report":
		n.mu.Lock()
		defer n.mu.Unlock()
		tracks := map[string]track{}
		for k, t := range n.tracks {
			tracks[k] = *t
		}
		out["tracks"], out["asked"], out["failed"] = tracks, n.asked, n.failed
		s := n.cluster.Stats()
		out["stats"] = fmt.Sprintf("%+v", s)
	case "end":
		n.emitMu.Lock()
		n.ended = true
		out["sent"] = n.sent
		n.emitMu.Unlock()
	case "close":
		out["sent"] = n.sent
		if err = n.io.Shutdown(ctx); err == nil {
			err = n.cluster.Close(ctx)
		}
	default:
		err = fmt.Errorf("unknown order %q", op)
	}
	return out, err
}

func nodeOf(sid string) (string, bool) {
	id, ok := transport.NodeOf(sid)
	return hex.EncodeToString(id[:]), ok
}

func main() {
	var cfg redis.Config
	name := flag.String("name", "", "")
	id := flag.Int("id", 1, "")
	mode := flag.String("mode", "", "")
	subscriptions := flag.String("subscriptions", "", "")
	recovery := flag.Bool("recovery", false, "")
	flag.StringVar(&cfg.URL, "redis", "", "")
	flag.StringVar(&cfg.Prefix, "prefix", "", "")
	flag.DurationVar(&cfg.HeartbeatInterval, "heartbeat", 0, "")
	every := flag.Duration("every", 4*time.Millisecond, "")
	flag.Parse()
	cfg.Mode, cfg.Subscriptions, cfg.Stream, cfg.SessionPrefix = redis.Mode(*mode), redis.Subscriptions(*subscriptions), cfg.Prefix, cfg.Prefix+":s:"
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	var sc server.Config
	if *recovery {
		cfg.Recovery = &adapter.Recovery{}
		sc.Recovery = &server.Recovery{Recovery: *cfg.Recovery}
	}
	cluster, err := redis.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	sc.Transport.NodeID = transport.NodeID{1, byte(*id)}
	f, err := cluster.Forward(redis.ForwardConfig{Node: hex.EncodeToString(sc.Transport.NodeID[:]), NodeOf: nodeOf, URL: url})
	if err != nil {
		log.Fatal(err)
	}
	sc.Transport.UnknownSession = f.UnknownSession
	sc.Adapter = cluster.Adapter()
	srv, err := server.New(sc)
	if err != nil {
		log.Fatal(err)
	}
	n := &node{name: *name, io: srv, cluster: cluster, tracks: map[string]*track{}, failed: map[string]int{}, sent: map[string]int{}}
	srv.OnServerSide("n", func(from string, seq int) { n.came(from, "server", seq) })
	srv.OnServerSide("who", func() (string, error) { return n.name, nil })
	srv.OnConnection(func(s *server.Socket) {
		s.Data.Set("home", n.name) //nolint:errcheck // older versions return none
		s.Join("room")
	})
	go func() { log.Fatal(http.Serve(l, srv)) }()
	if err := n.client(url); err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := cluster.Ready(ctx); err != nil {
		log.Fatal(err)
	}
	go n.traffic(*every) // both end with the process
	go n.questions()
	fmt.Printf("{\"url\":%q}\n", url)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		out, err := n.do(lines.Text())
		if err != nil {
			out["error"] = err.Error()
		}
		n.emitMu.Lock()
		b, err := json.Marshal(out)
		n.emitMu.Unlock()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", b)
	}
}
