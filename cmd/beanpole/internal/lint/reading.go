package lint

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
)

// What is read of a bundle, and looked for in it, has bounds together: a zip of 1 MB may hold gigabytes in files of which each is
// small enough, and a check that looks through all files for each of many names does so much as both together.
const (
	maxTogether = 8 << 20 // bytes of all files whose text is read
	maxSearch   = 1 << 30 // bytes that are looked through for words of the bundle's own, a second or two
)

var errTogether = errors.New("the files before it have as much in them as lint reads")

// said is a text, or why there is none.
type said struct {
	text []byte
	err  error
}

// reading is what has been read of a bundle. The zero value is nothing.
type reading struct {
	texts  map[string]said
	bytes  int64
	beyond []string // files that were not read, as those before had maxTogether
	names  []string // all, in order
	image  []instruction
	parsed bool // image is that of the Dockerfile
}

// again forgets what was read, and begins with what says most.
func (b *Bundle) again() {
	b.reading = reading{}
	for _, name := range []string{"Procfile", "Buildfile", "Dockerfile", "Dockerrun.aws.json", "go.mod"} {
		b.text(name)
	}
}

// read returns the content of a file of up to foreign.MaxText, which is read once.
func (b *Bundle) read(name string) ([]byte, error) {
	r := &b.reading
	if known, ok := r.texts[name]; ok {
		return known.text, known.err
	}
	f := b.Files[name]
	var s said
	switch {
	case f.Mode.IsRegular() && f.Size > foreign.MaxText:
		s.err = foreign.ErrTooLarge
	case f.Mode.IsRegular() && r.bytes+f.Size > maxTogether:
		s.err = errTogether
		r.beyond = append(r.beyond, name)
	default:
		s.text, s.err = f.read()
		r.bytes += max(f.Size, int64(len(s.text)))
	}
	if r.texts == nil {
		r.texts = make(map[string]said)
	}
	r.texts[name] = s
	return s.text, s.err
}

// text returns the content of the file of that name, or nil. It is for who has nothing to say of what is not read: checkRead does.
func (b *Bundle) text(name string) []byte {
	if b.Files[name] == nil {
		return nil
	}
	text, _ := b.read(name)
	return text
}

// begin returns the text of a file, or of one that is large what it begins with. It is for what says by its first bytes what it is.
func (b *Bundle) begin(name string) []byte {
	if f := b.Files[name]; f.Size > foreign.MaxText {
		return f.head(4096)
	}
	return b.text(name)
}

// instructions returns those of the Dockerfile, if there is one.
func (b *Bundle) instructions() []instruction {
	if r := &b.reading; !r.parsed {
		r.image, r.parsed = instructions(b.text("Dockerfile")), true
	}
	return b.reading.image
}

// ordered returns the names of the files in order, as they were when it was called first. Nobody changes the list.
func (b *Bundle) ordered() []string {
	if b.reading.names == nil {
		b.reading.names = b.Names()
	}
	return b.reading.names
}

// under returns the names below the folder dir, in order. Nobody changes the list.
func (b *Bundle) under(dir string) []string {
	names := b.ordered()
	from, _ := slices.BinarySearch(names, dir+"/")
	to, _ := slices.BinarySearch(names, dir+"0") // which comes after the slash
	return names[from:to:to]
}

// checkTogether says what was not read, looked for or told, because of what there is of all files together.
func (m *model) checkTogether() {
	m.notReadAll(m.bundle.reading.beyond, errTogether)
	if m.searched > maxSearch {
		m.add(Finding{Check: "not-read", Severity: Warning, What: "there is more to look for than lint does: so many names, in so much text",
			Why: "what no file speaks of is not among the findings", Fix: notReadFix})
	}
	for _, check := range slices.Sorted(maps.Keys(m.count)) {
		if more := m.count[check] - maxFindings; more > 0 {
			m.add(Finding{Check: "not-read", Severity: Warning, What: fmt.Sprintf("there are %d findings more of %s", more, check),
				Why: "they are not among these", Fix: "mend those, and look again"})
		}
	}
}

// notReadAll is notRead for files with the same reason.
func (m *model) notReadAll(names []string, err error) {
	if len(names) == 0 {
		return
	}
	if len(names) > 1 {
		err = fmt.Errorf("it and %d files after it: %w", len(names)-1, err)
	}
	m.notRead(names[0], err)
	for _, name := range names {
		m.unread[name] = true
	}
}

// mentions reports whether one of the files speaks of a word that is the bundle's own. When too much was looked for it says yes, of
// which nothing comes.
func (m *model) mentions(word string, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		text := m.bundle.text(name)
		m.searched += 64 + len(text)
		return m.searched > maxSearch || bytes.Contains(text, []byte(word))
	})
}

// madeExecutable reports whether something in the bundle changes the mode of the file, or that of many.
func (m *model) madeExecutable(base string) bool {
	if m.chmods == nil {
		m.chmods = []string{""}
		for _, name := range slices.Concat(m.bundle.under(".ebextensions"), m.bundle.under(".platform"), []string{"Buildfile", "Procfile"}) {
			for line := range strings.Lines(string(m.bundle.text(name))) {
				if strings.Contains(line, "chmod") {
					m.chmods = append(m.chmods, line)
				}
			}
		}
	}
	return slices.ContainsFunc(m.chmods[1:], func(line string) bool {
		m.searched += 64 + len(line)
		return m.searched > maxSearch || strings.Contains(line, base) || strings.Contains(line, "*") || strings.Contains(line, "-R")
	})
}
