package main

import (
	"path/filepath"
	"testing"

	"github.com/beanpole/beanpole/test/sim/defects"
)

// TestDefectsFit: each patch finds the place that it is for.
func TestDefectsFit(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := defects.Overlay(root, t.TempDir()); err != nil {
		t.Error(err)
	}
	if n := len(defects.All); n < 25 {
		t.Errorf("%d defects", n)
	}
}
