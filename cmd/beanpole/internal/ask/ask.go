// Package ask has a project's program say what its clients and it say to each other: it is run as it is, by go run, with a
// variable that has package host write its contract instead of serving.
package ask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/beanpole/beanpole/server/contract"
)

// Contract runs the package of the module in dir, as go run takes it, and returns its contract.
func Contract(ctx context.Context, dir, pkg string) (*contract.Contract, error) {
	tmp, err := os.MkdirTemp("", "beanpole-types-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	file := filepath.Join(tmp, "contract.json")
	cmd := exec.CommandContext(ctx, "go", "run", pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), contract.Variable+"="+file, "PWD="+dir, "REDIS_URL=") // which would be asked what it is
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("go run %s: %w\n%s", pkg, err, strings.TrimSpace(string(out)))
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("go run %s has ended and written no contract: does it run host.Main, of a version that has contracts?", pkg)
	}
	if err != nil {
		return nil, err
	}
	c := &contract.Contract{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	return c, nil
}

// At is Contract of the state that the module in dir, which is in a Git repository, had at a revision.
func At(ctx context.Context, dir, pkg, revision string) (c *contract.Contract, err error) {
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
		}
		return strings.TrimSpace(string(out)), nil
	}
	top, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	within, err := git("rev-parse", "--show-prefix")
	if err != nil {
		return nil, err
	}
	// Beside the repository, where the relative paths of replace lines lead to the same.
	tmp, err := os.MkdirTemp(filepath.Dir(top), ".beanpole-types-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if _, err := git("worktree", "add", "--detach", "--force", tmp, revision); err != nil {
		return nil, err
	}
	defer func() {
		_, e := git("worktree", "remove", "--force", tmp)
		err = errors.Join(err, e)
	}()
	return Contract(ctx, filepath.Join(tmp, filepath.FromSlash(within)), pkg)
}
