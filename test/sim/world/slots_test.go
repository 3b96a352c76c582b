//go:build !wasip1

package main

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/beanpole/beanpole/adapter/redis/redistest"
)

// TestSlotsAreAsRedisHasThem: a real Redis Cluster and the model answer the same script alike, before a slot is on its way to
// another master, while it is, and behind that.
func TestSlotsAreAsRedisHasThem(t *testing.T) {
	list := redistest.Cluster(t)
	ctx := t.Context()
	admin := make([]*redis.Client, len(list))
	ids := make([]string, len(list))
	for i, s := range list {
		admin[i] = redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1})
		defer func() { _ = admin[i].Close() }()
		var err error
		if ids[i], err = admin[i].Do(ctx, "cluster", "myid").Text(); err != nil {
			t.Fatal(err)
		}
	}
	slot, err := admin[0].ClusterKeySlot(ctx, "{k}").Result()
	if err != nil {
		t.Fatal(err)
	}
	from := 0
	for i := range list {
		if admin[i].Get(ctx, "{k}").Err() == redis.Nil {
			from = i
		}
	}
	const a, b, other = 0, 1, 2 // who has the slot, who gets it, and who has nothing to do with it
	at := []int{from, (from + 1) % 3, (from + 2) % 3}
	var conns [3]*redis.Conn
	for i := range conns {
		conns[i] = admin[at[i]].Conn()
		defer func() { _ = conns[i].Close() }()
	}
	model := struct {
		holds [3]holding
		keys  [3]map[string]bool
		says  [3]asker
	}{holds: [3]holding{a: {mine: true}}, keys: [3]map[string]bool{{}, {}, {}}}
	answer := func(k int, args []string) string { // of the model
		cmd := strings.ToUpper(args[0])
		var keys []string
		switch cmd {
		case "ASKING", "MULTI", "EXEC", "DISCARD":
		case "EVAL":
			keys = args[3:]
		case "MGET", "EXISTS":
			keys = args[1:]
		default:
			keys = args[1:2]
		}
		asking, keys := model.says[k].next(cmd, keys...)
		has := map[string]bool{}
		for _, key := range keys {
			has[key] = model.keys[k][key]
		}
		if len(has) == 0 {
			return ""
		}
		if no := model.holds[k].refusal(has, cmd == "SPUBLISH", asking); no != "" {
			model.says[k].refused()
			return no
		}
		if cmd == "SET" || cmd == "XADD" {
			model.keys[k][keys[0]] = true
		}
		return ""
	}
	script := func(when string) {
		for _, line := range []string{
			"0 set {k}1 x", "0 get {k}1", "0 get {k}none", "0 xlen {k}none", "0 xadd {k}2 * a b", "0 eval return(1) 1 {k}none", "0 spublish {k}none x",
			"1 get {k}1", "1 asking", "1 get {k}1", "1 get {k}1", "1 asking", "1 set {k}3 x", "1 set {k}4 x", "1 asking", "1 get {k}none",
			"1 spublish {k}1 x", "1 asking", "1 spublish {k}1 x", "1 eval return(1) 1 {k}3", "1 asking", "1 eval return(1) 1 {k}3",
			"1 asking", "1 multi", "1 get {k}3", "1 set {k}3 y", "1 exec", "1 get {k}3", "1 asking", "1 asking", "1 get {k}3",
			"0 asking", "0 get {k}1", "0 asking", "0 get {k}none",
			// Several keys, of which all, some or none are there.
			"0 mget {k}2 {k}1", "0 mget {k}2 {k}2", "0 mget {k}none {k}none", "0 mget {k}none {k}nil", "0 mget {k}2 {k}none",
			"0 eval return(1) 2 {k}1 {k}2", "0 eval return(1) 2 {k}none {k}2", "0 exists {k}none {k}1 {k}2", "0 asking", "0 mget {k}1 {k}2",
			"1 mget {k}1 {k}3", "1 asking", "1 mget {k}1 {k}3", "1 asking", "1 mget {k}1 {k}2", "1 asking", "1 mget {k}none {k}none",
			"1 asking", "1 mget {k}none {k}nil", "1 asking", "1 eval return(1) 2 {k}3 {k}none", "1 asking", "1 eval return(1) 2 {k}3 {k}3",
			"0 multi", "0 get {k}1", "0 get {k}2", "0 exec", "0 multi", "0 get {k}none", "0 get {k}2", "0 exec",
			"1 asking", "1 multi", "1 get {k}3", "1 get {k}none", "1 exec", "1 asking", "1 multi", "1 mget {k}3 {k}none", "1 get {k}3", "1 exec",
			"2 mget {k}1 {k}none",
			"2 get {k}1", "2 asking", "2 get {k}1", "2 spublish {k}1 x",
		} {
			args := strings.Fields(line)
			k := int(args[0][0] - '0')
			args = args[1:]
			of := make([]any, len(args))
			for i, x := range args {
				of[i] = x
			}
			err := conns[k].Do(ctx, of...).Err()
			got := ""
			if err != nil && err != redis.Nil {
				got, _, _ = strings.Cut(err.Error(), " ")
			}
			if want := answer(k, args); got != want && (want != "" || got != "EXECABORT") { // of what was refused before

				t.Errorf("%s, %q: Redis answers %v, and the model %q", when, line, err, want)
			}
		}
	}
	do := func(k int, args ...any) {
		t.Helper()
		if err := admin[at[k]].Do(context.Background(), args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	script("before")
	do(b, "cluster", "setslot", slot, "importing", ids[at[a]])
	do(a, "cluster", "setslot", slot, "migrating", ids[at[b]])
	model.holds = [3]holding{a: {mine: true, goes: true}, b: {comes: true}}
	script("on its way")
	for _, key := range []string{"{k}1", "{k}2"} {
		do(a, "migrate", "127.0.0.1", list[at[b]].Port, key, 0, 5000)
		delete(model.keys[a], key)
		model.keys[b][key] = true
		script("when " + key + " has gone")
	}
	for key := range model.keys[a] {
		do(a, "migrate", "127.0.0.1", list[at[b]].Port, key, 0, 5000, "replace")
	}
	do(b, "cluster", "setslot", slot, "node", ids[at[b]])
	do(a, "cluster", "setslot", slot, "node", ids[at[b]])
	do(other, "cluster", "setslot", slot, "node", ids[at[b]])
	model.keys[b], model.keys[a] = model.keys[a], map[string]bool{}
	model.holds = [3]holding{b: {mine: true}}
	script("behind it")
}
