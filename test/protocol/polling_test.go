package protocol

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// client is the HTTP client of all tests: plain connections, nothing decoded on the way.
var client = &http.Client{
	Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
	Timeout:   patience,
}

// answer is a whole HTTP response.
type answer struct {
	status int
	header http.Header
	body   string
}

// request sends one request to the target. head is a list of header names and values.
func request(t testing.TB, method, uri, body string, head ...string) answer {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target+uri, r)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(head); i += 2 {
		req.Header.Add(head[i], head[i+1])
	}
	return do(t, req)
}

func do(t testing.TB, req *http.Request) answer {
	t.Helper()
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	opened(t, req.URL.RequestURI(), res, string(b))
	return answer{res.StatusCode, res.Header, string(b)}
}

// sessions are what tests have opened: how each ends.
var sessions struct {
	sync.Mutex
	ends map[testing.TB][]func()
}

// endsWith has a session end with its test at the latest. One that nobody polls lives until its heartbeat is due.
func endsWith(t testing.TB, end func()) {
	sessions.Lock()
	defer sessions.Unlock()
	if sessions.ends == nil {
		sessions.ends = map[testing.TB][]func(){}
	}
	if sessions.ends[t] == nil {
		t.Cleanup(func() { endSessions(t) })
	}
	sessions.ends[t] = append(sessions.ends[t], end)
}

// endSessions ends what a test has opened, if it has not ended.
func endSessions(t testing.TB) {
	sessions.Lock()
	list := sessions.ends[t]
	delete(sessions.ends, t)
	sessions.Unlock()
	for _, end := range list {
		end()
	}
}

var openedSID = regexp.MustCompile(`"sid\\?":\\?"([^"\\]+)`)

// opened looks whether an answer to uri is that to a handshake over polling, whose session then ends with its test.
func opened(t testing.TB, uri string, res *http.Response, body string) {
	m := openedSID.FindStringSubmatch(body)
	if res.StatusCode != 200 || m == nil || strings.Contains(uri, "sid=") {
		return
	}
	endsWith(t, func() {
		body, form := "1", "text/plain"
		if !strings.Contains(uri, "EIO=4") {
			body = joinText3("1")
		}
		if strings.Contains(uri, "&j=") {
			body, form = "d="+body, "application/x-www-form-urlencoded"
		}
		if res, err := client.Post(target+uri+"&sid="+url.QueryEscape(m[1]), form, strings.NewReader(body)); err == nil {
			_ = res.Body.Close()
		}
	})
}

// hello is the OPEN packet's payload.
type hello struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int64    `json:"pingInterval"`
	PingTimeout  int64    `json:"pingTimeout"`
	MaxPayload   int64    `json:"maxPayload"`
}

func parseHello(t testing.TB, packet string) hello {
	t.Helper()
	var h hello
	if !strings.HasPrefix(packet, "0") || json.Unmarshal([]byte(packet[1:]), &h) != nil || h.SID == "" {
		t.Fatalf("%.300q is no OPEN packet", packet)
	}
	return h
}

// poller is a session over HTTP long-polling.
type poller struct {
	t     testing.TB
	uri   string // path and query with the sid
	eio3  bool
	hello hello
	queue []string // packets of a body that next has not returned yet
}

// openPolling opens a session of Engine.IO 4. extra is appended to the query.
func openPolling(t testing.TB, extra ...string) *poller {
	t.Helper()
	return open(t, "4", strings.Join(extra, ""))
}

// openPolling3 opens a session of Engine.IO 3.
func openPolling3(t testing.TB, extra ...string) *poller {
	t.Helper()
	return open(t, "3", strings.Join(extra, ""))
}

func open(t testing.TB, eio, extra string) *poller {
	t.Helper()
	return openAt(t, path+"?EIO="+eio+"&transport=polling"+extra, eio == "3")
}

// openAt opens a session by a handshake at uri.
func openAt(t testing.TB, uri string, eio3 bool) *poller {
	t.Helper()
	a := request(t, "GET", uri, "")
	if a.status != 200 {
		t.Fatalf("handshake: %d %s", a.status, a.body)
	}
	p := &poller{t: t, eio3: eio3}
	p.queue = p.split(a.body)
	p.hello = parseHello(t, p.queue[0])
	p.queue = p.queue[1:]
	p.uri = uri + "&sid=" + p.hello.SID
	return p
}

// split takes a body apart into packets.
func (p *poller) split(body string) []string {
	p.t.Helper()
	if !p.eio3 {
		return strings.Split(body, "\x1e")
	}
	return splitText3(p.t, body)
}

func (p *poller) poll() answer { p.t.Helper(); return request(p.t, "GET", p.uri, "") }

func (p *poller) post(body string, head ...string) answer {
	p.t.Helper()
	if len(head) == 0 {
		head = []string{"Content-Type", "text/plain;charset=UTF-8"}
	}
	return request(p.t, "POST", p.uri, body, head...)
}

// send posts packets, which must succeed.
func (p *poller) send(packets ...string) {
	p.t.Helper()
	body := strings.Join(packets, "\x1e")
	if p.eio3 {
		body = joinText3(packets...)
	}
	if a := p.post(body); a.status != 200 || a.body != "ok" {
		p.t.Fatalf("POST: %d %q", a.status, a.body)
	}
}

// next returns the next packet that is no ping, answering those.
func (p *poller) next() string {
	p.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if len(p.queue) == 0 {
			a := p.poll()
			if a.status != 200 {
				p.t.Fatalf("poll: %d %s", a.status, a.body)
			}
			p.queue = p.split(a.body)
			continue
		}
		packet := p.queue[0]
		p.queue = p.queue[1:]
		if packet == "2" && !p.eio3 {
			p.send("3")
			continue
		}
		return packet
	}
	p.t.Fatal("no packet")
	return ""
}

func (p *poller) expect(want ...string) {
	p.t.Helper()
	for _, w := range want {
		if got := p.next(); got != w {
			p.t.Fatalf("got %.300q, want %.300q", got, w)
		}
	}
}

// join connects to the main namespace and takes what the application greets with.
func (p *poller) join() {
	p.t.Helper()
	p.send("40")
	if got := p.next(); !strings.HasPrefix(got, `40{"sid":"`) {
		p.t.Fatalf("got %q, want CONNECT", got)
	}
	p.expect(`42["auth",{}]`)
}

// echo proves that the session works.
func (p *poller) echo() {
	p.t.Helper()
	p.send(`42["message","echo"]`)
	p.expect(`42["message-back","echo"]`)
}

// gone waits until the server does not know the session any more.
func (p *poller) gone() {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		a := p.poll()
		if a.status == 400 {
			if want := `{"code":1,"message":"Session ID unknown"}`; a.body != want {
				p.t.Fatalf("poll of a closed session: %q, want %q", a.body, want)
			}
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the session lives: %d %.100q", a.status, a.body)
		}
	}
}

// later polls in another goroutine; the function returned waits for the answer. parked says that the
// caller needs the poll to be at the server first.
func (p *poller) later(parked bool) func() answer {
	p.t.Helper()
	done := make(chan answer, 1)
	written := make(chan struct{})
	once := sync.OnceFunc(func() { close(written) })
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { once() }}
	go func() {
		req, err := http.NewRequestWithContext(httptrace.WithClientTrace(p.t.Context(), trace), "GET", target+p.uri, nil)
		if err != nil {
			done <- answer{body: err.Error()}
			return
		}
		res, err := client.Do(req)
		if err != nil {
			done <- answer{body: err.Error()}
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		done <- answer{res.StatusCode, res.Header, string(b)}
	}()
	if parked {
		select {
		case <-written:
		case <-time.After(patience):
			p.t.Fatal("a poll cannot be sent")
		}
		// Nothing tells from outside that a request has been taken up.
		time.Sleep(50 * time.Millisecond)
	}
	return func() answer { return <-done }
}
