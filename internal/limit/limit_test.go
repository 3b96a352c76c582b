package limit

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// taken counts how many of n tries get a token.
func taken(n int, take func() bool) (got int) {
	for range n {
		if take() {
			got++
		}
	}
	return got
}

func TestBucket(t *testing.T) {
	now := time.Unix(1000, 0)
	b := NewBucket(10, 2)
	take := func() bool { return b.Take(now) }
	if got := taken(100, take); got != 20 {
		t.Errorf("a new bucket gives %d, want 20", got)
	}
	now = now.Add(500 * time.Millisecond)
	if got := taken(100, take); got != 5 {
		t.Errorf("after half a second %d, want 5", got)
	}
	now = now.Add(-time.Hour)
	if got := taken(100, take); got != 0 {
		t.Errorf("after the clock was set back %d, want none", got)
	}
	now = now.Add(24 * time.Hour)
	if got := taken(100, take); got != 20 {
		t.Errorf("after a day %d, want 20", got)
	}
	var none Bucket
	if got := taken(100, func() bool { return none.Take(now) }); got != 100 {
		t.Errorf("the zero bucket gives %d of 100", got)
	}
}

func TestTableHasABucketForEachKey(t *testing.T) {
	now := time.Unix(1000, 0)
	table := NewTable(1, 3)
	for _, key := range []string{"a", "b"} {
		if got := taken(10, func() bool { return table.Take(key, now) }); got != 3 {
			t.Errorf("%s got %d, want 3", key, got)
		}
	}
	// A key that goes on being used is not forgotten when the generations change.
	got := 0
	for range 100 {
		now = now.Add(500 * time.Millisecond)
		if table.Take("a", now) {
			got++
		}
	}
	if got != 50 {
		t.Errorf("a got %d in 50 seconds, want 50", got)
	}
	if n := table.Len(); n > 2 {
		t.Errorf("%d keys are kept, of which b was not used for long", n)
	}
	if !(*Table)(nil).Take("a", now) || (*Table)(nil).Len() != 0 || NewTable(0, 1) != nil {
		t.Error("a table without limit refuses")
	}
}

func TestTableIsBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	table := NewTable(1, 3600)
	table.half = 100
	for i := range 10_000 {
		table.Take(fmt.Sprint(i), now)
	}
	if n := table.Len(); n > 200 {
		t.Errorf("%d keys are kept, want 200 at most", n)
	}
}

// Keys that clients choose cost no more than others, and are still told apart.
func TestTableKeepsLongKeysShort(t *testing.T) {
	now := time.Unix(1000, 0)
	table := NewTable(1, 3)
	long := strings.Repeat("x", 1<<20)
	for _, key := range []string{long + "a", long + "b"} {
		if got := taken(10, func() bool { return table.Take(key, now) }); got != 3 {
			t.Errorf("%d tokens, want 3", got)
		}
	}
	for key := range table.current {
		if len(key) > maxKey {
			t.Errorf("a key of %d bytes is kept", len(key))
		}
	}
}

func TestBucketTellsHowLongToWait(t *testing.T) {
	now := time.Unix(1000, 0)
	b := NewBucket(10, 1)
	for range 10 {
		if d := b.Wait(now); d != 0 {
			t.Fatalf("a full bucket says %v", d)
		}
	}
	d := b.Wait(now)
	if d <= 0 || d > 101*time.Millisecond {
		t.Errorf("an empty bucket of ten a second says %v", d)
	}
	if d = b.Wait(now.Add(d + time.Microsecond)); d != 0 {
		t.Errorf("after that time it says %v", d)
	}
	var none *Bucket
	if d := none.Wait(now); d != 0 {
		t.Errorf("no bucket says %v", d)
	}
}

func TestHolders(t *testing.T) {
	s := NewHolders[int](2)
	if !s.Enter("ada", 1) || !s.Enter("ada", 2) || !s.Enter("ada", 1) || !s.Enter("bob", 3) {
		t.Error("no room")
	}
	if s.Enter("ada", 3) {
		t.Error("a third holder was let in")
	}
	s.Leave("ada", 1)
	if s.Enter("ada", 3) {
		t.Error("a holder that holds twice has left at once")
	}
	s.Leave("ada", 1)
	if !s.Enter("ada", 3) {
		t.Error("no room after one has left")
	}
	s.Leave("ada", 2)
	s.Leave("ada", 3)
	s.Leave("bob", 3)
	if len(s.byKey) != 0 {
		t.Errorf("left behind: %v", s.byKey)
	}
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7":                  "192.0.2.7",
		"::ffff:192.0.2.7":           "192.0.2.7",
		"2001:db8:1:2:3:4:5:6":       "2001:db8:1:2::/64",
		"2001:db8:1:2::9":            "2001:db8:1:2::/64",
		"fe80::1%eth0":               "fe80::/64",
		"@":                          "@",
		"":                           "",
		"2001:db8:1:3:ffff:ffff:0:0": "2001:db8:1:3::/64",

		// Those that hold one of IPv4, and their neighbours.
		"64:ff9b::192.0.2.7":                   "192.0.2.7",
		"64:ff9b::c000:207%eth0":               "192.0.2.7",
		"64:ff9b:0:0:0:1:c000:207":             "64:ff9b::/64",
		"64:ff9b:1:fffe::192.0.2.7":            "64:ff9b:1:fffe::c000:207",
		"64:ff9b:1:c000:2:700::":               "64:ff9b:1:c000:2:700::",
		"64:ff9b:2::192.0.2.7":                 "64:ff9b:2::/64",
		"::ffff:0:192.0.2.7":                   "192.0.2.7",
		"2002:c000:207:1::1":                   "192.0.2.7",
		"2002:c000:207:ffff:1:2:3:4":           "192.0.2.7",
		"2001:0:4136:e378:8000:63bf:3fff:fdf8": "192.0.2.7",
		"2001:1::1":                            "2001:1::/64",
		"::1":                                  "::/64",
		"::192.0.2.7":                          "::/64", // RFC 4291 section 2.5.5.1: in use nowhere
	} {
		if got := Address(in); got != want {
			t.Errorf("Address(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNetworks(t *testing.T) {
	for in, want := range map[string][3]string{
		"192.0.2.7":                 {"192.0.0.0/16", "192.0.2.0/24", "192.0.2.7"},
		"64:ff9b::192.0.2.7":        {"192.0.0.0/16", "192.0.2.0/24", "192.0.2.7"},
		"2001:db8:1:2::9":           {"2001:db8::/32", "2001:db8:1::/48", "2001:db8:1:2::/64"},
		"64:ff9b:1:fffe::192.0.2.7": {"64:ff9b::/32", "64:ff9b:1::/48", "64:ff9b:1:fffe::c000:207"},
		"@":                         {"@", "@", "@"},
	} {
		if got := Networks(in); got != want {
			t.Errorf("Networks(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fired atomic.Int32
		fire := func() { fired.Add(1) }
		var d Deadline
		d.Watch(true, time.Second, fire)
		time.Sleep(900 * time.Millisecond)
		d.Watch(true, time.Second, fire) // waiting goes on: a second from now
		time.Sleep(900 * time.Millisecond)
		d.Watch(false, time.Second, fire)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := fired.Load(); n != 0 {
			t.Errorf("fired %d times for a wait that ended in time", n)
		}
		d.Watch(true, time.Second, fire)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := fired.Load(); n != 1 {
			t.Errorf("fired %d times, want once", n)
		}
		d.Stop()
		d.Watch(true, time.Second, fire)
		d.Stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := fired.Load(); n != 1 {
			t.Error("fired after it was stopped")
		}
	})
}

func TestNoticeIsNewsOnceForALongTime(t *testing.T) {
	var n Notice
	now := time.Unix(1000, 0)
	if !n.News("a", now) || !n.News("b", now) {
		t.Error("the first time is no news")
	}
	for range 100 { // goes on for 100 half minutes
		now = now.Add(30 * time.Second)
		if n.News("a", now) {
			t.Error("news again while it lasts")
		}
	}
	if now = now.Add(time.Minute); !n.News("a", now) {
		t.Error("no news after a quiet minute")
	}
}

func TestTallyForgetsOneAfterTheOther(t *testing.T) {
	now := time.Unix(1000, 0)
	tally := NewTally(10, time.Minute)
	if n := tally.Count("a", now); n != 0 || tally.table.Len() != 0 {
		t.Errorf("%d, and %d keys for having asked", n, tally.table.Len())
	}
	for i := range 15 {
		if n := tally.Count("a", now); n != min(i, 10) {
			t.Errorf("%d after %d", n, i)
		}
		tally.Add("a", now)
	}
	for after, want := range map[time.Duration]int{5 * time.Second: 10, 7 * time.Second: 9, 31 * time.Second: 5, time.Hour: 0} {
		if n := tally.Count("a", now.Add(after)); n != want {
			t.Errorf("%d after %v, want %d", n, after, want)
		}
	}
	if n := tally.Count("b", now); n != 0 {
		t.Errorf("%d of another key", n)
	}
}

func TestSamplerSaysWhatItLeftOut(t *testing.T) {
	now := time.Unix(1000, 0)
	var s Sampler
	if got := taken(1000, func() bool { _, ok := s.Sample(now); return ok }); got != LinesPerSecond {
		t.Errorf("%d of 1000 get a line, want %d", got, LinesPerSecond)
	}
	if left, ok := s.Sample(now.Add(time.Second)); !ok || left != 1000-LinesPerSecond {
		t.Errorf("a second later %d, %v", left, ok)
	}
	if left, ok := s.Sample(now.Add(time.Second)); !ok || left != 0 {
		t.Errorf("the next %d, %v", left, ok)
	}
}
