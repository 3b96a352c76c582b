package servertest

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/beanpole/beanpole/client"
)

// Ask emits an event, waits for the acknowledgement and returns its first value as a T. It fails the test when none
// comes for as long as Expect waits, when the value does not fit, and when it is a handler's error: that is what AskFails is for.
func Ask[T any](c *Client, name string, args ...any) (value T) {
	c.t.Helper()
	answer := c.ask(name, args)
	if text, ok := failure(answer); ok {
		c.t.Fatalf("%s: %q is answered with an error: %s", c.Namespace(), name, text)
	}
	if err := answer.Decode(0, &value); err != nil {
		c.t.Fatalf("%s: the answer to %q is no %T: %v: %s", c.Namespace(), name, value, err, answer.Raw(0))
	}
	return value
}

// AskFails emits an event that its handler must answer with an error, and returns the text of that.
func AskFails(c *Client, name string, args ...any) string {
	c.t.Helper()
	answer := c.ask(name, args)
	text, ok := failure(answer)
	if !ok {
		c.t.Fatalf("%s: %q is answered, and not with an error: %s", c.Namespace(), name, show(answer))
	}
	return text
}

// Expect waits for the next event of that name and returns its first argument as a T. Events of other names that have
// come before stay, each for its own Expect. It fails the test when none comes for a day in a bubble of testing/synctest,
// which takes no time there, and for ten seconds outside.
func Expect[T any](c *Client, name string) (value T) {
	c.t.Helper()
	args := c.ExpectArgs(name)
	if err := args.Decode(0, &value); err != nil {
		c.t.Fatalf("%s: the argument of %q is no %T: %v: %s", c.Namespace(), name, value, err, args.Raw(0))
	}
	return value
}

// ask waits for an acknowledgement.
func (c *Client) ask(name string, args []any) client.Args {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), c.patience)
	defer cancel()
	answer, err := c.EmitWithAck(ctx, name, args...)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		c.mu.Lock()
		defer c.mu.Unlock()
		c.t.Fatalf("%s: nothing answers %q: is there a handler of that event, and does it return? %s", c.Namespace(), name, c.told())
	case err != nil:
		c.t.Fatalf("%s: %q: %v", c.Namespace(), name, err)
	}
	return answer
}

// failure returns the text of an acknowledgement that is a handler's error: {"error":"text"}, perhaps with data.
func failure(answer client.Args) (text string, ok bool) {
	var fields map[string]json.RawMessage
	if answer.Len() != 1 || json.Unmarshal(answer.Raw(0), &fields) != nil {
		return "", false
	}
	delete(fields, "data")
	raw, ok := fields["error"]
	if !ok || len(fields) > 1 || json.Unmarshal(raw, &text) != nil {
		return "", false
	}
	return text, true
}
