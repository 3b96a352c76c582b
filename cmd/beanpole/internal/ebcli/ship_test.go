package ebcli

import (
	"archive/zip"
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// The files that lint reads of a folder are those that the EB CLI uploads.
func TestLintReadsWhatIsShipped(t *testing.T) {
	files := map[string]string{
		"Procfile": "web: bin/application\n", "bin/application": "x", "a/b/c.ts": "x", "a/c.ts": "x", "a/c.js": "x", "notes.log": "x", "keep.log": "x",
		"tmp/x": "x", "x/tmp/y": "x", "editor~": "x", ".gitignore": "bin/\n*.log\n", ".hidden/x": "x", "docs/a.md": "x", "web/docs/a.md": "x",
	}
	for _, test := range []struct {
		name, ignore string
		after        func(t *testing.T, dir string) // the commit
	}{
		{name: "an .ebignore", ignore: ".git/\n# comment\n*.log\n!keep.log\n/docs\ntmp/\na/**/*.ts\n"},
		{name: "a commit", after: func(t *testing.T, dir string) {
			put(t, dir, "untracked", "x")
			put(t, dir, "Procfile", "web: other\n")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			with := make(map[string]string)
			for name, text := range files {
				with[name] = text
			}
			if test.ignore != "" {
				with[".ebignore"] = test.ignore
			}
			dir := project(t, with)
			if test.after != nil {
				test.after(t, dir)
			}
			a := newAWS(t)
			out := a.eb(t, dir, "appversion", "--create", "--label", "v", "--region", "eu-central-1")
			z, err := zip.NewReader(bytes.NewReader(a.upload), int64(len(a.upload)))
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var shipped []string
			for _, f := range z.File {
				if !strings.HasSuffix(f.Name, "/") {
					shipped = append(shipped, strings.TrimPrefix(f.Name, "./"))
				}
			}
			slices.Sort(shipped)
			b, err := lint.OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if read := b.Names(); !slices.Equal(read, shipped) {
				t.Errorf("lint reads %q, the EB CLI ships %q", read, shipped)
			}
		})
	}
}
