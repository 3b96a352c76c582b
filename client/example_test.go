package client_test

import (
	"context"
	"log"

	"github.com/beanpole/beanpole/client"
)

// Message, Receipt and the functions are an application's.
type (
	Message struct {
		Text string `json:"text"`
	}
	Receipt struct {
		ID int `json:"id"`
	}
)

func store(Message) (Receipt, error) { return Receipt{}, nil }
func show(Message)                   {}

func ExampleDial() {
	run := func(ctx context.Context, line string) error {
		s, err := client.Dial(ctx, "https://api.example.com", client.Config{})
		if err != nil {
			return err // a *client.ConnectError when the server refuses
		}
		defer s.Client().Close(ctx)

		s.On("message", func(m Message) (Receipt, error) { return store(m) }) // the result is the acknowledgement
		err = s.Emit("join", "lobby")
		receipt, err := client.Ask[Receipt](ctx, s, "order", line)
		log.Print(receipt)
		return err
	}
	_ = run
}

func ExampleNew() {
	run := func(ctx context.Context, token string) error {
		c, err := client.New("https://api.example.com", client.Config{Auth: map[string]string{"token": token}})
		if err != nil {
			return err
		}
		defer c.Close(ctx)

		chat := c.Of("/chat")
		chat.OnConnect(func() { log.Print("connected as ", chat.ID(), ", recovered: ", chat.Recovered()) })
		chat.OnDisconnect(func(why client.Reason, err error) { log.Print(why, err) })
		chat.On("message", func(m Message) { show(m) })
		err = chat.Connect(ctx) // further namespaces share the connection
		return err
	}
	_ = run
}
