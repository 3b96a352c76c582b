package lint

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// bundleCase breaks the good bundle in one way. The finding must have that name, at that place; without what breaks, or
// when it is mended, there is none at all.
type bundleCase struct {
	about, check, where string
	platform            Platform // "" means Go
	breaks              func(t *testing.T, b *Bundle)
	mends               func(t *testing.T, b *Bundle) // after breaks; nil means to leave that out
}

// cases are all of them.
func cases() []bundleCase {
	return slices.Concat(brokenBundles, brokenImages, missedBundles, moreBundles, gapBundles, passingBundles, needsBundles, contraryBundles, unreadBundles)
}

func (c bundleCase) bundle(t *testing.T) (*Bundle, Options) {
	if c.platform == Docker {
		return goodDocker(t), Options{Platform: Docker}
	}
	return good(t), Options{Platform: Go}
}

func TestBrokenBundlesAreNamed(t *testing.T) {
	for _, test := range cases() {
		t.Run(test.check+"/"+test.about, func(t *testing.T) {
			t.Parallel()
			b, o := test.bundle(t)
			before := overlayOf(b)
			test.breaks(t, b)
			if test.check != "nginx-test" {
				o.Nginx = "off"
			}
			findings := Run(t.Context(), b, o)
			at := place(t, b, test.where)
			found := slices.ContainsFunc(findings, func(f Finding) bool {
				if f.Check == test.check && (f.What == "" || f.Why == "" || f.Fix == "") {
					t.Errorf("finding %+v does not say everything", f)
				}
				return f.Check == test.check && strings.HasPrefix(f.Where(), at)
			})
			if !found {
				t.Errorf("no %s at %s in:", test.check, at)
				tell(t, findings)
			}
			if test.mends == nil {
				return
			}
			test.mends(t, b)
			if overlayOf(b) != before {
				o.Nginx = "" // what nginx says of it
			}
			if findings := Run(t.Context(), b, o); len(findings) > 0 {
				t.Error("mended, the bundle has findings:")
				tell(t, findings)
			}
		})
	}
}

// overlayOf returns all nginx files of a bundle.
func overlayOf(b *Bundle) string {
	var out strings.Builder
	for _, name := range b.under(".platform/nginx") {
		out.WriteString(name + "\n" + string(b.text(name)))
	}
	return out.String()
}

func tell(t *testing.T, findings []Finding) {
	t.Helper()
	for _, f := range findings {
		t.Logf("%s: %v: %s [%s]", f.Where(), f.Severity, f.What, f.Check)
	}
}

// place makes file:line of file|text, the first line that has the text.
func place(t *testing.T, b *Bundle, where string) string {
	t.Helper()
	file, text, ok := strings.Cut(where, "|")
	if !ok {
		return where
	}
	n := 0
	for line := range strings.Lines(string(b.text(file))) {
		if n++; strings.Contains(line, text) {
			return fmt.Sprintf("%s:%d", file, n)
		}
	}
	t.Fatalf("%s does not contain %q", file, text)
	return ""
}

var update = flag.Bool("update", false, "write docs/lint.md anew")

const document = "../../../../docs/lint.md"

// The document has every case, by the name of its finding, and their number. After a new one:
// go test ./cmd/beanpole/internal/lint -run DocumentHasEveryCase -update
func TestDocumentHasEveryCase(t *testing.T) {
	raw, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	byCheck := make(map[string][]string)
	for _, c := range cases() {
		byCheck[c.check] = append(byCheck[c.check], c.about)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%d findings, %d cases:\n\n| Finding | Cases |\n|---|---|\n", len(byCheck), len(cases()))
	for _, check := range keys(byCheck) {
		fmt.Fprintf(&table, "| `%s` | %s |\n", check, strings.Join(byCheck[check], "; "))
	}
	before, rest, ok := strings.Cut(string(raw), "<!-- table begins -->\n")
	_, after, ok2 := strings.Cut(rest, "<!-- table ends -->\n")
	if !ok || !ok2 {
		t.Fatal("no table in the document")
	}
	want := before + "<!-- table begins -->\n" + table.String() + "<!-- table ends -->\n" + after
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(raw) != want {
		t.Error("docs/lint.md is not what the cases are: run this test with -update")
	}
}

// Each finding that the code can make has a case.
func TestEveryFindingHasACase(t *testing.T) {
	has := make(map[string]bool)
	for _, c := range cases() {
		has[c.check] = true
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`(?:Check: |f\.Check, .*= |bad\(|nginxFinding\(t, \w+, |e\.broken\()"([a-z0-9-]+)"`)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			if !has[m[1]] {
				t.Errorf("%s: no case for %s", f.Name(), m[1])
			}
		}
	}
}
