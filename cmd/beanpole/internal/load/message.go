package load

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// word is what a message is known by: "bp", the run, and in hexadecimal digits of fixed length the row that it belongs to, its number
// within that and when it was due, in microseconds since the beginning of the run.
type word struct {
	row, seq uint32
	due      time.Duration
}

const (
	prefixLen = 2 + 8
	wordLen   = prefixLen + 8 + 8 + 12
)

// ofSession marks the row of events that one session sends, which is no broadcast's.
const ofSession = 1 << 31

// newPrefix returns what the words of a run begin with.
func newPrefix() []byte {
	b := make([]byte, 4)
	rand.Read(b)
	return append([]byte("bp"), hex.EncodeToString(b)...)
}

func (w word) append(dst, prefix []byte) []byte {
	return fmt.Appendf(append(dst, prefix...), "%08x%08x%012x", w.row, w.seq, w.due.Microseconds())
}

// find looks for the first word in data.
func find(data, prefix []byte) (w word, ok bool) {
	i := bytes.Index(data, prefix)
	if i < 0 || len(data)-i < wordLen {
		return w, false
	}
	digits := string(data[i+prefixLen : i+wordLen])
	row, e1 := strconv.ParseUint(digits[:8], 16, 32)
	seq, e2 := strconv.ParseUint(digits[8:16], 16, 32)
	due, e3 := strconv.ParseUint(digits[16:], 16, 63)
	return word{uint32(row), uint32(seq), time.Duration(due) * time.Microsecond}, errors.Join(e1, e2, e3) == nil
}

// pattern is the arguments of an event, each as JSON.
type pattern []json.RawMessage

// parse reads a pattern of arguments. {id} has to be somewhere in it, as it is what comes back that is counted.
func parse(text string, rooms bool) (t pattern, err error) {
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return nil, fmt.Errorf("arguments %s: want a JSON list: %w", text, err)
	}
	if !strings.Contains(text, "{id}") || rooms && !strings.Contains(text, "{room}") {
		return nil, fmt.Errorf("arguments %s: want {id} within a string, and {room} where there are rooms", text)
	}
	return t, nil
}

// fill returns the arguments of one message.
func (t pattern) fill(id []byte, room string) []any {
	list := make([]any, len(t))
	for i, a := range t {
		a = bytes.ReplaceAll(a, []byte("{id}"), id)
		list[i] = json.RawMessage(bytes.ReplaceAll(a, []byte("{room}"), []byte(room)))
	}
	return list
}

// roomName is the name of a room.
func roomName(n int) string { return "load-" + strconv.Itoa(n) }
