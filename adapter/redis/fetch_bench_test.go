package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/adapter"
)

// BenchmarkFetchAnswer is an answer of 200 sockets that a server hears, and that it reads if it has asked.
func BenchmarkFetchAnswer(b *testing.B) {
	list := make([]adapter.Details, 200)
	for i := range list {
		list[i] = adapter.Details{
			ID: strings.Repeat("i", 20), Rooms: []string{"one", fmt.Sprint("r", i)}, Data: []byte(`{"name":"somebody"}`),
			Handshake: adapter.Handshake{
				Headers: map[string]string{"user-agent": "a browser", "accept": "*/*", "host": "example.com"},
				Query:   map[string]string{"EIO": "4", "transport": "websocket"}, Auth: []byte(`{}`), URL: "/socket.io/",
			},
		}
	}
	p := &pubsub{prefix: "socket.io", uid: "me"}
	payload := append(appendDetails([]byte(`{"requestId":"q","uid":"other","sockets":`), list), '}')
	for _, asked := range []bool{false, true} {
		b.Run(fmt.Sprint("asked=", asked), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, err := p.decode("/", p.responses("/"), payload, nil)
				if err != nil || m == nil {
					b.Fatal(m, err)
				}
				if asked {
					if s, err := parseDetails(m.described); err != nil || len(s) != len(list) {
						b.Fatal(len(s), err)
					}
				}
			}
		})
	}
}
