package main

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"time"

	"github.com/beanpole/beanpole/test/bench/load"
)

// oneSlow is one client that stops reading while ten others get large broadcasts.
func oneSlow(r *run) error {
	s, err := r.swarm(11, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	rss := r.process.rss()
	s.Stall(1)
	res, err := s.Broadcast(load.BroadcastOptions{Size: 64 << 10, Count: 1000})
	if err != nil {
		return err
	}
	r.note(&res)
	r.values["seconds"] = res.Elapsed.Seconds()
	r.values["growth MB"] = float64(r.process.peak()-rss) / 1e6
	return nil
}

// manySlow is 200 of 10,000 clients that stop reading during a storm of broadcasts.
func manySlow(r *run) error {
	const slow, backlog = 200, 262144
	s, err := r.swarm(10000, load.Options{Receive: 32 << 10})
	if err != nil {
		return err
	}
	defer s.Close()
	o := load.BroadcastOptions{Size: 8 << 10, Rate: 3, Count: 30}
	before, err := s.Broadcast(o)
	if err != nil {
		return err
	}
	r.note(&before)
	rss := r.process.rss()
	s.Stall(slow)
	o.Count = 75
	during, err := s.Broadcast(o)
	if err != nil {
		return err
	}
	r.note(&during)
	ms := func(d time.Duration) float64 { return micros(d) / 1000 }
	r.values["p50 before ms"], r.values["p50 ms"] = ms(before.Latency.Quantile(0.5)), ms(during.Latency.Quantile(0.5))
	r.values["p99 before ms"], r.values["p99 ms"] = ms(before.Latency.Quantile(0.99)), ms(during.Latency.Quantile(0.99))
	r.values["growth MB"] = float64(r.process.peak()-rss) / 1e6
	r.values["bound MB"] = slow * backlog / 1e6
	stats, err := r.process.gc()
	if err != nil {
		return err
	}
	r.values["left"] = float64(10000 - stats.Sessions)
	return nil
}

// latencies keeps the median and the 99th percentile of a run before and during trouble.
func (r *run) latencies(suffix string, res *load.Result) {
	r.note(res)
	r.values["p50"+suffix] = micros(res.Latency.Quantile(0.5))
	r.values["p99"+suffix] = micros(res.Latency.Quantile(0.99))
}

// storm is thousands of handshakes at a server that admits 1,000 a second (Node admits all), 4,000 a second
// of them. The machine is busy then whichever server they go to, so the same is measured with a storm at
// another server.
func storm(r *run) error {
	s, err := r.swarm(1000, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	r.faults = nil // that some of the first 1,000 had to come twice is no fault here
	o := load.EchoOptions{Size: 32, Rate: 2000, Duration: 5 * time.Second}
	before, err := s.Echo(o)
	if err != nil {
		return err
	}
	r.latencies(" before", &before)
	if r.server != "node" {
		other, err := start(r.bin, r.server, r.args...)
		if err != nil {
			return err
		}
		during, _, err := r.stormAt(other.addr, s, o)
		other.stop()
		if err != nil {
			return err
		}
		r.latencies(" elsewhere", &during)
	}
	during, storm, err := r.stormAt(r.process.addr, s, o)
	if err != nil {
		return err
	}
	r.latencies("", &during)
	r.values["in"] = float64(storm.Count)
	r.values["refused"] = float64(storm.Faults["503 with Retry-After"])
	r.values["storm p99 ms"] = micros(storm.Latency.Quantile(0.99)) / 1000
	delete(storm.Faults, "503 with Retry-After")
	delete(storm.Faults, "refused")
	if len(storm.Faults) > 0 {
		r.note(&storm)
	}
	return nil
}

// stormAt has s echo while clients storm the server at addr.
func (r *run) stormAt(addr string, s *load.Swarm, o load.EchoOptions) (echo, storm load.Result, err error) {
	clouds, err := load.New(load.Options{Addr: addr, Polling: true})
	if err != nil {
		return echo, storm, err
	}
	defer clouds.Close()
	failed := make(chan error, 1)
	go func() {
		var err error
		storm, err = clouds.Storm(r.n, 4000)
		failed <- err
	}()
	echo, err = s.Echo(o)
	return echo, storm, errors.Join(err, <-failed)
}

// block is handlers that block on ten sockets of a thousand.
func block(r *run) error {
	s, err := r.swarm(1000, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	o := load.EchoOptions{Clients: 990, Size: 32, Rate: 5000, Duration: 5 * time.Second}
	before, err := s.Echo(o)
	if err != nil {
		return err
	}
	r.latencies(" before", &before)
	s.Block(10, 10)
	during, err := s.Echo(o)
	if err != nil {
		return err
	}
	r.latencies("", &during)
	return nil
}

// pause is echo alone, and then beside so many idle sessions that a collection has something to mark.
func pause(r *run) error {
	s, err := r.swarm(500, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	o := load.EchoOptions{Clients: 500, Size: 32, Rate: 5000, Duration: 8 * time.Second}
	if err := r.echo(s, "alone", o); err != nil {
		return err
	}
	res, err := s.Connect(19000, 128)
	if err != nil {
		return err
	}
	r.note(&res)
	return r.echo(s, "beside", o)
}

// cluster is a broadcast to the sessions of two servers.
func cluster(r *run) error {
	second, err := start(r.bin, r.server, r.args...)
	if err != nil {
		return err
	}
	defer second.stop()
	s, err := r.swarm(500, load.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Target(second.addr); err != nil {
		return err
	}
	res, err := s.Connect(500, 64)
	if err != nil {
		return err
	}
	r.note(&res)
	if err := s.Hold(2500 * time.Millisecond); err != nil { // until the servers have found each other
		return err
	}
	o := load.BroadcastOptions{Size: 128, Count: 2}
	if _, err := s.Broadcast(o); err != nil {
		return err
	}
	o.Count, o.Duration = 0, pick(r, 3*time.Second, 1500*time.Millisecond)
	before := second.cpu()
	res, cpu, err := r.measured(func() (load.Result, error) { return s.Broadcast(o) })
	if err != nil {
		return err
	}
	cpu += (second.cpu() - before) / time.Duration(res.Count)
	r.values["all/s"] = res.PerSecond()
	r.values["all us"] = micros(cpu)
	r.values["all last ms"] = micros(res.Last.Quantile(0.5)) / 1000
	r.values["all busy"] = res.Busy
	return nil
}

// startRedis runs a Redis without persistence on a port that is free.
func startRedis() (addr string, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr = ln.Addr().String()
	port := ln.Addr().(*net.TCPAddr).Port
	_ = ln.Close()
	cmd := exec.Command("redis-server", "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("redis: %w", err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	for range 100 {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return addr, stop, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	return "", nil, fmt.Errorf("redis: does not listen")
}
