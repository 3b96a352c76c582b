package clients

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// programs are the clients, by the language they are written in.
var programs = []program{
	{name: "node", rows: 4, start: func(t *testing.T) *exec.Cmd {
		return exec.CommandContext(t.Context(), "node", "programs/js/node.mjs")
	}},
	{name: "go", rows: 1, start: startGo},
	{name: "chromium", rows: 1, start: startBrowser},
	{name: "java-2", rows: 1, start: startJava("2.1.2", "2.1.0")},
	{name: "python-blocking", rows: 1, start: startPython("blocking.py", "requirements.txt")},
	{name: "python-asyncio", rows: 1, start: startPython("aio.py", "requirements.txt")},
	{name: "python-4", rows: 1, start: startPython("blocking.py", "requirements-4.txt")},
	{name: "java-1", rows: 1, start: startJava("1.0.2", "1.0.2")},
	{name: "rust", rows: 2, start: startRust},
}

// startGo builds programs/go, with package client, and runs it.
func startGo(t *testing.T) *exec.Cmd {
	path := filepath.Join(t.TempDir(), "cells")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(t.Context(), "go", append(args, "./programs/go")...).CombinedOutput(); err != nil {
		t.Fatalf("build the Go client: %v\n%s", err, out)
	}
	return exec.CommandContext(t.Context(), path)
}

// need skips the test when a program is missing, and fails it in CI, where all of them must be.
func need(t *testing.T, command string) {
	t.Helper()
	_, err := exec.LookPath(command)
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

// cache returns a folder for what is downloaded or compiled once, below build/ of the checkout.
func cache(name string) (string, error) {
	dir, err := filepath.Abs(filepath.Join("..", "..", "build", "clients", name))
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// compile builds the fixture into dir and returns its path.
func compile(dir string) (string, error) {
	path := filepath.Join(dir, "fixture")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "./server")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the fixture: %w\n%s", err, out)
	}
	return path, nil
}

// bundlePage makes one script of programs/js/page.mjs and the client's ES modules, as people's bundlers do.
func bundlePage(t *testing.T) []byte {
	t.Helper()
	args := []string{
		"programs/js/page.mjs", "--bundle", "--format=esm", "--platform=browser", "--minify",
		"--alias:socket.io-client=sioc48", "--log-level=warning",
	}
	out, err := exec.CommandContext(t.Context(), "node_modules/.bin/esbuild", args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		t.Fatal("esbuild: ", err)
	}
	return out
}

func startBrowser(t *testing.T) *exec.Cmd {
	if os.Getenv("CHROMIUM") == "" {
		need(t, "chromium")
	}
	return exec.CommandContext(t.Context(), "node", "programs/js/browser.mjs")
}
