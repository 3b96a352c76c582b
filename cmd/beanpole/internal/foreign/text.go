package foreign

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible is a text in which nothing acts on a terminal: control characters, marks that turn the direction of writing, and
// bytes that are no UTF-8 become \u001b and the like, as JSON writes them. Ends of lines and tabs stay.
func Visible(text string) string { return visible(text, true) }

// Line is Visible for a text that stands on one line, and can make no other of its own.
func Line(text string) string { return visible(text, false) }

func visible(text string, lines bool) string {
	acts := func(r rune) bool {
		return r == utf8.RuneError || (r != '\n' && r != '\t' || !lines) && unicode.IsControl(r) ||
			unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
	}
	if strings.IndexFunc(text, acts) < 0 {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		if acts(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// Writer writes for people: everything goes through Visible.
type Writer struct{ io.Writer }

// Write writes b, whose letters are whole.
func (w Writer) Write(b []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, Visible(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}
