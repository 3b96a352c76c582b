package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestDoctorBadUsage(t *testing.T) {
	for _, args := range [][]string{{"ftp://example.com"}, {"http://127.0.0.1:1", "--auth", "{"}, {"http://127.0.0.1:1", "--connections", "100000"},
		{"http://127.0.0.1:1", "--samples=0"}, {"http://127.0.0.1:1", "--timeout=-1s"}, {"http://127.0.0.1:1", "--watch=-1s"}} {
		if code, out := beanpole(t, append([]string{"doctor"}, args...)...); code != exitBadUsage {
			t.Errorf("%v: exit status %d: %s", args, code, out)
		}
	}
}

func TestInterruptedDoctorPrintsItsReport(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, args := range [][]string{{"doctor", "http://127.0.0.1:1"}, {"doctor", "http://127.0.0.1:1", "--json"}} {
		var b bytes.Buffer
		code := run(ctx, args, output{out: &b, err: &b})
		if code != exitWarning || !strings.Contains(b.String(), "interrupted") || !strings.Contains(b.String(), "stickiness") {
			t.Errorf("exit status %d: %s", code, b.String())
		}
	}
}
