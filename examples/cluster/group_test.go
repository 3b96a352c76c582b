package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("GROUP_TO_BE_KILLED") != "" {
		runtime.LockOSThread()
		g := newGroup()
		if err := g.start("child", nil, "sleep", "60"); err != nil {
			panic(err)
		}
		fmt.Println(g.programs[0].cmd.Process.Pid)
		select {}
	}
	goleak.VerifyTestMain(m)
}

// A group that is killed cannot end what it has started: the system does.
func TestGroupIsKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GROUP_TO_BE_KILLED=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	_, err = fmt.Fscan(out, &pid)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) { // another process: no event to await
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(end) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("the program runs on: %s", stat)
		}
	}
}

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
