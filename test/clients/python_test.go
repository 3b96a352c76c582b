package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// startPython runs one program of programs/python with the packages of one of its lists.
func startPython(program, requirements string) func(*testing.T) *exec.Cmd {
	return func(t *testing.T) *exec.Cmd {
		need(t, "python3")
		packages, err := pythonPackages(filepath.Join("programs", "python", requirements))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "python3", filepath.Join("programs", "python", program))
		cmd.Env = append(os.Environ(), "PYTHONPATH="+packages, "PYTHONDONTWRITEBYTECODE=1")
		return cmd
	}
}

// installing is held by who installs packages: two programs have the same ones.
var installing sync.Mutex

// pythonPackages installs a list into a folder named after its content, once. pip holds every file to the
// hashes in it.
func pythonPackages(requirements string) (string, error) {
	installing.Lock()
	defer installing.Unlock()
	list, err := os.ReadFile(requirements)
	if err != nil {
		return "", err
	}
	dir, err := cache("python")
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, digest(list)[:16])
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return "", err
	}
	out, err := exec.Command("python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
		"--only-binary", ":all:", "--require-hashes", "--target", part, "-r", requirements).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("pip install: %w\n%s", err, out)
	}
	return dir, os.Rename(part, dir) // it is complete or not there
}
