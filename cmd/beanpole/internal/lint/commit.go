package lint

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
)

// ebConfig is what .elasticbeanstalk/config.yml says of the bundle.
type ebConfig struct {
	Deploy struct {
		Artifact string `yaml:"artifact"`
	} `yaml:"deploy"`
	Global struct {
		Platform        string `yaml:"default_platform"`
		PlatformVersion string `yaml:"platform_name"`
	} `yaml:"global"`

	used      bool   // there is one
	savedName string // of the saved configuration that eb create takes by itself, or ""
	saved     []byte
}

func readEB(dir string) (c ebConfig) {
	if raw, err := os.ReadFile(filepath.Join(dir, ".elasticbeanstalk", "config.yml")); err == nil {
		_ = yaml.Unmarshal(raw, &c) // what cannot be read says nothing
		c.used = true
	}
	for _, name := range []string{"saved_configs/default.cfg.yml", "saved_configs/default", "default.cfg.yml", "default"} { // EB CLI, saved_configs.py
		name = ".elasticbeanstalk/" + name
		if raw, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))); err == nil {
			c.savedName, c.saved = name, raw
			break
		}
	}
	return c
}

// Artifact returns what .elasticbeanstalk/config.yml of a folder has the EB CLI deploy in the folder's place, or "".
func Artifact(dir string) string { return readEB(dir).Deploy.Artifact }

// Belongs says whose bundle it is: that of a folder, whose EB CLI deploys it.
func (b *Bundle) Belongs(dir string) { b.eb = readEB(dir) }

// PlatformOf returns the platform that .elasticbeanstalk/config.yml of a folder has environments created with, or "".
func PlatformOf(dir string) Platform { return readEB(dir).platform() }

// platform returns the platform that the EB CLI creates environments with, or "".
func (c ebConfig) platform() Platform {
	switch name := strings.ToLower(c.Global.Platform + " " + c.Global.PlatformVersion); {
	case strings.Contains(name, "docker"):
		return Docker
	case strings.HasPrefix(name, "go ") || strings.Contains(name, "running go"):
		return Go
	}
	return ""
}

// openCommit returns what `git archive` ships of dir, or nil where the EB CLI does not ask Git: there is .ebignore, no
// repository, or no commit.
func openCommit(dir string) *Bundle {
	if _, err := os.Stat(filepath.Join(dir, ".ebignore")); err == nil {
		return nil
	}
	archive, err := git(dir, "archive", "--format=tar", "HEAD")
	if err != nil {
		return nil
	}
	b := &Bundle{Files: make(map[string]*File), Commit: true, eb: readEB(dir)}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeSymlink {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil
		}
		mode := h.FileInfo().Mode() & (fs.ModePerm | fs.ModeSymlink)
		b.Add(h.Name, mode, content)
	}
	for _, args := range [][]string{{"diff", "--name-only", "--relative", "-z", "HEAD"}, {"ls-files", "--others", "--exclude-standard", "-z"}} {
		names, err := git(dir, args...)
		if err != nil {
			continue
		}
		for name := range strings.SplitSeq(string(names), "\x00") {
			if name != "" {
				b.changed = append(b.changed, name)
			}
		}
	}
	return b
}

// git runs git in dir.
func git(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	return cmd.Output()
}

// checkCommit says what is in the folder and will not be shipped.
func checkCommit(m *model) {
	if !m.bundle.Commit {
		return
	}
	for _, name := range m.bundle.changed {
		m.add(Finding{Check: "not-committed", Severity: Warning, File: name, What: "the folder has it otherwise than the last commit",
			Why: "without .ebignore `eb deploy` ships the last commit, as git archive does: this change stays here", Fix: "commit it, or add .ebignore, or deploy what beanpole pack makes"})
	}
}
