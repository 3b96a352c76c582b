package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/doctor"
)

type doctorCommand struct {
	URL         string        `arg:"" help:"Where clients connect, such as https://chat.example.com; a path in it is the Socket.IO path."`
	Origin      string        `help:"Origin of the page that connects, to check CORS: https://www.example.com."`
	Namespace   string        `default:"/" help:"Namespace that clients use."`
	Auth        string        `placeholder:"JSON" help:"Payload that clients send with CONNECT."`
	Path        string        `placeholder:"/socket.io/" help:"Socket.IO path, if the URL does not have it."`
	Health      string        `name:"health-path" default:"/healthz" help:"HealthCheckPath of the environment."`
	Idle        time.Duration `default:"60s" help:"Idle timeout of the load balancer and nginx, the shorter."`
	ProbeToken  string        `env:"BEANPOLE_PROBE_TOKEN" help:"Token of the probe namespace, to check broadcasts between instances."`
	Instances   int           `help:"How many instances there should be; fewer are a warning."`
	Samples     int           `default:"20" help:"Requests of the checks that repeat."`
	Timeout     time.Duration `default:"10s" help:"How long one answer may take."`
	Deep        bool          `help:"Also watch quiet connections for a few heartbeats: a minute or two."`
	Connections int           `help:"Open so many WebSockets at once (at most 5000)."`
	Watch       time.Duration `placeholder:"DURATION" help:"Keep some clients connected for so long, as during a deployment, and tell what they saw."`
	Insecure    bool          `help:"Accept any certificate."`
	JSON        bool          `name:"json" help:"Print the report as JSON."`
}

// Run is called by kong.
func (c *doctorCommand) Run(ctx context.Context, o output) error {
	if c.Auth != "" && !json.Valid([]byte(c.Auth)) {
		return usage(errors.New("--auth is not JSON"))
	}
	if c.Samples < 1 || c.Timeout <= 0 || c.Idle <= 0 {
		return usage(errors.New("--samples, --timeout and --idle have to be above 0"))
	}
	if c.Instances < 0 || c.Connections < 0 || c.Watch < 0 {
		return usage(errors.New("--instances, --connections and --watch cannot be below 0"))
	}
	if !strings.HasPrefix(c.Namespace, "/") {
		c.Namespace = "/" + c.Namespace // as of() in Node
	}
	options := doctor.Options{
		URL: c.URL, Path: c.Path, HealthPath: c.Health, Origin: c.Origin, Namespace: c.Namespace, Auth: c.Auth, ProbeToken: c.ProbeToken,
		Instances: c.Instances, Samples: c.Samples, Timeout: c.Timeout, Idle: c.Idle, Deep: c.Deep, Connections: c.Connections, Watch: c.Watch, Insecure: c.Insecure,
	}
	if !c.JSON && o.cursor != nil {
		options.Progress = func(check string) { fmt.Fprintf(o.cursor, "\r%-20s\r", check) }
	}
	r, err := doctor.Run(ctx, options)
	if err != nil {
		return usage(err)
	}
	if c.JSON {
		if err := json.NewEncoder(o.out).Encode(r); err != nil {
			return err
		}
	} else {
		if options.Progress != nil {
			options.Progress("")
		}
		r.Print(o.out)
	}
	switch r.Worst() {
	case doctor.Failure:
		return exit(exitFailure)
	case doctor.Warning:
		return exit(exitWarning)
	}
	return nil
}
