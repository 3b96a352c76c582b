package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// What the Rust client's dependencies of today need, and what is fetched where the installed compiler is
// older, as Debian 12's is (1.63).
const (
	rustNeeded  = 85 // minor version
	rustFetched = "1.95.0"
	rustDist    = "https://static.rust-lang.org/dist/"
)

// rustParts are the archives of rustFetched for Linux on x86-64, with their SHA-256. cargo is the last, since
// where it is, all is taken to be there.
var rustParts = []struct{ name, sum string }{
	{"rustc", "8426a3d170a5879f5682f5fbdd024a1779b3951e7baba685af2d6dc32a6dfc15"},
	{"rust-std", "047ea7098803d3500fa1072e9cee5392697e21525559e4458128a2bf874aa382"},
	{"cargo", "e74edd2cf7d0f1f1383b4f00eb90c843750bc489e2ccf7214e6476678a907425"},
}

// startRust compiles and runs programs/rust.
func startRust(t *testing.T) *exec.Cmd {
	if !*rust {
		t.Skip("compiles for minutes: -rust runs it, as make clients does")
	}
	target, err := cache("rust")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), cargo(t), "build", "--quiet", "--locked",
		"--manifest-path", "programs/rust/Cargo.toml", "--target-dir", target)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(cmd.Path)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cargo build: %v\n%s", err, out)
	}
	return exec.CommandContext(t.Context(), filepath.Join(target, "debug", "cells"))
}

// cargo returns the path of one that is new enough: the installed one, or one of its own. A machine that has
// neither fails the test: whoever asks for -rust wants to know.
func cargo(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("cargo"); err == nil {
		out, err := exec.CommandContext(t.Context(), "rustc", "--version").Output() // "rustc 1.63.0 …"
		if minor := strings.Split(string(out), "."); err == nil && len(minor) > 2 {
			if n, err := strconv.Atoi(minor[1]); err == nil && n >= rustNeeded {
				return path
			}
		}
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Fatalf("needs Rust 1.%d or later", rustNeeded)
	}
	dir, err := cache("toolchain-" + rustFetched)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "bin", "cargo")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	t.Logf("no Rust 1.%d or later: fetching %s", rustNeeded, rustFetched)
	for _, part := range rustParts {
		name := fmt.Sprintf("%s-%s-x86_64-unknown-linux-gnu", part.name, rustFetched)
		archive := download(t, rustDist+name+".tar.xz", part.sum)
		// Each has one folder, named after the part, with what belongs below dir.
		unpack := exec.CommandContext(t.Context(), "tar", "-xJf", archive, "-C", dir, "--strip-components=2",
			"--exclude=manifest.in", "--exclude=share", fmt.Sprintf("%s/%s", name, folder(part.name)))
		if out, err := unpack.CombinedOutput(); err != nil {
			_ = os.Remove(path)
			t.Fatalf("tar: %v\n%s", err, out)
		}
	}
	return path
}

// folder is where an archive of Rust has its files.
func folder(part string) string {
	if part == "rust-std" {
		return "rust-std-x86_64-unknown-linux-gnu"
	}
	return part
}
