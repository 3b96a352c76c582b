package project

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

const gone = "\x00" // a file that is not there

func lines(of ...string) string { return strings.Join(of, "\n") + "\n" }

// TestUpdateOfOneFile has every way in which a file can be before an update.
func TestUpdateOfOneFile(t *testing.T) {
	abc, aXc := lines("a", "b", "c"), lines("a", "X", "c")
	long, mine, theirs := lines("1", "2", "3", "4", "5", "6"), lines("one", "2", "3", "4", "5", "6"), lines("1", "2", "3", "4", "5", "six")
	for _, test := range []struct {
		name                string
		base, mine, theirs  string
		keep, take          bool
		action              Action // "" means nothing to say
		becomes, remembered string
	}{
		{name: "nothing has changed", base: abc, mine: abc, theirs: abc, becomes: abc, remembered: abc},
		{name: "the bundle has", base: abc, mine: abc, theirs: aXc, action: Updated, becomes: aXc, remembered: aXc},
		{name: "the project has", base: abc, mine: aXc, theirs: abc, becomes: aXc, remembered: abc},
		{name: "both, in the same way", base: abc, mine: aXc, theirs: aXc, becomes: aXc, remembered: aXc},
		{name: "both, elsewhere", base: long, mine: mine, theirs: theirs, action: Merged, becomes: lines("one", "2", "3", "4", "5", "six"), remembered: theirs},
		{name: "both, in the same line", base: abc, mine: aXc, theirs: lines("a", "Y", "c"), action: Conflict, becomes: aXc, remembered: abc},
		{name: "both, put in at the same place", base: lines("a"), mine: lines("a", "mine"), theirs: lines("a", "theirs"), action: Conflict, becomes: lines("a", "mine"), remembered: lines("a")},
		{name: "the project has changed what the bundle takes away", base: abc, mine: aXc, theirs: lines("a"), action: Conflict, becomes: aXc, remembered: abc},
		{name: "a conflict kept", base: abc, mine: aXc, theirs: lines("a", "Y", "c"), keep: true, action: Kept, becomes: aXc, remembered: lines("a", "Y", "c")},
		{name: "a conflict taken", base: abc, mine: aXc, theirs: lines("a", "Y", "c"), take: true, action: Replaced, becomes: lines("a", "Y", "c"), remembered: lines("a", "Y", "c")},
		{name: "new", base: gone, mine: gone, theirs: abc, action: Created, becomes: abc, remembered: abc},
		{name: "new, and there already", base: gone, mine: abc, theirs: abc, becomes: abc, remembered: abc},
		{name: "new, and another is there", base: gone, mine: aXc, theirs: abc, action: Differs, becomes: aXc, remembered: gone},
		{name: "new, and another is there and kept", base: gone, mine: aXc, theirs: abc, keep: true, action: Kept, becomes: aXc, remembered: abc},
		{name: "deleted by the project", base: abc, mine: gone, theirs: abc, becomes: gone, remembered: abc},
		{name: "deleted by the project, newer in the bundle", base: abc, mine: gone, theirs: aXc, action: Kept, becomes: gone, remembered: aXc},
		{name: "deleted by the project, and taken all the same", base: abc, mine: gone, theirs: aXc, take: true, action: Replaced, becomes: aXc, remembered: aXc},
		{name: "deleted by the bundle", base: abc, mine: abc, theirs: gone, action: Removed, becomes: gone, remembered: gone},
		{name: "deleted by both", base: abc, mine: gone, theirs: gone, becomes: gone, remembered: gone},
		{name: "deleted by the bundle, changed by the project", base: abc, mine: aXc, theirs: gone, action: Conflict, becomes: aXc, remembered: abc},
		{name: "deleted by the bundle, changed and kept", base: abc, mine: aXc, theirs: gone, keep: true, action: Kept, becomes: aXc, remembered: gone},
		{name: "deleted by the bundle, changed and taken", base: abc, mine: aXc, theirs: gone, take: true, action: Replaced, becomes: gone, remembered: gone},
		{name: "with the line ends of Windows", base: abc, mine: strings.ReplaceAll(abc, "\n", "\r\n"), theirs: aXc, action: Updated, becomes: aXc, remembered: aXc},
	} {
		for _, diff := range []bool{true, false} {
			name, dir := "x/file.config", t.TempDir()
			f, err := openFolder(dir, false)
			if err != nil {
				t.Fatal(err)
			}
			defer f.close()
			of := func(text string) files {
				if text == gone {
					return files{}
				}
				return files{name: text}
			}
			if test.mine != gone {
				put(t, dir, name, test.mine)
			}
			o := UpdateOptions{Diff: diff}
			if test.keep {
				o.Keep = []string{"./x/file.config"}
			}
			if test.take {
				o.Take = []string{name}
			}
			old := manifest{Version: "0.0.1", Choice: good(), base: of(test.base)}
			if err := writeManifest(f, old); err != nil {
				t.Fatal(err)
			}
			r, err := bring(f, old, of(test.theirs), o)
			if err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			var action Action
			if len(r.Changes) > 0 {
				action = r.Changes[0].Action
			}
			if action != test.action {
				t.Errorf("%s: %q, want %q", test.name, action, test.action)
			}
			becomes, remembered := strings.ReplaceAll(test.becomes, "\r", ""), test.remembered
			if diff {
				becomes, remembered = strings.ReplaceAll(test.mine, "\r", ""), test.base
			}
			got, there, err := f.text(name)
			if err != nil || there != (becomes != gone) || there && got != becomes {
				t.Errorf("%s: the file becomes %q (there: %v, %v), want %q", test.name, got, there, err, becomes)
			}
			m, err := readManifest(f)
			if err != nil {
				t.Fatal(err)
			}
			base, known := m.base[name]
			if known != (remembered != gone) || known && base != remembered {
				t.Errorf("%s: remembered is %q (known: %v), want %q", test.name, base, known, remembered)
			}
		}
	}
}

func TestUpdateOfWhatIsNoFileOfTheBundle(t *testing.T) {
	f, err := openFolder(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	_, err = bring(f, manifest{Choice: good(), base: files{}}, files{"a": "a\n"}, UpdateOptions{Keep: []string{"b"}})
	if wrong := new(UsageError); !errors.As(err, &wrong) || wrong.Name != "keep" {
		t.Errorf("err = %v, want a UsageError", err)
	}
}

// A project that an older version made has this version's bundle afterwards, with its own changes.
func TestUpdateOfAProject(t *testing.T) {
	dir := existing(t)
	if _, err := Init(t.Context(), Options{Dir: dir, Choice: good(), Version: "0.1.0"}); err != nil {
		t.Fatal(err)
	}
	const file = ".ebextensions/10-load-balancer.config"
	f, err := openFolder(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	m, err := readManifest(f)
	if err != nil {
		t.Fatal(err)
	}
	// What the older one had: a delay of 20 s. What the project has changed: another type.
	newest := m.base[file]
	older := strings.Replace(newest, `DeregistrationDelay: "30"`, `DeregistrationDelay: "20"`, 1)
	own := strings.Replace(older, "LoadBalancerType: application", "LoadBalancerType: classic", 1)
	if older == newest || own == older {
		t.Fatal("the bundle has other lines now: change this test")
	}
	m.base[file] = older
	if err := errors.Join(f.write(file, own, 0o644), writeManifest(f, m)); err != nil {
		t.Fatal(err)
	}
	r, err := Update(UpdateOptions{Dir: dir, Version: "0.2.0"})
	if err != nil || len(r.Changes) != 1 || r.Changes[0].Action != Merged {
		t.Fatalf("%v, %v", r, err)
	}
	if got, want := readFile(t, dir, file), strings.Replace(newest, "LoadBalancerType: application", "LoadBalancerType: classic", 1); got != want {
		t.Errorf("merged to %s", got)
	}
	if r, err = Update(UpdateOptions{Dir: dir, Version: "0.2.0"}); err != nil || len(r.Changes) != 0 {
		t.Errorf("the second time: %v, %v", r, err)
	}
}

func TestAnEditedRecordIsNotBelieved(t *testing.T) {
	dir := existing(t)
	if _, err := Update(UpdateOptions{Dir: dir}); !errors.Is(err, ErrNoManifest) {
		t.Errorf("without a record: %v", err)
	}
	if _, err := Init(t.Context(), Options{Dir: dir, Choice: good()}); err != nil {
		t.Fatal(err)
	}
	text := readFile(t, dir, Manifest)
	for _, edited := range []string{"", "nonsense", strings.Replace(text, "30s", "31s", 1), strings.Replace(text, `"0`, `"1`, 1), text + "-- more --\n"} {
		put(t, dir, Manifest, edited)
		if _, err := Update(UpdateOptions{Dir: dir}); err == nil && edited != text {
			t.Errorf("%d bytes were believed", len(edited))
		}
	}
	put(t, dir, Manifest, strings.ReplaceAll(text, "\n", "\r\n"))
	if r, err := Update(UpdateOptions{Dir: dir}); err != nil || len(r.Changes) > 0 {
		t.Errorf("with the line ends of Windows: %v, %v", r, err)
	}
}

// The files of the bundle come back out of the record as they went in.
func TestTheRecordHoldsTheBundle(t *testing.T) {
	for _, platform := range []lint.Platform{lint.Go, lint.Docker} {
		for _, v := range variantsOf(platform) {
			c := good()
			if c.Platform = platform; v != "" {
				c.Variants = []string{v}
			}
			all, err := c.bundle()
			if err != nil {
				t.Fatal(err)
			}
			text, err := manifest{Version: "0.1.0", Choice: c, base: all}.bytes()
			if err != nil {
				t.Fatal(err)
			}
			m, err := parseManifest(string(text))
			if err != nil {
				t.Fatal(err)
			}
			if len(m.base) != len(all) {
				t.Errorf("%d files of %d", len(m.base), len(all))
			}
			for name := range all {
				if m.base[name] != all[name] {
					t.Errorf("%s is another", name)
				}
			}
		}
	}
}

// Whatever was merged has all lines that either side has put in, and a merge with oneself changes nothing.
func FuzzMerge(f *testing.F) {
	f.Add("a\nb\nc\n", "a\nX\nb\nc\n", "a\nb\nc\nY\n")
	f.Add("", "a", "b")
	f.Fuzz(func(t *testing.T, base, mine, theirs string) {
		if got, ok := merge(base, mine, base); ok && got != mine {
			t.Errorf("with nothing new: %q, want %q", got, mine)
		}
		if got, ok := merge(base, base, theirs); ok && got != theirs {
			t.Errorf("with nothing of one's own: %q, want %q", got, theirs)
		}
		a, ok := merge(base, mine, theirs)
		if b, too := merge(base, theirs, mine); ok != too || a != b {
			t.Errorf("merge(%q, %q, %q) = %q, %v; the other way round %q, %v", base, mine, theirs, a, ok, b, too)
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add("")
	f.Add("x\n{}\nsha256 \n-- a --\nb\n")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = parseManifest(text) })
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
