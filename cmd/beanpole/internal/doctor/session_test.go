package doctor

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// TestPingsAreAnswered: a ping that comes along with what is waited for must be answered, or the server ends the
// session while the doctor still looks at it.
func TestPingsAreAnswered(t *testing.T) {
	posted := make(chan string, 8)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			b, _ := io.ReadAll(r.Body)
			posted <- string(b)
			return
		}
		_, _ = io.WriteString(w, "44"+noNamespace+",{}\x1e2")
	}))
	defer front.Close()
	base, err := url.Parse(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	d := &doctor{Options: Options{Path: "/socket.io/", Timeout: 5 * time.Second}, base: base, http: front.Client()}
	if err := (&session{c: d.anybody(false), sid: "1"}).echo(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"40" + noNamespace + ",", "3"} {
		select {
		case got := <-posted:
			if got != want {
				t.Errorf("sent %q, want %q", got, want)
			}
		default:
			t.Errorf("did not send %q", want)
		}
	}
}
