package look

import (
	"io/fs"
	"testing"
	"testing/fstest"
)

func TestPageIncludesTheSharedParts(t *testing.T) {
	p, err := Page(fstest.MapFS{"web/index.html": {Data: []byte("<head>\n  <!--#include head.html -->\n</head>\n")}})
	if err != nil {
		t.Fatal(err)
	}
	head, err := parts.ReadFile("parts/head.html")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fs.ReadFile(p, "index.html"); string(got) != "<head>\n"+string(head)+"</head>\n" || err != nil {
		t.Errorf("the page is %q, %v", got, err)
	}
	for name, files := range map[string]fstest.MapFS{
		"no page": {"web/page.js": {}}, "no such part": {"web/index.html": {Data: []byte("<!--#include hat.html -->\n")}},
	} {
		if _, err := Page(files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestPageHasItsOwnFilesAndTheSharedOnes(t *testing.T) {
	p, err := Page(fstest.MapFS{"web/index.html": {Data: []byte("mine")}, "web/bean.svg": {Data: []byte("mine too")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"index.html": "mine", "bean.svg": "mine too"} {
		if got, err := fs.ReadFile(p, name); string(got) != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"look.css", "look.js"} {
		if got, err := fs.ReadFile(p, name); len(got) == 0 || err != nil {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := fs.ReadFile(p, "nothing.js"); err == nil {
		t.Error("a file that is not there could be read")
	}
}
