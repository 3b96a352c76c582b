package doctor

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beanpole/beanpole/server/host"
)

// TestWhoHasGoneIsTold: an instance is called gone when plain requests come to another, and its cookies are spoken of when it
// has some.
func TestWhoHasGoneIsTold(t *testing.T) {
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(host.InstanceHeader, "b v1") }))
	defer front.Close()
	base, err := url.Parse(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	d := &doctor{Options: Options{Path: "/socket.io/", Timeout: 5 * time.Second}, base: base, http: front.Client()}
	jar, _ := cookiejar.New(nil) // never fails
	for _, test := range []struct {
		c    *client
		says string
		also string
	}{
		{&client{doctor: d, name: "a", label: "a", jar: jar, stays: true}, "the cookies of a lead to b now", "was taken out"},
		{&client{doctor: d, name: "a", label: "a"}, "a has answered, and b does now", "or few requests come to it"},
	} {
		_, err := test.c.ask(t.Context())
		if !errors.As(err, new(errMoved)) || err.Error() != test.says {
			t.Errorf("says %v, want %q", err, test.says)
		} else if means := explain(err).means; !strings.Contains(means, test.also) {
			t.Errorf("%v means %q, want %q", err, means, test.also)
		}
	}
}

// turns is a balancer that takes turns between a and b, with requests that all take the same time.
type turns struct{ n atomic.Int64 }

// RoundTrip answers as whose turn it is.
func (l *turns) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(500 * time.Microsecond)
	name := string(rune('a' + l.n.Add(1)%2))
	time.Sleep(500 * time.Microsecond)
	return &http.Response{StatusCode: http.StatusBadRequest, Request: r, Body: http.NoBody, Header: http.Header{host.InstanceHeader: {name + " v1"}}}, nil
}

// TestTwoInStepFindTheirInstances: checks of two instances that ask at the same pace are not kept from them for ever by
// whose turn it is.
func TestTwoInStepFindTheirInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &url.URL{Scheme: "http", Host: "balancer"}
		d := &doctor{Options: Options{Path: "/socket.io/", Timeout: 5 * time.Second}, base: base, http: &http.Client{Transport: &turns{}}, found: make([]Instance, 2)}
		var wg sync.WaitGroup
		for _, name := range []string{"a", "b"} { // the first turn is b's
			wg.Go(func() {
				if r, err := (&client{doctor: d, name: name, label: name}).ask(t.Context()); err != nil || r.name() != name {
					t.Errorf("%s is not found: %v", name, err)
				}
			})
			time.Sleep(100 * time.Microsecond)
		}
		wg.Wait()
	})
}

// TestWhatIsNoHTTPIsSaid: an answer that has no end before its body, or is none, has been refused by nobody.
func TestWhatIsNoHTTPIsSaid(t *testing.T) {
	for name, answer := range map[string]struct{ first, again string }{
		"headers without end":           {"HTTP/1.1 200 OK\r\n", "X-Flood: " + strings.Repeat("x", 1000) + "\r\n"},
		"one line without end":          {"HTTP/1.1 200 OK\r\nX-Flood: ", strings.Repeat("x", 1000)},
		"early hints without end":       {"", "HTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("x", 1000) + "\r\n\r\n"},
		"another protocol":              {"SSH-2.0-OpenSSH_9.6\r\n", ""},
		"a header that is none":         {"HTTP/1.1 200 OK\r\nfor nobody\r\n\r\n", ""},
		"a length that is no number":    {"HTTP/1.1 200 OK\r\nContent-Length: much\r\n\r\n", ""},
		"an encoding that nobody knows": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: much\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, err = io.WriteString(c, answer.first)
				for err == nil && answer.again != "" {
					_, err = io.WriteString(c, answer.again)
				}
			}()
			d, err := newDoctor(Options{URL: "http://" + l.Addr().String()})
			if err != nil {
				t.Fatal(err)
			}
			defer d.http.CloseIdleConnections()
			_, err = d.anybody(false).ask(t.Context())
			if got := explain(err); !strings.Contains(got.means, "no HTTP that a client can read") {
				t.Errorf("%v means %q", err, got.means)
			}
			<-done
		})
	}
}
