package main

import (
	"bytes"
	"errors"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGroupEndsWhatItStarted(t *testing.T) {
	if _, err := exec.LookPath("sleep"); err != nil {
		t.Skip(err)
	}
	g := newGroup()
	for _, name := range []string{"a", "b"} {
		if err := g.start(name, nil, "sleep", "60"); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.stop(); err != nil {
		t.Error(err)
	}
	for _, p := range g.programs {
		if p.cmd.ProcessState == nil {
			t.Errorf("%s runs on", p.name)
		}
	}
}

func TestGroupTellsWhatEndedByItself(t *testing.T) {
	g := newGroup()
	if err := g.start("short", nil, "true"); errors.Is(err, exec.ErrNotFound) {
		t.Skip(err)
	}
	if name := <-g.ended; name != "short" {
		t.Errorf("%s has ended", name)
	}
	if err := g.stop(); err != nil {
		t.Error(err)
	}
	if err := g.start("none", nil, "/no/such/program"); err == nil {
		t.Error("a program that is not there was started")
	}
}

func TestLinesHaveTheNameOfTheirProgram(t *testing.T) {
	var out bytes.Buffer
	l := &labelled{name: "red", w: &out}
	for _, part := range []string{"one\ntw", "o\n", "unfinished"} {
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if want := "red      one\nred      two\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
