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

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
	"github.com/beanpole/beanpole/server/contract"
)

// maxContract bounds what a program says, in bytes.
const maxContract = 64 << 20

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
	b, err := foreign.ReadFile(tmp, "contract.json", maxContract)
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
func At(ctx context.Context, dir, pkg, revision string) (*contract.Contract, error) {
	g, err := foreign.OpenGit(ctx, dir, foreign.Own)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	// Beside the repository, where the relative paths of replace lines lead to the same.
	tmp, err := os.MkdirTemp(filepath.Dir(g.Top()), ".beanpole-types-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	within, err := g.Checkout(ctx, revision, tmp)
	if err != nil {
		return nil, err
	}
	return Contract(ctx, within, pkg)
}
