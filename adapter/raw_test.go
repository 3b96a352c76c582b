package adapter_test

import (
	"encoding/json"
	"testing"

	"github.com/beanpole/beanpole/adapter"
	"github.com/beanpole/beanpole/server/packet"
)

// Raw is JSON wherever it is encoded, by encoding/json or into a packet, and never a binary.
func TestRawIsJSON(t *testing.T) {
	d := adapter.Details{ID: "a", Data: adapter.Raw(`{"n":1}`), Handshake: adapter.Handshake{Auth: adapter.Raw(`{"token":"x"}`)}}
	const want = `{"id":"a","handshake":{"headers":null,"time":"","address":"","xdomain":false,"secure":false,"issued":0,"url":"",` +
		`"query":null,"auth":{"token":"x"}},"rooms":null,"data":{"n":1}}`
	got, err := json.Marshal(d)
	if err != nil || string(got) != want {
		t.Errorf("encoding/json: %s, %v\nwant %s", got, err, want)
	}
	for _, v := range []any{d, &d, []any{d}} {
		got, attachments, err := packet.AppendValue(nil, nil, v)
		if _, list := v.([]any); list {
			got = got[1 : len(got)-1]
		}
		if err != nil || string(got) != want || attachments != nil {
			t.Errorf("packet: %s, %v, %v\nwant %s", got, attachments, err, want)
		}
	}
	var back adapter.Details
	if err := json.Unmarshal(got, &back); err != nil || string(back.Data) != `{"n":1}` || string(back.Handshake.Auth) != `{"token":"x"}` {
		t.Errorf("back: %s, %s, %v", back.Data, back.Handshake.Auth, err)
	}
	for _, raw := range []adapter.Raw{nil, adapter.Raw(`7`)} {
		want := "{}"
		if raw != nil {
			want = "7"
		}
		got, attachments, err := packet.AppendValue(nil, nil, raw)
		if err != nil || string(got) != want || attachments != nil {
			t.Errorf("%q: %s, %v, %v", []byte(raw), got, attachments, err)
		}
	}
}
