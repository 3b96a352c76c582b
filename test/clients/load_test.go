package clients

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestLoadOfNodesServer has the command load put load on Node's server, with the handlers that docs/load.md shows.
func TestLoadOfNodesServer(t *testing.T) {
	need(t, "node")
	install(t)
	text, err := os.ReadFile("../../docs/load.md")
	if err != nil {
		t.Fatal(err)
	}
	handlers := regexp.MustCompile("(?ms)^```js\n(.*?)^```$").FindSubmatch(text)
	if handlers == nil {
		t.Fatal("docs/load.md shows no handlers for Node")
	}
	bin := filepath.Join(t.TempDir(), "beanpole")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../cmd/beanpole").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	node := exec.CommandContext(t.Context(), "node", "--input-type=module", "-e", `
		import { createServer } from "node:http";
		import { Server } from "socket.io";
		const http = createServer();
		const io = new Server(http);
		`+string(handlers[1])+`
		http.listen(0, "127.0.0.1", () => console.log(JSON.stringify("http://127.0.0.1:" + http.address().port)));
		process.stdin.on("end", () => process.exit()).resume();`)
	node.Stderr = os.Stderr
	in, err := node.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = node.Wait()
	})
	var url string
	if err := json.NewDecoder(out).Decode(&url); err != nil {
		t.Fatal("Node's server did not start: ", err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with Node

	load := exec.CommandContext(t.Context(), bin, "load", url, "--sessions=40", "--polling=0.25", "--upgrade", "--duration=4s", "--rate=200",
		"--room-event=room", "--rooms=4", "--storm=1500ms", "--storm-share=0.3", "--churn=2", "--json")
	load.Stderr = os.Stderr
	report, err := load.Output()
	var r struct {
		Faults             []string
		Sessions           struct{ Connected, Cut, Replaced int }
		Events, Broadcasts struct{ Sent, Arrived, Cut int }
	}
	if e := json.Unmarshal(report, &r); e != nil || err != nil || len(r.Faults) > 0 {
		t.Fatalf("%v, %v: %q\n%s", err, e, r.Faults, report)
	}
	if r.Sessions.Connected != 40 || r.Sessions.Cut < 12 || r.Sessions.Replaced < 6 {
		t.Errorf("sessions: %+v", r.Sessions)
	}
	if r.Events.Sent < 700 || r.Events.Arrived+r.Events.Cut != r.Events.Sent || r.Broadcasts.Arrived+r.Broadcasts.Cut < 9*r.Broadcasts.Sent*8/10 {
		t.Errorf("events: %+v, broadcasts: %+v", r.Events, r.Broadcasts)
	}
}
