package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/zishang520/socket.io/v2/socket"
	"go.uber.org/goleak"

	"github.com/beanpole/beanpole/server"
)

// zishang's library and its parser leave goroutines of their own.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is a load that takes a second.
func small(url string) Options {
	return Options{URL: url, Sessions: 4, Arrival: 1000, Duration: time.Second, Patience: 5 * time.Second,
		Event: "echo", Rate: 100, Args: `["{id}"]`, RoomEvent: "broadcast", RoomRate: 20, RoomArgs: `["{id}"]`, JoinEvent: "join", Size: 64, StormShare: 0.5}
}

func run1(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	t.Log(b.String())
	return r
}

func TestWhatABrokenServerDoesIsSeen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server *broken
		events Messages // what is counted, of four sessions; one that is 0 is to be 0
		casts  Messages
		faults string
	}{
		"nothing":           {&broken{}, Messages{}, Messages{}, ""},
		"answers lost":      {&broken{echo: third()}, Messages{Lost: 4}, Messages{}, "4 acknowledgements are missing"},
		"answers doubled":   {&broken{echo: twice}, Messages{Doubled: 4}, Messages{}, "4 acknowledgements came again"},
		"answers swapped":   {&broken{echo: swapped}, Messages{Reordered: 4}, Messages{}, "4 acknowledgements came after later ones"},
		"answers of others": {&broken{echo: another}, Messages{Wrong: 4}, Messages{}, "4 acknowledgements are of another message"},
		// One of the four is the sender, which need not hear itself.
		"casts lost":      {&broken{cast: third()}, Messages{}, Messages{Lost: 3}, "3 deliveries are missing"},
		"casts doubled":   {&broken{cast: twice}, Messages{}, Messages{Doubled: 4}, "4 deliveries came again"},
		"casts swapped":   {&broken{cast: swapped}, Messages{}, Messages{Reordered: 4}, "4 deliveries came after later ones"},
		"casts of others": {&broken{cast: another}, Messages{}, Messages{Wrong: 4, Lost: 3}, "4 deliveries are of another message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := small(serve(t, c.server))
			r := run1(t, o)
			for _, k := range []struct {
				what      string
				got, want Messages
			}{{"events", *r.Events, c.events}, {"broadcasts", *r.Broadcasts, c.casts}} {
				got := k.got
				if k.got.Sent < 20 || k.got.Arrived < 76 {
					t.Errorf("%s: %d sent, %d arrived", k.what, k.got.Sent, k.got.Arrived)
				}
				got.Sent, got.Arrived, got.Latency = 0, 0, Latency{}
				if got != k.want {
					t.Errorf("%s: %+v, want %+v", k.what, got, k.want)
				}
			}
			if got := strings.Join(r.Faults, "\n"); !strings.Contains(got, c.faults) || (c.faults == "") != (got == "") {
				t.Errorf("the faults are %q, want %q among them", got, c.faults)
			}
		})
	}
}

// A server that answers when it has the answer breaks nothing.
func TestAcknowledgementsInAnyOrderAreAskedFor(t *testing.T) {
	t.Parallel()
	o := small(serve(t, &broken{echo: swapped}))
	o.Unordered = true
	if r := run1(t, o); len(r.Faults) > 0 {
		t.Errorf("faults are %q", r.Faults)
	}
}

func TestEndsOfConnectionsAreTold(t *testing.T) {
	t.Parallel()
	o := small(serve(t, &broken{echo: third("hangup")}))
	o.RoomEvent = ""
	r := run1(t, o)
	ends := uint64(0)
	for _, n := range r.Sessions.Lost {
		ends += n
	}
	if r.Events.Cut < 4 || r.Events.Lost > 0 || ends < 4 {
		t.Errorf("%d answers were cut off, %d lost; connections lost are %v", r.Events.Cut, r.Events.Lost, r.Sessions.Lost)
	}
	if r.Sessions.Reconnect.Count+int64(4-r.Sessions.Connected) < 4 {
		t.Errorf("%d reconnections", r.Sessions.Reconnect.Count)
	}
	o = small(serve(t, &broken{refuse: true}))
	o.RoomEvent = ""
	if r := run1(t, o); r.Sessions.Connected != 2 || len(r.Sessions.Refused) != 1 || r.Events.Arrived == 0 {
		t.Errorf("%d of 4 sessions, refused are %v", r.Sessions.Connected, r.Sessions.Refused)
	}
}

// A wrong name of an event, and a server that is none, are said at once.
func TestATrialComesFirst(t *testing.T) {
	t.Parallel()
	never := func(int, string) []string { return nil }
	for name, c := range map[string]struct {
		server http.Handler
		change func(*Options)
		want   string
	}{
		"event":      {&broken{echo: never}, func(*Options) {}, `does not acknowledge "echo"`},
		"room event": {&broken{cast: never}, func(*Options) {}, `does not pass "broadcast"`},
		"join": {&broken{}, func(o *Options) { o.Rooms, o.RoomArgs, o.JoinEvent = 2, `["{room}","{id}"]`, "enter" },
			`does not acknowledge "enter"`},
		"no server": {http.NotFoundHandler(), func(*Options) {}, "nobody is let in: client: status 404: 404 page not found"},
		"nobody":    {http.NotFoundHandler(), func(o *Options) { o.URL = "http://127.0.0.1:1" }, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := small(serve(t, c.server))
			o.Patience = 2 * time.Second
			c.change(&o)
			if r := run1(t, o); len(r.Faults) != 1 || !strings.Contains(r.Faults[0], c.want) || r.Seconds > 0 {
				t.Errorf("faults are %q, want %q", r.Faults, c.want)
			}
		})
	}
}

// What a server that stands still would have answered meanwhile is late, each by its own time.
func TestLatenciesCountFromWhenMessagesAreDue(t *testing.T) {
	t.Parallel()
	const pause = 500 * time.Millisecond
	stand := func(n int, right string) []string {
		if n == 20 {
			time.Sleep(pause) // the fault that is shown
		}
		return []string{right}
	}
	o := small(serve(t, &broken{echo: stand}))
	o.Sessions, o.RoomEvent = 1, ""
	l := run1(t, o).Events.Latency
	// 50 of 100 fall into the pause, half of them for longer than half of it. One at a time would have seen it once.
	if l.Max < 500 || l.P90 < 250 {
		t.Errorf("the server stood still for %v of a second; p90 is %v ms, the longest %v ms", pause, l.P90, l.Max)
	}
}

func TestTooMuchThatIsNotAnsweredIsNotSent(t *testing.T) {
	t.Parallel()
	o := small(serve(t, &broken{echo: func(n int, right string) []string {
		if n > 1 {
			return nil
		}
		return []string{right}
	}}))
	o.Sessions, o.RoomEvent, o.Rate = 1, "", 3000
	m := run1(t, o).Events
	if m.Sent != maxWaiting+1 || m.Lost != maxWaiting || m.Unsent == 0 {
		t.Errorf("%d were sent, %d are lost, %d were not sent", m.Sent, m.Lost, m.Unsent)
	}
}

// What a server does not read is not piled up here.
func TestAServerThatDoesNotRead(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	b := &broken{echo: func(n int, right string) []string {
		if n > 1 {
			<-stop
		}
		return []string{right}
	}}
	o := small(serve(t, b))
	defer close(stop)
	o.Sessions, o.RoomEvent, o.Rate, o.Size, o.Patience = 1, "", 500, 100_000, 2*time.Second
	m := run1(t, o).Events
	if kept := 2*maxBuffer/o.Size + 200; m.Sent > uint64(kept) || m.Sent+m.Unsent != 500 {
		t.Errorf("%d messages of %d bytes were sent, and %d not", m.Sent, o.Size, m.Unsent)
	}
}

func beanpole(t *testing.T) string {
	t.Helper()
	io, err := server.New(server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := io.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	io.OnConnection(func(s *server.Socket) {
		s.On("echo", func(text string) (string, error) { return text, s.Broadcast().Emit("echoed", text) }) // which is not counted
		s.On("join", func(room string) bool { s.Join(room); return true })
		s.On("broadcast", func(text string) error { return io.Emit("msg", text) })
		s.On("room", func(room, text string) error { return s.To(room).Emit("said", map[string]string{"text": text}) })
	})
	return serve(t, io)
}

func zishang(t *testing.T) string {
	t.Helper()
	io := socket.NewServer(nil, nil)
	t.Cleanup(func() { io.Close(nil) })
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	must(io.On("connection", func(clients ...any) {
		s := clients[0].(*socket.Socket)
		ack := func(args []any, v any) { args[len(args)-1].(func([]any, error))([]any{v}, nil) }
		must(s.On("echo", func(args ...any) { ack(args, args[0]) }))
		must(s.On("join", func(args ...any) { s.Join(socket.Room(args[0].(string))); ack(args, true) }))
		must(s.On("room", func(args ...any) { must(s.To(socket.Room(args[0].(string))).Emit("said", args[1])) }))
	}))
	return serve(t, io.ServeHandler(nil))
}

// ways has a load go over each transport to ten sessions in two rooms.
func ways(t *testing.T, start func(*testing.T) string, judge func(*testing.T, *Report)) {
	for _, way := range []string{"websocket", "polling", "upgrade"} {
		t.Run(way, func(t *testing.T) {
			o := small(start(t))
			o.Sessions, o.Rooms, o.RoomEvent, o.RoomArgs, o.Patience = 10, 2, "room", `["{room}","{id}"]`, 5*time.Second
			o.Upgrade = way == "upgrade"
			if way == "polling" {
				o.Polling = 0.5
			}
			judge(t, run1(t, o))
		})
	}
}

func TestAServerThatIsWell(t *testing.T) {
	t.Parallel()
	ways(t, beanpole, func(t *testing.T, r *Report) {
		if e, b := r.Events, r.Broadcasts; len(r.Faults) > 0 || e.Sent != 100 || e.Arrived != 100 || b.Sent != 20 || b.Arrived != 80 {
			t.Errorf("faults are %q; %d of %d acknowledgements, %d deliveries of %d broadcasts to 4", r.Faults, e.Arrived, e.Sent, b.Arrived, b.Sent)
		}
	})
}

// zishang's library loses events now and then, a join among them, and answers in another order: what is told adds up.
func TestZishang(t *testing.T) {
	t.Parallel()
	ways(t, zishang, func(t *testing.T, r *Report) {
		if r.Events == nil {
			t.Skip("it has lost a message of the trial: ", r.Faults)
		}
		if e, b := r.Events, r.Broadcasts; e.Sent != 100 || e.Arrived+e.Lost+e.Cut != 100 || b.Sent != 20 || r.Sessions.Connected == 10 && b.Arrived+b.Lost != 80 ||
			b.Arrived < 20 || e.Wrong+e.Doubled+b.Wrong+b.Doubled > 0 {
			t.Errorf("events are %+v, broadcasts %+v", e, b)
		}
	})
}

// Who is away misses broadcasts, which is told and is no fault.
func TestStormsAndChurn(t *testing.T) {
	t.Parallel()
	o := small(beanpole(t))
	o.Sessions, o.Duration, o.Storm, o.StormShare, o.Churn, o.Patience = 12, 3*time.Second, time.Second, 0.5, 2, 10*time.Second
	r := run1(t, o)
	if s := r.Sessions; s.Cut < 5 || s.Reconnect.Count == 0 || s.Replaced < 5 || s.Connected != 12 {
		t.Errorf("%d cut, %d reconnected, %d replaced, %d at the end", s.Cut, s.Reconnect.Count, s.Replaced, s.Connected)
	}
	if e := r.Events; e.Arrived+e.Cut != e.Sent {
		t.Errorf("of %d events %d were answered and %d cut off", e.Sent, e.Arrived, e.Cut)
	}
	if len(r.Faults) > 0 || r.Broadcasts.Cut == 0 {
		t.Errorf("faults are %q; who was away has missed %d", r.Faults, r.Broadcasts.Cut)
	}
}

func TestInterruptedLoadTellsWhatWas(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	o := small(beanpole(t))
	o.Duration = time.Hour
	o.Live = func(string) { stop() }
	r, err := Run(ctx, o)
	if err != nil || !r.Interrupted || len(r.Faults) > 0 || r.Events.Arrived == 0 {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){
		"scheme":    func(o *Options) { o.URL = "ftp://127.0.0.1" },
		"sessions":  func(o *Options) { o.Sessions = MaxSessions + 1 },
		"none":      func(o *Options) { o.Sessions = 0 },
		"rate":      func(o *Options) { o.Rate = MaxRate + 1 },
		"arrival":   func(o *Options) { o.Arrival = 0 },
		"duration":  func(o *Options) { o.Duration = MaxDuration + 1 },
		"size":      func(o *Options) { o.Size = wordLen - 1 },
		"reaching":  func(o *Options) { o.Sessions, o.RoomRate = 10_000, 1000 },
		"alone":     func(o *Options) { o.Sessions, o.Rooms = 3, 2 },
		"no id":     func(o *Options) { o.Args = `["x"]` },
		"no room":   func(o *Options) { o.Rooms = 1 },
		"no list":   func(o *Options) { o.Args = `"{id}"` },
		"auth":      func(o *Options) { o.Auth = `[]` },
		"storm":     func(o *Options) { o.Storm = time.Millisecond },
		"not a sum": func(o *Options) { o.Polling = 1.5 },
	} {
		o := small("http://127.0.0.1:1")
		change(&o)
		if r, err := Run(t.Context(), o); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	o := small("http://192.0.2.1")
	if _, err := Run(t.Context(), o); !errors.Is(err, ErrFar) {
		t.Errorf("a host elsewhere: %v", err)
	}
}

// Nothing goes where nobody has said that it may.
func TestConnectionsGoNowhereElse(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	away := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer away.Close()
	o := small(away.URL)
	o.Upgrade, o.Patience = true, 100*time.Millisecond
	if r := run1(t, o); len(r.Faults) != 1 || !strings.Contains(r.Faults[0], "which was not asked for") {
		t.Errorf("faults are %q", r.Faults)
	}
}

func TestFormsOfAReport(t *testing.T) {
	t.Parallel()
	x := &Report{URL: "http://127.0.0.1/<b>", Faults: []string{"1 <i>thing</i>"}, Events: &Messages{}, Broadcasts: &Messages{Sent: 3, Arrived: 4},
		Points: []Point{{At: 1, Events: Moment{Rate: 2, P50: 1}}, {At: 2}, {At: 3, Events: Moment{Rate: 2, P50: 1}}}}
	var b bytes.Buffer
	if err := x.HTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if strings.Contains(page, "<b>") || strings.Contains(page, "<i>") || strings.Count(page, "<svg") != 5 || strings.Contains(page, "NaN") {
		t.Errorf("the page is %s", page)
	}
	for _, outside := range []string{"<script", "<link", "src=", "url(", "@import"} {
		if strings.Contains(page, outside) {
			t.Errorf("the page has %s", outside)
		}
	}
	raw, err := json.Marshal(x)
	var again Report
	if err != nil || json.Unmarshal(raw, &again) != nil || again.Broadcasts.Arrived != 4 {
		t.Errorf("%v: %s", err, raw)
	}
}
