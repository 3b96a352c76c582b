package transport

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// held returns how long a connection lasts on which request is sent, and nothing more: what comes is read if read
// says so.
func held(t *testing.T, dial func() *rawConn, request string, read bool) (lasted time.Duration, answer string) {
	t.Helper()
	c, start := dial(), time.Now()
	if _, err := io.WriteString(c.conn, request); err != nil {
		t.Fatal(err)
	}
	if !read {
		for {
			if _, err := io.WriteString(c.conn, request); err != nil { // the next is read when the one before is answered
				return time.Since(start), ""
			}
		}
	}
	b, _ := io.ReadAll(c.r) // however the end is told
	return time.Since(start), string(b)
}

// A body that never comes, and an answer that is never read, hold no request of any kind for long.
func TestNoRequestIsHeldForEver(t *testing.T) {
	const path, longest = "/?EIO=4&transport=polling", DefaultBodyTimeout + DefaultWriteTimeout + time.Second
	for name, line := range map[string]string{
		"handshake":         "GET " + path,
		"unknown session":   "POST " + path + "&sid=nobody",
		"forwarded":         "POST " + path + "&sid=elsewhere",
		"method":            "PUT " + path,
		"preflight":         "OPTIONS " + path,
		"protocol":          "GET /?EIO=9&transport=polling",
		"transport":         "GET /?EIO=4&transport=pigeon",
		"poll":              "GET " + path + "&sid=",
		"post":              "POST " + path + "&sid=",
		"method of session": "DELETE " + path + "&sid=",
	} {
		for kind, head := range map[string]string{
			"length":   "Content-Length: 9\r\n\r\n",
			"chunked":  "Transfer-Encoding: chunked\r\n\r\n",
			"not read": "\r\n",
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv, opened := serverOnly(t, Config{
						CORS: &CORS{},
						UnknownSession: func(w http.ResponseWriter, _ *http.Request, sid string) bool {
							if sid == "elsewhere" {
								_, _ = io.WriteString(w, "forwarded")
							}
							return sid == "elsewhere"
						},
					})
					dial := servePipes(t, srv)
					request := line
					if strings.HasSuffix(line, "sid=") {
						c := dial()
						c.get("")
						c.body()
						request += (<-opened).session.ID()
					}
					took, answer := held(t, dial, request+" HTTP/1.1\r\nHost: x\r\n"+head, kind != "not read")
					if took > longest {
						t.Errorf("held for %v: %q", took, answer)
					}
				})
			})
		}
	}
}

// A request that another server answers may wait for longer than an answer may take to be read.
func TestForwardedPollMayWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := serverOnly(t, Config{UnknownSession: func(w http.ResponseWriter, _ *http.Request, _ string) bool {
			time.Sleep(10 * DefaultWriteTimeout)
			_, _ = io.WriteString(w, "late")
			return true
		}})
		c := servePipes(t, srv)()
		c.get("elsewhere")
		want(t, "answer", c.body(), "late")
	})
}
