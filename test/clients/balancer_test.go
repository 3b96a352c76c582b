package clients

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// balancer stands between a client and the nodes as an Application Load Balancer does: a request with the
// cookie goes to the node that it names, any other to the next one in turn, and every answer sets both
// cookies anew. With one node it is a plain relay.
//
// It can also be a network that goes away: GET /cut?tag=x closes the connections of the sessions that came
// with tag=x in their query, without a word, and lets nothing of these sessions through afterwards.
type balancer struct {
	nodes []*httputil.ReverseProxy // set by newBalancer, then read only

	mu    sync.Mutex
	turn  int                              // guarded by mu, as all below
	open  map[string]map[net.Conn]struct{} // by tag, with a request in flight
	known map[string][]string              // by tag, the sids it came with
	dead  map[string]bool                  // by sid
}

// connKey is where a request's context holds its connection.
type connKey struct{}

// newBalancer starts one in front of the nodes at these addresses and returns its port.
func newBalancer(t *testing.T, nodes ...string) int {
	t.Helper()
	b := &balancer{
		open:  make(map[string]map[net.Conn]struct{}),
		known: make(map[string][]string),
		dead:  make(map[string]bool),
	}
	for i, address := range nodes {
		target, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		b.nodes = append(b.nodes, &httputil.ReverseProxy{
			Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
			ModifyResponse: func(answer *http.Response) error { b.mark(answer.Header, i); return nil },
			// A client that went away, or a node that closed the session: the client sees the connection end.
			ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		})
	}
	web := httptest.NewUnstartedServer(b)
	web.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	web.Start()
	t.Cleanup(func() {
		b.mu.Lock()
		for tag := range b.open {
			b.cut(tag)
		}
		b.mu.Unlock()
		web.CloseClientConnections()
		web.Close()
	})
	return web.Listener.Addr().(*net.TCPAddr).Port
}

// mark sets the cookies of the node, as the balancer does with every answer.
func (b *balancer) mark(h http.Header, node int) {
	if len(b.nodes) < 2 {
		return
	}
	b.mu.Lock()
	b.turn++
	value := fmt.Sprintf("%d~%032x", node, b.turn)
	b.mu.Unlock()
	expires := time.Now().Add(7 * 24 * time.Hour).UTC().Format(http.TimeFormat)
	h.Add("Set-Cookie", fmt.Sprintf("AWSALB=%s; Expires=%s; Path=/", value, expires))
	h.Add("Set-Cookie", fmt.Sprintf("AWSALBCORS=%s; Expires=%s; Path=/; SameSite=None; Secure", value, expires))
}

// ServeHTTP implements http.Handler.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	tag, sid := query.Get("tag"), query.Get("sid")
	if r.URL.Path == "/cut" {
		b.mu.Lock()
		b.cut(tag)
		b.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
		return
	}
	conn, _ := r.Context().Value(connKey{}).(net.Conn)
	if !b.enter(tag, sid, conn) {
		panic(http.ErrAbortHandler) // closes the connection
	}
	defer b.leave(tag, conn)
	b.node(r).ServeHTTP(w, r)
}

// enter notes a request in flight. It reports false for one of a session that was cut.
func (b *balancer) enter(tag, sid string, conn net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead[sid] {
		return false
	}
	if tag == "" {
		return true
	}
	if sid != "" {
		b.known[tag] = append(b.known[tag], sid)
	}
	if b.open[tag] == nil {
		b.open[tag] = make(map[net.Conn]struct{})
	}
	b.open[tag][conn] = struct{}{}
	return true
}

func (b *balancer) leave(tag string, conn net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open[tag], conn)
}

// cut ends what came with tag. Needs mu.
func (b *balancer) cut(tag string) {
	for _, sid := range b.known[tag] {
		b.dead[sid] = true
	}
	for conn := range b.open[tag] {
		_ = conn.Close()
	}
}

// node returns the proxy of the node that the cookie names, or the next one.
func (b *balancer) node(r *http.Request) http.Handler {
	if cookie, err := r.Cookie("AWSALB"); err == nil {
		name, _, _ := strings.Cut(cookie.Value, "~")
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(b.nodes) {
			return b.nodes[i]
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn++
	return b.nodes[b.turn%len(b.nodes)]
}
