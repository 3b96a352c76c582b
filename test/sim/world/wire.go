package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// frame is one Engine.IO packet: a text with its type in front, or the bytes of a binary message.
type frame struct {
	text string
	bin  []byte // if not nil
	of   *sent  // the event that is whole with it, if it is one of a client's
}

func (f frame) String() string {
	if f.bin != nil {
		return fmt.Sprintf("<%d bytes>", len(f.bin))
	}
	return f.text
}

// payload is packets as a polling body. Source: engine.io-protocol, HTTP long-polling.
func payload(frames []frame) string {
	parts := make([]string, len(frames))
	for i, f := range frames {
		if f.bin != nil {
			parts[i] = "b" + base64.StdEncoding.EncodeToString(f.bin)
		} else {
			parts[i] = f.text
		}
	}
	return strings.Join(parts, "\x1e")
}

// frames are the packets of a polling body.
func frames(body string) ([]frame, error) {
	var out []frame
	for part := range strings.SplitSeq(body, "\x1e") {
		switch {
		case part == "":
			return nil, fmt.Errorf("empty packet in %q", body)
		case part[0] == 'b':
			b, err := base64.StdEncoding.DecodeString(part[1:])
			if err != nil {
				return nil, err
			}
			out = append(out, frame{bin: append([]byte{}, b...)})
		default:
			out = append(out, frame{text: part})
		}
	}
	return out, nil
}

// The types of Socket.IO packets. Source: socket.io-protocol 5.
const (
	typeConnect      = '0'
	typeDisconnect   = '1'
	typeEvent        = '2'
	typeAck          = '3'
	typeConnectError = '4'
	typeBinaryEvent  = '5'
	typeBinaryAck    = '6'
)

// packet is one Socket.IO packet.
type packet struct {
	kind        byte
	nsp         string
	id          int // -1 if there is none
	attachments int
	data        json.RawMessage
	bins        [][]byte
}

// parse reads the text of a packet, as strictly as socket.io-parser's decodeString.
func parse(s string) (p packet, err error) {
	if s == "" || s[0] < '0' || s[0] > '6' {
		return p, fmt.Errorf("unknown packet type in %q", s)
	}
	p = packet{kind: s[0], nsp: "/", id: -1}
	whole := s
	s = s[1:]
	if p.kind == typeBinaryEvent || p.kind == typeBinaryAck {
		n, rest, ok := strings.Cut(s, "-")
		if p.attachments, err = strconv.Atoi(n); !ok || err != nil {
			return p, fmt.Errorf("illegal attachments in %q", whole)
		}
		s = rest
	}
	if strings.HasPrefix(s, "/") {
		p.nsp, s, _ = strings.Cut(s, ",")
	}
	digits := 0
	for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	if digits > 0 {
		p.id, _ = strconv.Atoi(s[:digits])
		s = s[digits:]
	}
	if s != "" {
		p.data = json.RawMessage(s)
		if !json.Valid(p.data) {
			return p, fmt.Errorf("invalid payload in %q", whole)
		}
	}
	return p, nil
}

// text is the packet as a client sends it.
func (p packet) text() string {
	var b strings.Builder
	b.WriteByte('4')
	b.WriteByte(p.kind)
	if p.attachments > 0 {
		fmt.Fprintf(&b, "%d-", p.attachments)
	}
	if p.nsp != "/" {
		b.WriteString(p.nsp)
		b.WriteByte(',')
	}
	if p.id >= 0 {
		b.WriteString(strconv.Itoa(p.id))
	}
	b.Write(p.data)
	return b.String()
}

// values decodes the arguments, with the binaries in their places.
func (p packet) values() ([]any, error) {
	var list []any
	if err := json.Unmarshal(p.data, &list); err != nil {
		return nil, err
	}
	used := 0
	var fill func(v any) (any, error)
	fill = func(v any) (any, error) {
		switch x := v.(type) {
		case []any:
			for i := range x {
				y, err := fill(x[i])
				if err != nil {
					return nil, err
				}
				x[i] = y
			}
		case map[string]any:
			if x["_placeholder"] == true {
				n, ok := x["num"].(float64)
				if !ok || int(n) >= len(p.bins) {
					return nil, fmt.Errorf("illegal attachment %v of %d", x["num"], len(p.bins))
				}
				used++
				return p.bins[int(n)], nil
			}
			for k := range x {
				y, err := fill(x[k])
				if err != nil {
					return nil, err
				}
				x[k] = y
			}
		}
		return v, nil
	}
	if _, err := fill(list); err != nil {
		return nil, err
	}
	if used != len(p.bins) {
		return nil, fmt.Errorf("%d attachments, %d used", len(p.bins), used)
	}
	return list, nil
}

// encode is JSON as JavaScript writes it. No text of the world looks like what Go writes instead.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return json.RawMessage(raw.Replace(string(b)))
}

var raw = strings.NewReplacer(`\u2028`, "\u2028", `\u003c`, "<", `\u003e`, ">", `\u0026`, "&")
