package host

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// embedded is a line in CloudWatch's embedded metric format.
type embedded struct {
	AWS struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	} `json:"_aws"`
	EnvironmentName string
}

// Each line is what the specification wants: an object and nothing else, whose metrics and dimensions are there.
func TestFiguresForCloudWatch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "metrics.log")
	if err := os.WriteFile(file, bytes.Repeat([]byte("x"), figuresMost+1), 0o644); err != nil {
		t.Fatal(err)
	}
	h, _ := newTestHost(t, Config{Port: AnyPort, Host: "127.0.0.1", CloudWatchMetrics: file, Environment: "chat-production", MemoryPercent: 50})
	h.figures.every = 20 * time.Millisecond
	done := running(t, h)
	connect(t, h)
	get(t, h, "socket.io/?EIO=4&transport=none")
	total := map[string]float64{}
	last := map[string]any{}
	eventually(t, "a line with the session", func() bool {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		clear(total)
		lines := strings.SplitAfter(string(text), "\n")
		for _, line := range lines[:len(lines)-1] {
			last = map[string]any{}
			var e embedded
			if err := json.Unmarshal([]byte(line), &last); err != nil {
				t.Fatalf("%v: %q", err, line)
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if e.EnvironmentName != "chat-production" || len(e.AWS.CloudWatchMetrics) != 1 || time.Since(time.UnixMilli(e.AWS.Timestamp)) > time.Minute {
				t.Fatalf("%s", line)
			}
			directive := e.AWS.CloudWatchMetrics[0]
			if directive.Namespace != "Beanpole" || len(directive.Dimensions) != 1 || directive.Dimensions[0][0] != "EnvironmentName" {
				t.Errorf("%s", line)
			}
			for _, m := range directive.Metrics {
				value, ok := last[m.Name].(float64)
				if !ok || m.Unit != "Count" && m.Unit != "Percent" {
					t.Errorf("%s in %s is %v", m.Name, m.Unit, last[m.Name])
				}
				total[m.Name] += value
			}
		}
		return last["Sessions"] == 1.0 && total["Refused"] == 1
	})
	if total["Handshakes"] != 1 || total["PacketsIn"] == 0 {
		t.Errorf("in all: %v", total)
	}
	if p, ok := last["MemoryPercent"].(float64); !ok || p <= 0 || p > 100 {
		t.Errorf("memory %v", last["MemoryPercent"])
	}
	signalSelf(t, syscall.SIGTERM)
	if err := await(t, done); err != nil {
		t.Error(err)
	}
}

// A file that cannot be written is said once, and nobody's trouble else.
func TestFiguresThatCannotBeWritten(t *testing.T) {
	h, log := newTestHost(t, Config{CloudWatchMetrics: filepath.Join(t.TempDir(), "nowhere", "metrics.log")})
	for range 3 {
		h.writeFigures(t.Context())()
	}
	h.flushLog()
	if got := strings.Count(log.String(), "not written"); got != 1 {
		t.Errorf("said %d times: %s", got, log)
	}
}
