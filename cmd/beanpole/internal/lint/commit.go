package lint

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
)

// ebConfig is what .elasticbeanstalk/config.yml says of the bundle.
type ebConfig struct {
	used      bool   // there is one
	deploys   string // the artifact, or ""
	runs      string // the platform, by its names
	savedName string // of the saved configuration that eb create takes by itself, or ""
	saved     []byte
	unread    map[string]error // what is there, by its name
}

func readEB(dir string) (c ebConfig) {
	read := func(name string) ([]byte, bool) {
		raw, err := foreign.ReadFile(dir, name, foreign.MaxText)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			if c.unread == nil {
				c.unread = make(map[string]error)
			}
			c.unread[name] = err
		}
		return raw, err == nil
	}
	if raw, there := read(".elasticbeanstalk/config.yml"); there {
		c.used = true
		if file, err := parseYAML(raw, nil); err == nil { // what cannot be read says nothing
			for _, doc := range file.Docs {
				c.deploys, c.runs = textAt(doc.Body, "deploy", "artifact"), textAt(doc.Body, "global", "default_platform")+" "+textAt(doc.Body, "global", "platform_name")
			}
		}
	}
	for _, name := range []string{"saved_configs/default.cfg.yml", "saved_configs/default", "default.cfg.yml", "default"} { // EB CLI, saved_configs.py
		name = ".elasticbeanstalk/" + name
		if raw, there := read(name); there {
			c.savedName, c.saved = name, raw
			break
		}
	}
	return c
}

// Artifact returns what .elasticbeanstalk/config.yml of a folder has the EB CLI deploy in the folder's place, or "".
func Artifact(dir string) string { return readEB(dir).deploys }

// Belongs says whose bundle it is: that of a folder, whose EB CLI deploys it, and whose programs it has.
func (b *Bundle) Belongs(dir string) { b.eb, b.module = readEB(dir), moduleOf(dir) }

// PlatformOf returns the platform that .elasticbeanstalk/config.yml of a folder has environments created with, or "".
func PlatformOf(dir string) Platform { return readEB(dir).platform() }

// platform returns the platform that the EB CLI creates environments with, or "".
func (c ebConfig) platform() Platform {
	switch name := strings.TrimSpace(strings.ToLower(c.runs)); {
	case strings.Contains(name, "docker"):
		return Docker
	case strings.HasPrefix(name, "go ") || strings.Contains(name, "running go"):
		return Go
	}
	return ""
}

// openCommit returns what `git archive` ships of dir, or nil where the EB CLI does not ask Git: there is .ebignore, no
// repository, or no commit. The error says of a commit that is there that it was not read.
func openCommit(dir string) (*Bundle, error) {
	if foreign.IsFile(dir, ".ebignore") {
		return nil, nil
	}
	ctx := context.Background()
	g, err := foreign.OpenGit(ctx, dir, foreign.Strangers)
	if errors.Is(err, foreign.ErrNoRepository) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer g.Close()
	if g.Commit == "" {
		return nil, nil
	}
	if g.Borrows != nil {
		return nil, g.Borrows
	}
	archive, err := g.Run(ctx, "archive", "--format=tar", "HEAD")
	if err != nil {
		return nil, err
	}
	b := &Bundle{Files: make(map[string]*File), Commit: true, eb: readEB(dir)}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeSymlink {
			continue
		}
		content, err := io.ReadAll(io.LimitReader(r, foreign.MaxText+1)) // nobody asks for more
		if err != nil {
			return nil, err
		}
		b.Add(h.Name, h.FileInfo().Mode()&(fs.ModePerm|fs.ModeSymlink), content)
		b.Size += h.Size - int64(len(content))
		b.Files[h.Name].Size = h.Size
	}
	for _, args := range [][]string{
		{"diff", "--name-only", "--relative", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all", "-z", "HEAD"},
		{"ls-files", "--others", "--exclude-standard", "-z"},
	} {
		names, err := g.Run(ctx, args...)
		if err != nil {
			continue
		}
		for name := range strings.SplitSeq(string(names), "\x00") {
			if name != "" {
				b.changed = append(b.changed, name)
			}
		}
	}
	return b, nil
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
