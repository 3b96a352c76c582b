package transport

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestJSONPIndex(t *testing.T) {
	tests := []struct {
		query, want string
		ok          bool
	}{
		{"transport=polling", "", false},
		{"j=0", "0", true},
		{"j=12", "12", true},
		{"j=1);alert(2", "12", true},
		{"j=", "", true},
		{"j=1&j=2", "2", true},
	}
	for _, tt := range tests {
		q, _ := url.ParseQuery(strings.ReplaceAll(tt.query, ";", "%3B"))
		if got, ok := jsonpIndex(q); got != tt.want || ok != tt.ok {
			t.Errorf("jsonpIndex(%q) = %q, %v, want %q, %v", tt.query, got, ok, tt.want, tt.ok)
		}
	}
}

func TestAppendJSONP(t *testing.T) {
	tests := []struct{ in, want string }{
		{`0{"sid":"x"}`, `___eio[3]("0{\"sid\":\"x\"}");`},
		{"4a\x1e4b", `___eio[3]("4a\u001e4b");`},
		{"a\nb\tc\rd\be\ff\\g", `___eio[3]("a\nb\tc\rd\be\ff\\g");`},
		{"\u2028\u2029€😀", `___eio[3]("\u2028\u2029€😀");`},
		{"</script>&", `___eio[3]("</script>&");`},
		{"\x7f", "___eio[3](\"\x7f\");"},
		{"", `___eio[3]("");`},
	}
	for _, tt := range tests {
		if got := appendJSONP(nil, "3", []byte(tt.in)); string(got) != tt.want {
			t.Errorf("appendJSONP(%q) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

// The newline rules are those of polling-jsonp.ts.
func TestDecodeJSONPForm(t *testing.T) {
	tests := []struct {
		in, want string
		err      error
	}{
		{"d=4hello", "4hello", nil},
		{"d=4a%20b+c%26d", "4a b c&d", nil},
		{"x=1&d=4a&y", "4a", nil},
		{`d=4a\nb`, "4a\nb", nil},
		{`d=4a\\nb`, `4a\nb`, nil},
		{`d=4a\\\nb`, `4a\\nb`, nil},
		{`d=4a\tb\`, `4a\tb\`, nil},
		{"d=%5Cn%5C%5Cn", "\n\\n", nil},
		{"d=%E2%82%AC", "€", nil},
		{"d=100%", "100%", nil},
		{"d=%zz%4", "%zz%4", nil},
		{"d=a=b", "a=b", nil},
		{"d=", "", nil},
		{"d", "", nil},
		{"", "", errJSONPForm},
		{"x=1", "", errJSONPForm},
		{"d=1&d=2", "", errJSONPForm},
	}
	for _, tt := range tests {
		got, err := decodeJSONPForm([]byte(tt.in))
		if string(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("decodeJSONPForm(%q) = %q, %v, want %q, %v", tt.in, got, err, tt.want, tt.err)
		}
	}
}

func FuzzAppendJSONP(f *testing.F) {
	f.Add("4a\x1e4b\u2028\n\\\"")
	f.Fuzz(func(t *testing.T, in string) {
		out := string(appendJSONP(nil, "0", []byte(in)))
		out, ok := strings.CutPrefix(out, "___eio[0](")
		out, ok2 := strings.CutSuffix(out, ");")
		var back string
		if err := json.Unmarshal([]byte(out), &back); !ok || !ok2 || err != nil {
			t.Fatalf("%q: %s, %v", in, out, err)
		}
		if utf8.ValidString(in) && back != in {
			t.Fatalf("%q came back as %q", in, back)
		}
		if strings.ContainsAny(out, "\u2028\u2029\n\r") {
			t.Fatalf("a line terminator in %q", out)
		}
	})
}

func FuzzDecodeJSONPForm(f *testing.F) {
	f.Add("4hello\n\\n")
	f.Fuzz(func(t *testing.T, in string) {
		decodeJSONPForm([]byte(in))
		// What the client does: escape \n, then newlines, then the form.
		escaped := strings.ReplaceAll(strings.ReplaceAll(in, `\n`, `\\n`), "\n", `\n`)
		got, err := decodeJSONPForm([]byte("d=" + url.QueryEscape(escaped)))
		if err != nil {
			t.Fatal(err)
		}
		// A backslash before a newline is ambiguous in the client's escape.
		if !strings.Contains(in, "\\\n") && string(got) != in {
			t.Fatalf("%q came back as %q", in, got)
		}
	})
}
