package servertest

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"
)

func ends() (*conn, *conn) { return pair(serverAddr, serverAddr) }

func TestConnectionIsOne(t *testing.T) {
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		a, b := ends()
		return a, b, func() { _, _ = a.Close(), b.Close() }, nil
	})
}

func TestConnectionCarriesWhatIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := ends()
		want := make([]byte, 3*window)
		for i := range want {
			want[i] = byte(i % 251)
		}
		go func() {
			if n, err := a.Write(want); n != len(want) || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
			_ = a.Close()
		}()
		synctest.Wait()
		if n := len(a.out.bytes); n != window {
			t.Errorf("%d bytes are under way, want %d", n, window)
		}
		got, err := io.ReadAll(b)
		if string(got) != string(want) || err != nil {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write to one who has closed: %v", err)
		}
	})
}

// Each of these ends a wait.
func TestWaitsEnd(t *testing.T) {
	soon := func() time.Time { return time.Now().Add(time.Second) }
	full := make([]byte, window+1)
	for name, c := range map[string]struct {
		do   func(a, b *conn)
		want error
	}{
		"deadline":        {func(a, _ *conn) { _ = a.SetDeadline(soon()) }, os.ErrDeadlineExceeded},
		"deadline passed": {func(a, _ *conn) { _ = a.SetDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"read, write": {func(a, _ *conn) { _ = a.SetReadDeadline(soon()); _ = a.SetWriteDeadline(soon()) },
			os.ErrDeadlineExceeded},
		"deadline put off": {func(a, _ *conn) {
			_ = a.SetDeadline(soon())
			_ = a.SetDeadline(soon().Add(time.Second))
		}, os.ErrDeadlineExceeded},
		"close":            {func(a, _ *conn) { _ = a.Close() }, net.ErrClosed},
		"cut":              {func(a, _ *conn) { a.cut() }, syscall.ECONNRESET},
		"cut at other end": {func(_, b *conn) { b.cut() }, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := ends()
				errs := make(chan error, 2)
				go func() { _, err := a.Read(make([]byte, 1)); errs <- err }()
				go func() { _, err := a.Write(full); errs <- err }()
				synctest.Wait()
				c.do(a, b)
				for range 2 {
					if err := <-errs; !errors.Is(err, c.want) {
						t.Errorf("error %v, want %v", err, c.want)
					}
				}
			})
		})
	}
}

func TestDeadlineThatIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := ends()
		_ = a.SetDeadline(time.Now().Add(time.Second))
		_ = a.SetDeadline(time.Time{})
		go func() {
			time.Sleep(time.Minute)
			_, _ = b.Write([]byte("x"))
		}()
		if n, err := a.Read(make([]byte, 10)); n != 1 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
	})
}
