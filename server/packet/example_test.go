package packet_test

import (
	"fmt"

	"github.com/beanpole/beanpole/server/packet"
)

func Example() {
	type file struct {
		Name    string `json:"name"`
		Content []byte `json:"content"`
	}
	data, attachments, err := packet.AppendEvent(nil, nil, "upload", []any{file{"a.txt", []byte("hello")}, true})
	if err != nil {
		panic(err)
	}
	sent := packet.Packet{Type: packet.Event, Namespace: "/files", Data: data, Attachments: attachments}

	decoder := packet.Text().NewDecoder(packet.Limits{})
	var got *packet.Packet
	for _, m := range packet.Text().Encode(nil, nil, &sent) {
		fmt.Printf("%s\n", m.Data)
		if got, err = decoder.Add(m); err != nil {
			panic(err)
		}
	}
	elements, err := packet.Split(nil, got.Data)
	if err != nil {
		panic(err)
	}
	var f file
	var public bool
	if err := packet.DecodeArgs(elements[1:], got.Attachments, &f, &public); err != nil {
		panic(err)
	}
	fmt.Printf("%s %s %s %t\n", elements[0], f.Name, f.Content, public)
	// Output:
	// 51-/files,["upload",{"name":"a.txt","content":{"_placeholder":true,"num":0}},true]
	// hello
	// "upload" a.txt hello true
}
