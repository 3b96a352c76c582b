package server_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Those that run side by side wait for time-outs most of the time. What measures, or has much to send, runs alone.
	_ = flag.Set("test.parallel", "4") // before the command line is read, which may say otherwise
	goleak.VerifyTestMain(m)
}
