package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/beanpole/beanpole/test/sim/plan"
)

// Clients that poll by JSONP: an answer is a script that calls a function with a string, and a POST is a form.
// Source: engine.io-client 3, lib/transports/polling-jsonp.js.

// jsonp is what such a client adds to the query of its polls.
func (c *client) jsonp() string {
	if !c.w.plan.Does(plan.JSONP) {
		return ""
	}
	rng := c.w.rng(c.name + " jsonp")
	if rng.IntN(4) > 0 {
		return ""
	}
	return fmt.Sprintf("&j=%d", rng.IntN(20))
}

// unwrap returns the string in the script with which a poll of the client is answered.
func (c *client) unwrap(script string) (body string, err error) {
	text, ok := strings.CutPrefix(script, "___eio["+strings.TrimPrefix(c.jsonp(), "&j=")+"](")
	text, end := strings.CutSuffix(text, ");")
	if err := json.Unmarshal([]byte(text), &body); err != nil || !ok || !end || strings.ContainsAny(text, "\u2028\u2029\n") {
		return "", fmt.Errorf("the script %q (%v)", script, err)
	}
	c.w.count("polls by JSONP")
	return body, nil
}

// form is the form with a body. Forms do not keep newlines.
func form(body string) string {
	return "d=" + url.QueryEscape(strings.ReplaceAll(strings.ReplaceAll(body, `\n`, "\\\n"), "\n", `\n`))
}
