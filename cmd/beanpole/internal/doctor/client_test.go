package doctor

import (
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
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
