package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"text/template"
)

// startRedis starts a Redis that keeps nothing, and returns its URL.
func startRedis(ctx context.Context, g *group, dir string) (string, error) {
	addr, err := freeAddr()
	if err != nil {
		return "", err
	}
	host, port, _ := net.SplitHostPort(addr)
	err = g.start("redis", nil, "redis-server", "--bind", host, "--port", port, "--save", "", "--appendonly", "no",
		"--dir", dir, "--loglevel", "warning")
	if err != nil {
		return "", err
	}
	err = soon(ctx, g, func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	})
	return "redis://" + addr, err
}

// A session stays on its server by a cookie; health is asked for, so that a server which drains gets no
// new sessions. The timeouts are longer than the 25 s between two pings.
var haproxy = template.Must(template.New("").Parse(`global
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
  option forwardfor
frontend front
  bind {{.Bind}}
  default_backend servers
backend servers
  balance roundrobin
  cookie BEANPOLE insert indirect nocache httponly
  option httpchk GET /healthz
  default-server check inter 1s fall 2 rise 1
{{- range .Servers}}
  server {{.Name}} {{.Addr}} cookie {{.Name}}
{{- end}}
`))

// startHAProxy starts HAProxy before the servers and returns where a browser finds it.
func startHAProxy(ctx context.Context, g *group, dir string, backends []string) (string, error) {
	host, port := cmp.Or(os.Getenv("HOST"), "127.0.0.1"), cmp.Or(os.Getenv("PORT"), "5000")
	if port == "0" {
		addr, err := freeAddr()
		if err != nil {
			return "", err
		}
		_, port, _ = net.SplitHostPort(addr)
	}
	type server struct{ Name, Addr string }
	data := struct {
		Bind    string
		Servers []server
	}{Bind: net.JoinHostPort(host, port)}
	for i, addr := range backends {
		data.Servers = append(data.Servers, server{nodes[i], addr})
	}
	var config bytes.Buffer
	if err := haproxy.Execute(&config, data); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, config.Bytes(), 0o600); err != nil {
		return "", err
	}
	if err := g.start("haproxy", nil, "haproxy", "-db", "-q", "-f", file); err != nil {
		return "", err
	}
	url := fmt.Sprintf("http://%s/", net.JoinHostPort(host, port))
	return url, answers(ctx, g, url+"healthz")
}
