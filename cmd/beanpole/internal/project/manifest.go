package project

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// Manifest is the name of the record in the top folder of a project.
const Manifest = ".beanpole.txtar"

// manifest is the record: the files of the bundle as they were written last.
type manifest struct {
	Version string // of the program that wrote them
	Choice  Choice
	// Unfinished is true from the beginning of the first Init to its end: another one has to go on.
	Unfinished bool `json:",omitempty"`
	base       files
}

const preface = "The bundle as the command beanpole wrote it, by which `beanpole update` tells your changes from its own.\n" +
	"Keep it in version control. Do not edit it: edit the files themselves.\n\n"

// ErrNoManifest is returned for a folder that has no record.
var ErrNoManifest = errors.New("there is no " + Manifest + ": run beanpole init first")

// ErrUnfinished is returned for a folder in which Init was interrupted.
var ErrUnfinished = errors.New("beanpole init has not come to its end here: run it again, it goes on where it was")

// bytes returns the record as it is written.
func (m manifest) bytes() ([]byte, error) {
	choice, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	var a txtar.Archive
	for _, name := range slices.Sorted(maps.Keys(m.base)) {
		a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(m.base[name])})
	}
	body := txtar.Format(&a)
	sum := sha256.Sum256(append(choice, body...))
	head := preface + string(choice) + "\nsha256 " + hex.EncodeToString(sum[:]) + "\n"
	return append([]byte(head), body...), nil
}

// readManifest reads what bytes has returned.
func readManifest(f *folder) (m manifest, err error) {
	text, err := f.read(Manifest)
	if errors.Is(err, fs.ErrNotExist) {
		return m, ErrNoManifest
	}
	if err != nil {
		return m, err
	}
	if m, err = parseManifest(text); err != nil {
		return m, fmt.Errorf("%s: %w: take it back from version control", Manifest, err)
	}
	return m, nil
}

func parseManifest(text string) (m manifest, err error) {
	a := txtar.Parse([]byte(text))
	head := strings.Split(strings.TrimSuffix(string(a.Comment), "\n"), "\n")
	if len(head) < 2 || !strings.HasPrefix(text, string(a.Comment)) {
		return m, errors.New("it is no record")
	}
	choice, sum := head[len(head)-2], head[len(head)-1]
	got := sha256.Sum256(append([]byte(choice), text[len(a.Comment):]...))
	if sum != "sha256 "+hex.EncodeToString(got[:]) {
		return m, errors.New("it was edited")
	}
	if err := json.Unmarshal([]byte(choice), &m); err != nil {
		return m, err
	}
	m.base = make(files)
	for _, f := range a.Files {
		m.base[f.Name] = string(f.Data)
	}
	return m, m.Choice.values()
}

// Remembered returns what was chosen in a folder, and false if there is no record of it.
func Remembered(dir string) (Choice, bool, error) {
	m, err := manifestOf(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNoManifest) {
		return Choice{}, false, nil
	}
	return m.Choice, err == nil, err
}

// Laid returns the platform and the variants that the bundle in a folder was made for by Init: they need not be laid
// over it again. Without a record the platform is "".
func Laid(dir string) (lint.Platform, []string, error) {
	m, err := manifestOf(dir)
	switch {
	case errors.Is(err, ErrNoManifest):
		return "", nil, nil
	case err != nil:
		return "", nil, err
	case m.Unfinished:
		return "", nil, ErrUnfinished
	}
	return m.Choice.Platform, m.Choice.layers(), nil
}

func manifestOf(dir string) (manifest, error) {
	f, err := openFolder(dirOr(dir), false)
	if err != nil {
		return manifest{}, err
	}
	defer f.close()
	return readManifest(f)
}
