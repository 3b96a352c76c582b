package limit

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"
)

// A client that reads slowly and steadily takes something all the time, however large the kernel's buffer is.
func TestSteadyReaderIsNotSlow(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const size = 4 << 20
	done := make(chan error, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := WriteParts(w, make([]byte, size), time.Second, nil)
		done <- err
	}), ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		KeepUnsentSmall(c)
		return ctx
	}}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(32 << 10)
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	buf := make([]byte, 32<<10)
	for n := 0; n < size; {
		k, err := conn.Read(buf)
		if n += k; err != nil {
			t.Fatalf("%d of %d bytes: %v, %v", n, size, err, <-done)
		}
		<-tick.C // 640 KB a second at most
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
