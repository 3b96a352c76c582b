package look

import (
	"embed"
	"errors"
	"io/fs"
	"regexp"
	"strings"
	"testing/fstest"
)

//go:embed web
var shared embed.FS

//go:embed parts
var parts embed.FS

// Page returns the files of the folder web in own, and the shared files beside them. A file of own hides
// a shared one of the same name. In its index.html each line such as
//
//	<!--#include head.html -->
//
// stands for the shared part of that name.
func Page(own fs.FS) (fs.FS, error) {
	first, err := fs.Sub(own, "web")
	if err != nil {
		return nil, err
	}
	second, err := fs.Sub(shared, "web")
	if err != nil {
		return nil, err
	}
	index, err := include(first)
	if err != nil {
		return nil, err
	}
	whole := fstest.MapFS{"index.html": {Data: index, Mode: 0o444}} // a file system of one file in memory
	return page{whole, first, second}, nil
}

// include returns the index.html of fsys with the parts that it asks for.
func include(fsys fs.FS) (index []byte, err error) {
	if index, err = fs.ReadFile(fsys, "index.html"); err != nil {
		return nil, err
	}
	return regexp.MustCompile(`(?m)^ *<!--#include .* -->\n`).ReplaceAllFunc(index, func(line []byte) []byte {
		name := strings.Fields(string(line))[1]
		part, missing := fs.ReadFile(parts, "parts/"+name)
		err = errors.Join(err, missing)
		return part
	}), err
}

// page looks for files in each of its file systems in turn.
type page []fs.FS

// Open opens the first file of that name.
func (p page) Open(name string) (fs.File, error) {
	for _, fsys := range p {
		f, err := fsys.Open(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
