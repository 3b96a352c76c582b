package redis

import (
	"maps"
	"testing"
)

// What a Node peer may say of its sockets, which are JavaScript's objects.
func TestHeadersOfDescriptions(t *testing.T) {
	for handshake, want := range map[string]map[string]string{
		`{}`:                    {},
		`{"headers":null}`:      {},
		`{"headers":{}}`:        {},
		`{"headers":{"a":"b"}}`: {"a": "b"},
		`{"headers":{"a":["b","c"],"n":1,"x":null,"o":{"a":[]},"t":true}}`: {"a": "b, c", "n": "1", "x": "", "o": "", "t": "true"},
		`{"headers":{"a":"1","a":"2","\u00e9":"\"\u00e9\\","\ud800":"\ud800","y":"` + "\xff" + `z"}}`: {
			"a": "2", "\u00e9": "\"\u00e9\\", "\ufffd": "\ufffd", "y": "\ufffdz",
		},
	} {
		list, err := parseDetails([]byte(`[{"id":"i","handshake":` + handshake + `,"rooms":[]}]`))
		if err != nil || len(list) != 1 || list[0].ID != "i" || list[0].Handshake.Headers == nil || !maps.Equal(list[0].Handshake.Headers, want) {
			t.Errorf("%s: %v %+v", handshake, err, list)
		}
	}
	for _, bad := range []string{`[]`, `"x"`, `1`} {
		if list, err := parseDetails([]byte(`[{"handshake":{"headers":` + bad + `}}]`)); err == nil {
			t.Errorf("headers %s: %+v", bad, list)
		}
	}
}
