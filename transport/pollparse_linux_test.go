package transport

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

const plainHead = "POST /engine.io/?EIO=4&transport=polling&sid=a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"

// FuzzParseHead holds parseHead to net/http: what it takes is taken there, and is the same request.
func FuzzParseHead(f *testing.F) {
	f.Add([]byte(plainHead + "4x"))
	f.Add([]byte(getRequest("a", "Accept: */*\r\nAccept: a\r\nconnection: Keep-Alive\r\n")))
	for _, odd := range oddRequests {
		f.Add([]byte(strings.ReplaceAll(odd.text, "SID", "a")))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, state := parseHead(b)
		if state != headGood {
			return
		}
		if h.size > len(b) || !bytes.HasSuffix(b[:h.size], endOfHead) {
			t.Fatalf("%q: a head of %d bytes", b, h.size)
		}
		in := bufio.NewReader(io.MultiReader(bytes.NewReader(b), zeros{}))
		want, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("%q is taken, but not by net/http: %v", b, err)
		}
		got := h.request()
		if h.length > 0 {
			got.Body = nil
			body := want.Body
			want.Body = nil
			if h.length < 1<<20 {
				if n, err := io.Copy(io.Discard, body); err != nil || n != h.length {
					t.Errorf("%q: a body of %d bytes, %v, want %d", b, n, err, h.length)
				}
			}
		}
		if want.Close || len(want.TransferEncoding) > 0 || len(want.Trailer) > 0 {
			t.Errorf("%q: close %v, transfer encoding %v, trailer %v", b, want.Close, want.TransferEncoding, want.Trailer)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n got %+v\nwant %+v", b, got, want)
		}
	})
}

// zeros is a body without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// A head costs what it holds: the string, the map and its values.
func BenchmarkParseHead(b *testing.B) {
	head := []byte(getRequest("AAAAAAAAAAAAAAAAAAAA", "User-Agent: Mozilla/5.0\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n"))
	b.ReportAllocs()
	for b.Loop() {
		if _, state := parseHead(head); state != headGood {
			b.Fatal(state)
		}
	}
}
