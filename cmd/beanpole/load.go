package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/load"
)

type loadCommand struct {
	URL string `arg:"" help:"The server, such as http://127.0.0.1:3000; a path in it is the Socket.IO path."`
	Yes bool   `help:"The server is not on this machine, and it is mine to put load on."`

	Sessions int           `short:"n" default:"100" help:"Sessions (at most 20,000)."`
	Arrival  float64       `default:"100" help:"New sessions a second, until all are there."`
	Duration time.Duration `short:"d" default:"30s" help:"How long the load lasts once they are (at most 24h)."`
	Patience time.Duration `default:"10s" help:"How long what is late is waited for."`
	Polling  float64       `default:"0" help:"Share of the sessions that poll, from 0 to 1. The others have a WebSocket."`
	Upgrade  bool          `help:"Those begin with polling, as clients do by default."`

	Event string  `default:"echo" help:"Event that the server acknowledges; \"\" sends none."`
	Rate  float64 `default:"100" help:"So many of it a second, over all sessions."`
	Args  string  `default:"[\"{id}\"]" placeholder:"JSON" help:"Its arguments. {id}, within a string, is by what a message is known again."`

	RoomEvent string  `help:"Event that the server passes on to all or, with --rooms, to a room. Without it none is sent."`
	RoomRate  float64 `default:"10" help:"So many of it a second, over all rooms."`
	RoomArgs  string  `placeholder:"JSON" help:"Its arguments: [\"{id}\"], with --rooms [\"{room}\",\"{id}\"]."`
	Rooms     int     `help:"Rooms that the sessions are spread over."`
	JoinEvent string  `default:"join" help:"Event by which a session joins the room that is its argument; the server acknowledges it."`
	Size      int     `default:"64" help:"Length of {id}, in bytes."`

	Storm      time.Duration `placeholder:"DURATION" help:"Cut connections so often, all at once; they come again as clients do."`
	StormShare float64       `default:"0.5" help:"Share of the sessions that are cut."`
	Churn      float64       `default:"0" help:"So many sessions a second leave, and others come."`
	Unordered  bool          `help:"Acknowledgements may come in any order, as of handlers that wait for something."`

	Namespace string   `default:"/" help:"Namespace of the sessions."`
	Auth      string   `placeholder:"JSON" help:"Payload that they send with CONNECT."`
	Header    []string `sep:"none" placeholder:"NAME:VALUE" help:"Header of every request."`
	Insecure  bool     `help:"Accept any certificate."`

	JSON bool   `name:"json" help:"Print the report as JSON."`
	HTML string `name:"html" placeholder:"FILE" help:"Write the report as a page with plots, too."`
}

// Run is called by kong.
func (c *loadCommand) Run(ctx context.Context, o output) (err error) {
	if c.RoomArgs == "" {
		if c.RoomArgs = `["{id}"]`; c.Rooms > 0 {
			c.RoomArgs = `["{room}","{id}"]`
		}
	}
	header := http.Header{}
	for _, h := range c.Header {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return usage(fmt.Errorf("--header %q: want NAME:VALUE", h))
		}
		header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	var page *os.File
	if c.HTML != "" { // before the load, which is not to be for nothing
		if page, err = os.Create(c.HTML); err != nil {
			return usage(err)
		}
		defer func() { err = errors.Join(err, page.Close()) }()
	}
	options := load.Options{
		URL: c.URL, Namespace: c.Namespace, Auth: c.Auth, Header: header, Insecure: c.Insecure, Yes: c.Yes,
		Sessions: c.Sessions, Arrival: c.Arrival, Polling: c.Polling, Upgrade: c.Upgrade, Duration: c.Duration, Patience: c.Patience,
		Event: c.Event, Rate: c.Rate, Args: c.Args, RoomEvent: c.RoomEvent, RoomRate: c.RoomRate, RoomArgs: c.RoomArgs, Rooms: c.Rooms, JoinEvent: c.JoinEvent,
		Size: c.Size, Storm: c.Storm, StormShare: c.StormShare, Churn: c.Churn, Unordered: c.Unordered,
		Say: o.progress,
	}
	if o.cursor != nil {
		options.Live = func(line string) { fmt.Fprintf(o.cursor, "%-100s\r", line) }
	}
	r, err := load.Run(ctx, options)
	if o.cursor != nil {
		fmt.Fprintf(o.cursor, "%-100s\r", "")
	}
	switch {
	case errors.Is(err, load.ErrFar):
		return usage(fmt.Errorf("%w: say --yes if it is yours", err))
	case err != nil:
		return usage(err)
	case c.JSON:
		err = json.NewEncoder(o.out).Encode(r)
	default:
		err = r.Print(o.out)
	}
	if err == nil && page != nil {
		err = r.HTML(page)
	}
	if err == nil && (len(r.Faults) > 0 || r.Interrupted) {
		return exit(exitWarning)
	}
	return err
}
