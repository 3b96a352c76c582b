package project

import (
	"fmt"
	"maps"
	"slices"
)

// UpdateOptions configure Update.
type UpdateOptions struct {
	// Dir is the project's folder. "" means the working directory.
	Dir string
	// Version is this program's.
	Version string
	// Diff says what would be done, and does nothing.
	Diff bool
	// Keep and Take decide conflicts by the names of files: the project's own stays, or the bundle's comes.
	Keep, Take []string
}

// Update brings the files of this program's bundle to a project that Init has made. What only the bundle has
// changed is replaced, what only the project has changed stays, and what both have changed is merged, line by line.
// Conflicts are in the report, and asked about again the next time. ErrNoManifest is returned for another folder.
func Update(o UpdateOptions) (Report, error) {
	f, err := openFolder(dirOr(o.Dir), false)
	if err != nil {
		return Report{}, err
	}
	defer f.close()
	m, err := readManifest(f)
	if err != nil {
		return Report{}, err
	}
	if m.Unfinished {
		return Report{}, ErrUnfinished
	}
	if err := m.Choice.Check(); err != nil {
		return Report{}, err
	}
	bundle, err := m.Choice.bundle()
	if err != nil {
		return Report{}, err
	}
	return bring(f, m, bundle, o)
}

// bring makes of what the record says a folder that has the bundle.
func bring(f *folder, m manifest, bundle files, o UpdateOptions) (Report, error) {
	u := update{UpdateOptions: o, folder: f, old: m, next: manifest{Version: o.Version, Choice: m.Choice, base: make(files)}}
	for flag, names := range map[string][]string{"keep": o.Keep, "take": o.Take} {
		for i, name := range names {
			names[i] = clean(name)
			_, known := m.base[names[i]]
			if _, too := bundle[names[i]]; !known && !too {
				return Report{}, &UsageError{flag, name, "a file of the bundle"}
			}
		}
	}
	for _, name := range o.Keep {
		if slices.Contains(o.Take, name) {
			return Report{}, &UsageError{"keep", name, "another file than --take has: only one of the two can be done"}
		}
	}
	if err := u.files(bundle); err != nil || o.Diff {
		return u.report, err
	}
	return u.report, writeManifest(f, u.next)
}

// update is one run.
type update struct {
	UpdateOptions
	folder    *folder
	old, next manifest
	report    Report
	force     bool // take all
	own       bool // the files are the project's, and in no record: only Init brings them
}

// files brings all files up to date, and takes away those that the bundle has no longer.
func (u *update) files(bundle files) error {
	all := maps.Clone(bundle)
	maps.Copy(all, u.old.base)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		theirs, there := bundle[name]
		if err := u.file(name, theirs, there); err != nil {
			return err
		}
	}
	return nil
}

// file brings one file up to date. there reports whether the bundle has it still.
func (u *update) file(name, theirs string, there bool) error {
	base, known := u.old.base[name]
	mine, present, err := u.folder.text(name)
	if err != nil {
		return err
	}
	if there {
		u.next.base[name] = theirs
	}
	changed := known != there || base != theirs // by the bundle
	switch {
	case present == there && mine == theirs:
		u.report.Same++
		return nil
	case slices.Contains(u.Keep, name):
		u.report.add(Kept, name, "as you said", "", "")
		return nil
	case u.force && !present:
		return u.put(Created, name, "", "", theirs, true)
	case u.force:
		return u.put(Replaced, name, "", mine, theirs, there)
	case slices.Contains(u.Take, name):
		return u.put(Replaced, name, "as you said", mine, theirs, there)
	case !changed: // it is the project that has
		u.report.Same++
		return nil
	case !present && known:
		u.report.add(Kept, name, "you have deleted it; the bundle has a newer one", "", "")
		return nil
	case !present:
		return u.put(Created, name, "", "", theirs, true)
	case known && mine == base:
		if !there {
			return u.put(Removed, name, "the bundle has it no longer", mine, "", false)
		}
		return u.put(Updated, name, "", mine, theirs, true)
	case known && there:
		if out, ok := merge(base, mine, theirs); ok {
			return u.put(Merged, name, "your changes are kept", mine, out, true)
		}
	}
	u.conflict(name, base, mine, theirs, known, there)
	return nil
}

// put writes a file, or removes it.
func (u *update) put(a Action, name, note, old, new string, there bool) error {
	u.report.add(a, name, note, old, new)
	switch {
	case u.Diff:
		return nil
	case there:
		return u.folder.write(name, new, mode(name))
	}
	return u.folder.remove(name)
}

// conflict leaves the file, and keeps what it was made of, so that it is compared with that the next time.
func (u *update) conflict(name, base, mine, theirs string, known, there bool) {
	decide := fmt.Sprintf("bring this into yours by hand and say `beanpole update --keep %s`, or --take %s", name, name)
	if u.own {
		decide = "it is left as it is; --force replaces it"
	}
	switch {
	case !known:
		u.report.add(Differs, name, "you have another of that name; "+decide, mine, theirs)
		delete(u.next.base, name)
		return
	case !there:
		u.report.add(Conflict, name, "the bundle has it no longer, and you have changed it; "+decide, mine, "")
	default:
		u.report.add(Conflict, name, "changed in the bundle where you have changed it; "+decide, base, theirs)
	}
	u.next.base[name] = base
}

func writeManifest(f *folder, m manifest) error {
	text, err := m.bytes()
	if err != nil {
		return err
	}
	return f.write(Manifest, string(text), 0o644)
}
