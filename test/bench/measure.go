package main

import (
	"fmt"
	"maps"
	"time"

	"github.com/beanpole/beanpole/test/bench/load"
)

// run is one server process under one scenario.
type run struct {
	server  string
	n       int      // of the variant
	bin     string   // the Go servers
	args    []string // of the process
	quick   bool
	process *process
	profile string // folder for profiles, or ""
	values  values
	faults  map[string]int
}

// pick returns full, or quick in a quick run.
func pick[T any](r *run, full, quick T) T {
	if r.quick {
		return quick
	}
	return full
}

// note keeps what went wrong in a part of the run.
func (r *run) note(res *load.Result) {
	if res.Faults != nil && r.faults == nil {
		r.faults = make(map[string]int)
	}
	maps.Copy(r.faults, res.Faults)
}

// measured runs fn, and returns its result and the server's processor time per message.
func (r *run) measured(fn func() (load.Result, error)) (load.Result, time.Duration, error) {
	before := r.process.cpu()
	res, err := fn()
	if err != nil {
		return res, 0, err
	}
	r.note(&res)
	if res.Count == 0 {
		return res, 0, fmt.Errorf("nothing came back: %v", res.Faults)
	}
	return res, (r.process.cpu() - before) / time.Duration(res.Count), nil
}

// profiled is measured with a CPU profile if one is wanted.
func (r *run) profiled(name string, fn func() (load.Result, error)) (load.Result, time.Duration, error) {
	if r.profile == "" || isPeer(r.server) {
		return r.measured(fn)
	}
	file := fmt.Sprintf("%s/%s.%s", r.profile, r.server, name)
	if _, err := r.process.order("cpu %s.cpu", file); err != nil {
		return load.Result{}, 0, err
	}
	res, cpu, err := r.measured(fn)
	_, _ = r.process.order("cpu")
	_, _ = r.process.order("allocs %s.allocs", file)
	return res, cpu, err
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// swarm returns a swarm of n clients of the server.
func (r *run) swarm(n int, o load.Options) (*load.Swarm, error) {
	o.Addr = r.process.addr
	s, err := load.New(o)
	if err != nil {
		return nil, err
	}
	res, err := s.Connect(n, 64)
	if err != nil {
		s.Close()
		return nil, err
	}
	r.note(&res)
	return s, nil
}

const warmUp = 300 * time.Millisecond

// idle connects n clients and measures what that takes, and what they hold when they do nothing.
func (r *run) idle(n int, o load.Options) (*load.Swarm, error) {
	s, err := r.swarm(200, o) // what is made once is not of a session
	if err != nil {
		return nil, err
	}
	if _, err := r.process.gc(); err != nil {
		s.Close()
		return nil, err
	}
	rss := r.process.rss()
	res, cpu, err := r.profiled("connect", func() (load.Result, error) { return s.Connect(n, 128) })
	if err != nil {
		s.Close()
		return nil, err
	}
	r.values["connect/s"] = res.PerSecond()
	r.values["connect us"] = micros(cpu)
	r.values["connect busy"] = res.Busy
	if err := s.Hold(time.Second); err != nil {
		s.Close()
		return nil, err
	}
	r.values["bytes"] = float64(r.process.rss()-rss) / float64(n)
	stats, err := r.process.gc()
	if err != nil {
		s.Close()
		return nil, err
	}
	r.values["bytes after gc"] = float64(r.process.rss()-rss) / float64(n)
	r.values["goroutines"] = float64(stats.Goroutines) / float64(n+200)
	if r.profile != "" && !isPeer(r.server) {
		_, _ = r.process.order("heap %s/%s.idle.heap", r.profile, r.server)
	}
	return s, nil
}

// webSockets is the scenario of many WebSocket sessions: to connect, to be idle, to get broadcasts.
func webSockets(r *run) error {
	n := pick(r, 10000, 10000)
	s, err := r.idle(n-200, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := r.broadcast(s, "all", load.BroadcastOptions{Size: 128, Duration: pick(r, 2*time.Second, time.Second)}); err != nil {
		return err
	}
	if err := s.Join(100); err != nil {
		return err
	}
	return r.broadcast(s, "room", load.BroadcastOptions{
		Size: 128, Rooms: 100, AtOnce: 8, Duration: pick(r, 2*time.Second, time.Second),
	})
}

// broadcast measures broadcasts; the metrics' names begin with name.
func (r *run) broadcast(s *load.Swarm, name string, o load.BroadcastOptions) error {
	if _, err := s.Broadcast(load.BroadcastOptions{Size: o.Size, Rooms: o.Rooms, AtOnce: o.AtOnce, Count: 2}); err != nil {
		return err
	}
	res, cpu, err := r.profiled("broadcast-"+name, func() (load.Result, error) { return s.Broadcast(o) })
	if err != nil {
		return err
	}
	r.values[name+"/s"] = res.PerSecond()
	r.values[name+" us"] = micros(cpu)
	r.values[name+" last ms"] = micros(res.Last.Quantile(0.5)) / 1000
	r.values[name+" busy"] = res.Busy
	return nil
}

// broadcast1000 is a broadcast to 1,000 WebSocket sessions.
func broadcast1000(r *run) error {
	s, err := r.swarm(1000, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	o := load.BroadcastOptions{Size: 128, Duration: pick(r, 2*time.Second, 1500*time.Millisecond)}
	if err := r.broadcast(s, "all", o); err != nil {
		return err
	}
	for _, n := range []int{8, 32} {
		o.InFlight = n
		if err := r.broadcast(s, fmt.Sprint("all", n), o); err != nil {
			return err
		}
	}
	return nil
}

// echo measures one form of echo; the metrics' names begin with name.
func (r *run) echo(s *load.Swarm, name string, o load.EchoOptions) error {
	warm := o
	warm.Duration = warmUp
	if _, err := s.Echo(warm); err != nil {
		return err
	}
	res, cpu, err := r.profiled("echo-"+name, func() (load.Result, error) { return s.Echo(o) })
	if err != nil {
		return err
	}
	r.values[name+"/s"] = res.PerSecond()
	r.values[name+" us"] = micros(cpu)
	r.values[name+" p50"] = micros(res.Latency.Quantile(0.5))
	r.values[name+" p99"] = micros(res.Latency.Quantile(0.99))
	r.values[name+" p99.9"] = micros(res.Latency.Quantile(0.999))
	r.values[name+" busy"] = res.Busy
	return nil
}

// uploads is large events that are acknowledged with their size, one at a time from each of 20 sessions.
func uploads(r *run) error {
	s, err := r.swarm(20, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	for _, kib := range []int{8, 64, 512} {
		o := load.EchoOptions{Size: kib << 10, Upload: true, Duration: pick(r, 2*time.Second, time.Second)}
		if err := r.echo(s, fmt.Sprint("up", kib), o); err != nil {
			return err
		}
	}
	return nil
}

// echoes is events and acknowledgements over 100 WebSocket sessions.
func echoes(r *run) error {
	s, err := r.swarm(100, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	return r.echoes(s, len(echoForms))
}

// hosts is what a host can make dearer: handshakes, and small echoes over 100 WebSocket sessions.
func hosts(r *run) error {
	s, err := r.swarm(100, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := r.echoes(s, 2); err != nil {
		return err
	}
	n := pick(r, 4000, 2000)
	res, cpu, err := r.profiled("connect", func() (load.Result, error) { return s.Connect(n, 64) })
	if err != nil {
		return err
	}
	r.values["connect/s"], r.values["connect us"] = res.PerSecond(), micros(cpu)
	return nil
}

// echoes measures the first n of echoForms.
func (r *run) echoes(s *load.Swarm, n int) error {
	d := pick(r, 1500*time.Millisecond, time.Second)
	for _, e := range []struct {
		name string
		o    load.EchoOptions
	}{
		{"w1", load.EchoOptions{Window: 1, Size: 32}},
		{"w16", load.EchoOptions{Window: 16, Size: 32}},
		{"w64", load.EchoOptions{Window: 64, Size: 32}},
		{"1k", load.EchoOptions{Window: 1, Size: 1024}},
		{"1kw16", load.EchoOptions{Window: 16, Size: 1024}},
		{"bin", load.EchoOptions{Window: 1, Size: 1024, Binary: true}},
	}[:n] {
		e.o.Duration = d
		if err := r.echo(s, e.name, e.o); err != nil {
			return err
		}
	}
	return nil
}

// polls is many polling sessions that wait.
func polls(r *run) error {
	s, err := r.idle(pick(r, 8000, 4000), load.Options{Polling: true})
	if err != nil {
		return err
	}
	s.Close()
	return nil
}

// pollEchoes is echo over 100 polling sessions, and broadcasts to 1,000.
func pollEchoes(r *run) error {
	s, err := r.swarm(1000, load.Options{Polling: true})
	if err != nil {
		return err
	}
	defer s.Close()
	d := pick(r, 2*time.Second, 1500*time.Millisecond)
	if err := r.echo(s, "poll", load.EchoOptions{Clients: 100, Size: 32, Duration: d}); err != nil {
		return err
	}
	return r.broadcast(s, "all", load.BroadcastOptions{Size: 128, Duration: d})
}

// paced is echo at a fixed rate over 1,000 sessions: half of what Node can do with one event
// outstanding on the machine this was written on.
func paced(r *run) error {
	s, err := r.swarm(1000, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	return r.echo(s, "paced", load.EchoOptions{Size: 32, Rate: pacedRate, Duration: pick(r, 4*time.Second, 3*time.Second)})
}

const pacedRate = 12000

// cycles connects, echoes and disconnects.
func cycles(r *run) error {
	n := pick(r, 100000, 5000)
	if r.server == "limit" || r.server == "zishang" {
		n = min(n, 20000) // it is ours and Node's that are asked whether they grow
	}
	s, err := load.New(load.Options{Addr: r.process.addr})
	if err != nil {
		return err
	}
	defer s.Close()
	warm := n / 20
	if res, err := s.Cycles(warm, 100); err != nil {
		return err
	} else {
		r.note(&res)
	}
	before, err := r.process.gc()
	if err != nil {
		return err
	}
	rss := r.process.rss()
	res, cpu, err := r.profiled("cycles", func() (load.Result, error) { return s.Cycles(n-warm, 100) })
	if err != nil {
		return err
	}
	if err := s.Hold(500 * time.Millisecond); err != nil {
		return err
	}
	after, err := r.process.gc()
	if err != nil {
		return err
	}
	r.values["cycles/s"] = res.PerSecond()
	r.values["cycle us"] = micros(cpu)
	r.values["cycle busy"] = res.Busy
	r.values["rss before MB"] = float64(rss) / 1e6
	r.values["rss after MB"] = float64(r.process.rss()) / 1e6
	r.values["heap bytes"] = float64(int64(after.Heap)-int64(before.Heap)) / float64(n-warm)
	r.values["left"] = float64(after.Sessions)
	return nil
}
