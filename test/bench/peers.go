package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A peer is a server that Go does not build: how it is made, and how started. dir is its folder.
type peer struct {
	make  func(dir string) *exec.Cmd
	start func(dir string) []string
	env   []string
}

// peers are the strongest servers that public registries have, beside Node's with its default ws. Not among them:
// eiows 11 wants Node 22 and older ones clone Node's source to be built; uWebSockets.js is in no registry.
var peers = map[string]peer{
	"node": {npm, func(string) []string { return []string{"node", "--expose-gc", "server.js"} }, []string{"NODE_ENV=production"}},
	"bun": {npm, func(dir string) []string {
		return []string{filepath.Join(dir, "node_modules", ".bin", "bun"), "server.js"}
	}, []string{"NODE_ENV=production"}},
	"socketioxide": {
		func(dir string) *exec.Cmd {
			return exec.Command("cargo", "build", "--release", "--locked", "--quiet", "--target-dir", filepath.Join(dir, cargoTarget))
		},
		func(dir string) []string {
			return []string{filepath.Join(dir, cargoTarget, "release", "socketioxide-peer")}
		}, nil,
	},
}

// cargoTarget is where Rust's compiler keeps what it has built, seen from a peer's folder.
const cargoTarget = "../../../../build/cargo"

// npm installs what package-lock.json says, if nothing is there yet.
func npm(dir string) *exec.Cmd {
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err == nil {
		return nil
	}
	return exec.Command("npm", "ci", "--omit=dev", "--no-audit", "--no-fund")
}

// dirOf is the folder of the peer of that name.
func dirOf(name string) (string, error) { return filepath.Abs(filepath.Join("servers", name)) }

// makePeer builds the peer of that name.
func makePeer(name string) error {
	dir, err := dirOf(name)
	if err != nil {
		return err
	}
	cmd := peers[name].make(dir)
	if cmd == nil {
		return nil
	}
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// command is that which starts the server of that name; bin holds those that Go has built.
func command(bin, name string, args []string) (*exec.Cmd, error) {
	p, ok := peers[name]
	if !ok {
		return exec.Command(filepath.Join(bin, name), args...), nil
	}
	dir, err := dirOf(name)
	if err != nil {
		return nil, err
	}
	line := append(p.start(dir), args...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir, cmd.Env = dir, p.env
	return cmd, nil
}

// isPeer says whether the server of that name is none of ours, and knows no orders but gc.
func isPeer(name string) bool {
	_, ok := peers[name]
	return ok
}
