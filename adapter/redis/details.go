package redis

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/beanpole/beanpole/adapter"
)

// details is a socket as nodes describe it (the answer to fetchSockets).
type details struct {
	ID        text `json:"id"`
	Handshake struct {
		Headers fields         `json:"headers"`
		Time    text           `json:"time"`
		Address text           `json:"address"`
		XDomain truthy         `json:"xdomain"`
		Secure  truthy         `json:"secure"`
		Issued  number         `json:"issued"`
		URL     text           `json:"url"`
		Query   fields         `json:"query"`
		Auth    jsontext.Value `json:"auth"`
	} `json:"handshake"`
	Rooms names          `json:"rooms"`
	Data  jsontext.Value `json:"data"`
}

func parseDetails(b []byte) ([]adapter.Details, error) {
	var list []details
	if err := json.Unmarshal(b, &list, lenient); err != nil {
		return nil, err
	}
	out := make([]adapter.Details, len(list))
	for i := range list {
		d, h := &list[i], &list[i].Handshake
		out[i] = adapter.Details{ID: string(d.ID), Rooms: d.Rooms, Data: adapter.Raw(d.Data), Handshake: adapter.Handshake{
			Headers: h.Headers.made(), Time: string(h.Time), Address: string(h.Address), XDomain: h.XDomain.is,
			Secure: h.Secure.is, Issued: int64(h.Issued), URL: string(h.URL), Query: h.Query.made(), Auth: adapter.Raw(h.Auth),
		}}
	}
	return out, nil
}

// fields is an object of texts, read into the map that is handed on.
type fields map[string]string

// made returns the map, which is never nil.
func (m fields) made() map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// UnmarshalJSONFrom reads an object, or null.
func (m *fields) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*m = nil
	switch d.PeekKind() {
	case 'n':
		return d.SkipValue()
	case '{':
	default:
		return errNoObject
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	*m = fields{}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		key := name.String() // before the next is read
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		var v text
		if err := v.UnmarshalJSON(value); err != nil {
			return err
		}
		(*m)[key] = string(v)
	}
	_, err := d.ReadToken()
	return err
}

var errNoObject = errors.New("no object")

// appendDetails appends the JSON array of list, which is never null.
func appendDetails(dst []byte, list []adapter.Details) []byte {
	dst = append(dst, '[')
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		d := &list[i]
		dst = append(dst, `{"id":`...)
		dst = appendQuoted(dst, d.ID)
		dst = append(dst, `,"handshake":{"headers":`...)
		dst = appendMap(dst, d.Handshake.Headers)
		dst = append(dst, `,"time":`...)
		dst = appendQuoted(dst, d.Handshake.Time)
		dst = append(dst, `,"address":`...)
		dst = appendQuoted(dst, d.Handshake.Address)
		dst = append(dst, `,"xdomain":`...)
		dst = appendBool(dst, d.Handshake.XDomain)
		dst = append(dst, `,"secure":`...)
		dst = appendBool(dst, d.Handshake.Secure)
		dst = append(dst, `,"issued":`...)
		dst = appendInt(dst, d.Handshake.Issued)
		dst = append(dst, `,"url":`...)
		dst = appendQuoted(dst, d.Handshake.URL)
		dst = append(dst, `,"query":`...)
		dst = appendMap(dst, d.Handshake.Query)
		dst = append(dst, `,"auth":`...)
		dst = appendRaw(dst, d.Handshake.Auth)
		dst = append(dst, `},"rooms":`...)
		dst = appendNames(dst, d.Rooms)
		dst = append(dst, `,"data":`...)
		dst = appendRaw(dst, d.Data)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendDescribed appends the array of the sockets that m describes.
func appendDescribed(dst []byte, m *message) []byte {
	if len(m.described) == 0 {
		return append(dst, "[]"...)
	}
	return append(dst, m.described...)
}

func appendMap(dst []byte, m map[string]string) []byte {
	dst = append(dst, '{')
	for k, v := range m {
		dst = appendQuoted(comma(dst), k)
		dst = appendQuoted(append(dst, ':'), v)
	}
	return append(dst, '}')
}

func appendRaw(dst []byte, r adapter.Raw) []byte {
	if len(r) == 0 {
		return append(dst, "{}"...)
	}
	return append(dst, r...)
}

func appendBool(dst []byte, v bool) []byte { return strconv.AppendBool(dst, v) }

func appendInt(dst []byte, v int64) []byte { return strconv.AppendInt(dst, v, 10) }

// text is a string, or what JavaScript makes one of.
type text string

// UnmarshalJSON reads a string, the text of a number or bool, or a list joined with commas.
func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	switch {
	case len(b) == 0, b[0] == 'n', b[0] == '{':
	case b[0] == '"':
		if s := b[1 : len(b)-1]; bytes.IndexByte(s, '\\') < 0 && utf8.Valid(s) { // nearly all: a tenth of the time
			*t = text(s)
			return nil
		}
		return json.Unmarshal(b, (*string)(t), lenient)
	case b[0] == '[':
		var list []text
		if err := json.Unmarshal(b, &list, lenient); err != nil {
			return err
		}
		for i, s := range list {
			if i > 0 {
				*t += ", "
			}
			*t += s
		}
	default:
		*t = text(b)
	}
	return nil
}
