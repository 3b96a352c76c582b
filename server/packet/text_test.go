package packet

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func txt(s string) Message { return Message{Data: []byte(s)} }

func bin(b ...byte) Message { return Message{Data: b, Binary: true} }

func TestTextDecodes(t *testing.T) {
	for in, want := range map[string]Packet{
		`0`:                                    {Type: Connect, Namespace: "/"},
		`0{"token":"123"}`:                     {Type: Connect, Namespace: "/", Data: []byte(`{"token":"123"}`)},
		`0/admin,`:                             {Type: Connect, Namespace: "/admin"},
		`0/admin`:                              {Type: Connect, Namespace: "/admin"},
		`0/admin,{"token":"123"}`:              {Type: Connect, Namespace: "/admin", Data: []byte(`{"token":"123"}`)},
		`0/admin?token=1&uid=a`:                {Type: Connect, Namespace: "/admin?token=1&uid=a"},
		`0/admin?token=1,`:                     {Type: Connect, Namespace: "/admin?token=1"},
		`1`:                                    {Type: Disconnect, Namespace: "/"},
		`1/admin,`:                             {Type: Disconnect, Namespace: "/admin"},
		`2["foo"]`:                             {Type: Event, Namespace: "/", Data: []byte(`["foo"]`)},
		"2 [ \"foo\" , 1 ] \n":                 {Type: Event, Namespace: "/", Data: []byte(`[ "foo" , 1 ]`)},
		`2[""]`:                                {Type: Event, Namespace: "/", Data: []byte(`[""]`)},
		`2[0]`:                                 {Type: Event, Namespace: "/", Data: []byte(`[0]`)},
		`2[-1.5e3,{}]`:                         {Type: Event, Namespace: "/", Data: []byte(`[-1.5e3,{}]`)},
		`2/admin,["bar"]`:                      {Type: Event, Namespace: "/admin", Data: []byte(`["bar"]`)},
		`212["foo"]`:                           {Type: Event, Namespace: "/", ID: 12, HasID: true, Data: []byte(`["foo"]`)},
		`2/admin,0["foo"]`:                     {Type: Event, Namespace: "/admin", HasID: true, Data: []byte(`["foo"]`)},
		`29007199254740992["foo"]`:             {Type: Event, Namespace: "/", ID: 1 << 53, HasID: true, Data: []byte(`["foo"]`)},
		`2["a",{"_placeholder":true,"num":5}]`: {Type: Event, Namespace: "/", Data: []byte(`["a",{"_placeholder":true,"num":5}]`)},
		`3/admin,13["bar"]`:                    {Type: Ack, Namespace: "/admin", ID: 13, HasID: true, Data: []byte(`["bar"]`)},
		`313`:                                  {Type: Ack, Namespace: "/", ID: 13, HasID: true, Data: []byte(`[]`)},
		`3/admin,13`:                           {Type: Ack, Namespace: "/admin", ID: 13, HasID: true, Data: []byte(`[]`)},
		`3`:                                    {Type: Ack, Namespace: "/", Data: []byte(`[]`)},
		`313[]`:                                {Type: Ack, Namespace: "/", ID: 13, HasID: true, Data: []byte(`[]`)},
		`4"Unauthorized"`:                      {Type: ConnectError, Namespace: "/", Data: []byte(`"Unauthorized"`)},
		`4{"message":"Unauthorized"}`:          {Type: ConnectError, Namespace: "/", Data: []byte(`{"message":"Unauthorized"}`)},
		`4`:                                    {Type: ConnectError, Namespace: "/"},
		`50-["foo"]`:                           {Type: Event, Namespace: "/", Data: []byte(`["foo"]`)},
		`60-7[]`:                               {Type: Ack, Namespace: "/", ID: 7, HasID: true, Data: []byte(`[]`)},
		"2[\"a\xff\"]":                         {Type: Event, Namespace: "/", Data: []byte("[\"a\ufffd\"]")},
	} {
		d := Text().NewDecoder(Limits{})
		got, err := d.Add(txt(in))
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("decode(%q) = %+v, %v, want %+v", in, got, err, want)
		}
		if d.Pending() {
			t.Errorf("decode(%q): still pending", in)
		}
	}
}

func TestTextDecodesAttachments(t *testing.T) {
	for _, c := range []struct {
		in   []Message
		want Packet
	}{
		{[]Message{txt(`51-["baz",{"_placeholder":true,"num":0}]`), bin(1, 2, 3)},
			Packet{Type: Event, Namespace: "/", Data: []byte(`["baz",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1, 2, 3}}}},
		{[]Message{txt(`52-/admin,["baz",{"num":1,"_placeholder":true},{ "_placeholder" : true , "num" : 0 }]`), bin(1), bin()},
			Packet{Type: Event, Namespace: "/admin", Data: []byte(`["baz",{"num":1,"_placeholder":true},{ "_placeholder" : true , "num" : 0 }]`), Attachments: [][]byte{{1}, {}}}},
		{[]Message{txt(`61-/admin,456[{"a":[{"_placeholder":true,"num":0}]}]`), bin(3, 2, 1)},
			Packet{Type: Ack, Namespace: "/admin", ID: 456, HasID: true, Data: []byte(`[{"a":[{"_placeholder":true,"num":0}]}]`), Attachments: [][]byte{{3, 2, 1}}}},
		{[]Message{txt(`51-["unused"]`), bin(1)},
			Packet{Type: Event, Namespace: "/", Data: []byte(`["unused"]`), Attachments: [][]byte{{1}}}},
		{[]Message{txt(`51-["no",{"_placeholder":false},{"_placeholder":true,"num":0}]`), bin(1)},
			Packet{Type: Event, Namespace: "/", Data: []byte(`["no",{"_placeholder":false},{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1}}}},
	} {
		d := Text().NewDecoder(Limits{})
		for i, m := range c.in {
			// What the decoder keeps may not refer to a message that is not the last.
			scratch := bytes.Clone(m.Data)
			got, err := d.Add(Message{Data: scratch, Binary: m.Binary})
			if i == len(c.in)-1 {
				if err != nil || got == nil || !reflect.DeepEqual(*got, c.want) {
					t.Errorf("decode(%q) = %+v, %v, want %+v", c.in[0].Data, got, err, c.want)
				}
			} else if got != nil || err != nil || !d.Pending() {
				t.Errorf("decode(%q): message %d gave %+v, %v", c.in[0].Data, i, got, err)
			} else {
				clear(scratch)
			}
		}
		if d.Pending() {
			t.Errorf("decode(%q): still pending", c.in[0].Data)
		}
	}
}

func TestTextRefuses(t *testing.T) {
	many := strings.Repeat("[", 600) + strings.Repeat("]", 600)
	for in, want := range map[string]error{
		``:                                       ErrUnknownType,
		`7["a"]`:                                 ErrUnknownType,
		`9`:                                      ErrUnknownType,
		`a["a"]`:                                 ErrUnknownType,
		"\xff":                                   ErrUnknownType,
		`5`:                                      ErrIllegalAttachments,
		`5-["a"]`:                                ErrIllegalAttachments,
		`51`:                                     ErrIllegalAttachments,
		`5.5-["a"]`:                              ErrIllegalAttachments,
		`5a-["a"]`:                               ErrIllegalAttachments,
		`5-1-["a"]`:                              ErrIllegalAttachments,
		`51["a"]`:                                ErrIllegalAttachments,
		`511-["a"]`:                              ErrTooManyAttachments,
		`599999999999999999999999999999-["a"]`:   ErrTooManyAttachments,
		`51-["a",{"_placeholder":true,"num":1}]`: ErrIllegalAttachments,
		`51-["a",{"_placeholder":true,"num":-1}]`:                              ErrIllegalAttachments,
		`51-["a",{"_placeholder":true,"num":0.5}]`:                             ErrIllegalAttachments,
		`51-["a",{"_placeholder":true,"num":"splice"}]`:                        ErrIllegalAttachments,
		`51-["a",{"_placeholder":true}]`:                                       ErrIllegalAttachments,
		`51-["a",{"num":0,"x":1,"_placeholder":true}]`:                         ErrIllegalAttachments,
		`51-["a",{"\u005fplaceholder":true,"num":9}]`:                          ErrIllegalAttachments,
		`51-["a",{"_placeholder":true,"num":99999999999999999999}]`:            ErrIllegalAttachments,
		`52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`: ErrIllegalAttachments,
		`51-`:                              ErrPayload,
		`2`:                                ErrPayload,
		`212`:                              ErrPayload,
		`2/admin`:                          ErrPayload,
		`2[]`:                              ErrPayload,
		`2["a"`:                            ErrPayload,
		`2["a"]x`:                          ErrPayload,
		`2["a"][]`:                         ErrPayload,
		`2{}`:                              ErrPayload,
		`2null`:                            ErrPayload,
		`2"a"`:                             ErrPayload,
		`2 `:                               ErrPayload,
		`2[null]`:                          ErrPayload,
		`2[true]`:                          ErrPayload,
		`2[{}]`:                            ErrPayload,
		`2[["a"]]`:                         ErrPayload,
		`2["connect"]`:                     ErrPayload,
		`2["disconnect","x"]`:              ErrPayload,
		`2["disconnecting"]`:               ErrPayload,
		`2["connect_error"]`:               ErrPayload,
		`2["newListener"]`:                 ErrPayload,
		`2["removeListener"]`:              ErrPayload,
		`2["\u0063onnect"]`:                ErrPayload,
		`50-["connect"]`:                   ErrPayload,
		`29007199254740993["a"]`:           ErrPayload,
		`299999999999999999999999999["a"]`: ErrPayload,
		`0""`:                              ErrPayload,
		`0[]`:                              ErrPayload,
		`0null`:                            ErrPayload,
		`0/admin,"invalid"`:                ErrPayload,
		`1{}`:                              ErrPayload,
		`1/admin,{}`:                       ErrPayload,
		`3{}`:                              ErrPayload,
		`4[]`:                              ErrPayload,
		`41.5`:                             ErrPayload,
		`2["a",` + many + `]`:              ErrDepth,
	} {
		d := Text().NewDecoder(Limits{})
		if p, err := d.Add(txt(in)); !errors.Is(err, want) || p != nil || d.Pending() {
			t.Errorf("decode(%.60q) = %+v, %v, pending %v, want %v", in, p, err, d.Pending(), want)
		}
	}
}

func TestTextDecoderKeepsItsLimitsAndOrder(t *testing.T) {
	head := txt(`52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
	d := Text().NewDecoder(Limits{MaxAttachmentBytes: 5})
	if _, err := d.Add(bin(1)); err != ErrBinary {
		t.Errorf("binary first: %v", err)
	}
	d.Add(head)
	if _, err := d.Add(txt(`2["a"]`)); err != ErrPlaintext || d.Pending() {
		t.Errorf("text between: %v", err)
	}
	d.Add(head)
	d.Add(bin(1, 2, 3))
	if _, err := d.Add(bin(4, 5, 6)); err != ErrAttachmentBytes || d.Pending() {
		t.Errorf("six bytes: %v", err)
	}
	for range 2 { // the sum starts anew with each packet
		d.Add(head)
		d.Add(bin(1, 2, 3))
		if p, err := d.Add(bin(4, 5)); err != nil || len(p.Attachments) != 2 {
			t.Errorf("five bytes: %v %v", p, err)
		}
	}
	d = Text().NewDecoder(Limits{MaxAttachments: 1, MaxDepth: 2})
	if _, err := d.Add(head); err != ErrTooManyAttachments {
		t.Errorf("two attachments: %v", err)
	}
	if _, err := d.Add(txt(`2["a",[]]`)); err != nil {
		t.Errorf("two levels: %v", err)
	}
	if _, err := d.Add(txt(`2["a",[{}]]`)); err != ErrDepth {
		t.Errorf("three levels: %v", err)
	}
}

func TestTextEncodes(t *testing.T) {
	for want, p := range map[string]Packet{
		`0`:                   {Type: Connect},
		`0/admin,{"sid":"x"}`: {Type: Connect, Namespace: "/admin", Data: []byte(`{"sid":"x"}`)},
		`1`:                   {Type: Disconnect, Namespace: "/"},
		`2["foo"]`:            {Type: Event, Namespace: "/", Data: []byte(`["foo"]`)},
		`2/a,12["foo"]`:       {Type: Event, Namespace: "/a", ID: 12, HasID: true, Data: []byte(`["foo"]`)},
		`30["foo"]`:           {Type: Ack, Namespace: "/", HasID: true, Data: []byte(`["foo"]`)},
		`4"no"`:               {Type: ConnectError, Namespace: "/", Data: []byte(`"no"`)},
		`51-["a"]|` + "\x01":  {Type: Event, Namespace: "/", Data: []byte(`["a"]`), Attachments: [][]byte{{1}}},
		`61-/n,7[]|` + "\x01": {Type: Ack, Namespace: "/n", ID: 7, HasID: true, Data: []byte(`[]`), Attachments: [][]byte{{1}}},
	} {
		ms := Text().Encode(nil, append(make([]byte, 0, 64), '4'), &p)
		var parts [][]byte
		for i, m := range ms {
			if m.Binary != (i > 0) {
				t.Errorf("encode(%+v): message %d binary %v", p, i, m.Binary)
			}
			parts = append(parts, m.Data)
		}
		if got := string(bytes.Join(parts, []byte("|"))); got != want {
			t.Errorf("encode(%+v) = %q, want %q", p, got, want)
		}
	}
}
