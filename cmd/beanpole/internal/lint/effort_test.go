package lint

import (
	"fmt"
	resyntax "regexp/syntax"
	"strings"
	"testing"
)

// What is paid for an expression before it is made is no less than what it becomes.
func FuzzProgramSize(f *testing.F) {
	for _, text := range []string{"", "a", `(\w{1,1000})Nx`, "((.*)*x{1000})", "a|b|", "(a|b|c)*?", "(?i)k", "[^a]+", "(?:a{2,3}){3,}", "((((a))))", "x{0}", `\b$^.(?s).`, `(\pL{1,30}){1,30}`, "(|a)*", "(a{0,3}b?)+"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tree, err := resyntax.Parse(text, resyntax.Perl)
		if err != nil || programSize(tree) > 100_000 {
			t.Skip()
		}
		program, err := resyntax.Compile(tree.Simplify())
		if err != nil {
			t.Skip()
		}
		if size := programSize(tree); size+2 < len(program.Inst) {
			t.Errorf("%q becomes %d instructions, and is taken for %d", text, len(program.Inst), size)
		}
	})
}

// slowExpressions are each short, and long to read, to make or to run: as often as they are asked, it comes to an end.
var slowExpressions = map[string]string{
	"much to make":       `(\w{1,1000})Nx`,
	"much to run":        strings.Repeat("(.*)*", 100) + "x",
	"many groups":        strings.Repeat("(a|b|/)*", 400) + "x",
	"classes of Unicode": strings.Repeat(`[^\pL\pN]`, 300),
	"ranges of Unicode":  "(?i)" + strings.Repeat("[B-\U0001e900]", 300),
	"a look back":        strings.Repeat("(?=(.*)*)", 20) + "(a|b|/)*x(?!y)",
}

func TestSlowExpressionsComeToAnEnd(t *testing.T) {
	for about, text := range slowExpressions {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			e := newEffort()
			n := 0
			for ; !e.spent(); n++ {
				if n > 200_000 {
					t.Fatalf("%d of them take no effort", n)
				}
				_ = e.match(e.expression(fmt.Sprintf("%s%d", text, n)), strings.Repeat("/ab", 30))
			}
			t.Logf("after %d", n)
		})
	}
}

// Of expressions as people have them there may be thousands.
func TestManyExpressionsAreRead(t *testing.T) {
	b := good(t)
	var lines strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&lines, "location ~* \"^/shop-%d/(\\d+)-([a-z0-9-]+)\\.html$\" { return 301 /s/$1; }\nrewrite ^/old/%d/([^/]+)/?$ /new/$1 permanent;\n", i, i)
	}
	b.Add(inServer, 0o644, []byte(lines.String()))
	for _, f := range Run(t.Context(), b, Options{Platform: Go, Nginx: "off"}) {
		t.Errorf("%s: %s [%s]", f.Where(), f.What, f.Check)
	}
}
