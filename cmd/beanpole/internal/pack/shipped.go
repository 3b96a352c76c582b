package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// What is on a developer's disk is not what is meant to go to a server: the rules here hold for every file, in
// whatever way it came to be looked at.

// left says why a file is not shipped, for a finding; nothing is said of the zero value.
type left struct{ check, what, why, fix string }

// shipped reports whether a file or folder may be shipped, by its name and kind alone. named is true for what was asked
// for by name, which may be hidden or ignored.
func (c collector) shipped(name string, d fs.DirEntry, named bool) (bool, left) {
	switch {
	case d.Type()&fs.ModeSymlink != 0:
		return false, left{"link", "a link is not followed", "what it leads to is of this machine, and may be outside the project", "put the file there, or name it with --include"}
	case !d.IsDir() && !d.Type().IsRegular():
		return false, left{"no-file", "it is no regular file", "a zip has none", "delete it"}
	case !named && hidden(strings.TrimPrefix(name, c.named+"/")):
		return false, left{}
	case !named && c.ignored.match(name, d.IsDir()):
		return false, left{}
	case !d.IsDir() && secretName.MatchString(path.Base(name)):
		return false, left{"secret-file", "by its name it holds a secret", inBucket, environmentSecrets}
	case !d.IsDir() && backupName.MatchString(path.Base(name)):
		return false, left{"backup-file", "by its name it is a backup of a file, or a dump of a database", "nothing reads it there, and it has what the original has or had: " + inBucket, "keep it elsewhere; it may be deleted here"}
	}
	return true, left{}
}

// hidden reports whether a name is hidden, or in a hidden folder, that no platform reads.
func hidden(name string) bool {
	for i, part := range strings.Split(name, "/") {
		if strings.HasPrefix(part, ".") && part != "." && (i > 0 || !slices.Contains([]string{".ebextensions", ".platform", ".dockerignore"}, part)) {
			return true
		}
	}
	return false
}

// Why a secret is not shipped, and what to do instead.
const (
	inBucket           = "a bundle lies in S3, and on every instance"
	environmentSecrets = "aws:elasticbeanstalk:application:environmentsecrets"
)

// secretName is what files are called that hold passwords and keys.
var secretName = regexp.MustCompile(`(?i)^(\.env(\..*)?|.*\.(env|key|ppk|p12|pfx|jks|keystore|kdbx|tfstate(\.backup)?|tfvars)|id_(rsa|dsa|ecdsa|ed25519)|credentials(\.json|\.csv)?|` +
	`\.(npmrc|netrc|pgpass|pypirc|htpasswd)|htpasswd|service-account.*\.json|secrets?\.(ya?ml|json|toml|txt)|(.*[._-])?kubeconfig([._-].*)?|env\.(prod|production|stag(e|ing)|local))$`)

// backupName is what copies of files are called, and whole databases.
var backupName = regexp.MustCompile(`(?i)^(.*\.(dump|pgdump|rdb|bak)(\.(gz|bz2|xz|zst))?|(.*[._-])?(dump|backup)([._-].*)?\.sql|.*\.sql\.(gz|bz2|xz|zst|zip))$`)

// leave notes that a file is not shipped.
func (c collector) leave(name string, l left) {
	if l.check == "" {
		return
	}
	*c.findings = append(*c.findings, lint.Finding{Check: l.check, Severity: lint.Warning, File: name, What: "not shipped: " + l.what, Why: l.why, Fix: l.fix})
}

// straight returns an error if a name below root leads over a link.
func straight(root, name string) error {
	at := root
	for part := range strings.SplitSeq(name, "/") {
		at = filepath.Join(at, part)
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("pack: %s is a link, which is not followed", at)
		}
	}
	return nil
}

// ignores says what is ignored of a folder.
type ignores struct {
	git map[string]bool // files, and folders as a whole
	eb  *lint.Ignore    // by .ebignore
}

// ignoresOf asks .ebignore, and Git for each repository whose files may be shipped: the one around dir, and those in it, which
// are submodules or not. An error says that it is not known what is ignored.
func ignoresOf(ctx context.Context, dir string) (*ignores, error) {
	i := &ignores{git: map[string]bool{}}
	var err error
	if i.eb, err = lint.Ignored(dir); err != nil {
		return i, err
	}
	if err := i.repository(ctx, dir, "."); err != nil {
		return i, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return i, err
	}
	defer root.Close()
	return i, foreign.Walk(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil: // nothing of it is shipped either, and tree says so
			return nil
		case path.Base(name) == ".git" && name != ".git":
			if err := i.repository(ctx, dir, path.Dir(name)); err != nil {
				return fmt.Errorf("%s: %w", path.Dir(name), err)
			}
		case d.IsDir() && !passed(name) && !hidden(name) && !i.git[name]:
			return nil
		}
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
}

// repository adds what Git ignores of name, a folder of dir.
func (i *ignores) repository(ctx context.Context, dir, name string) error {
	g, err := foreign.OpenGit(ctx, filepath.Join(dir, name), foreign.Strangers)
	if errors.Is(err, foreign.ErrNoRepository) {
		return nil
	}
	if err != nil {
		return err
	}
	defer g.Close()
	inside, err := g.Ignored(ctx)
	for n := range inside {
		i.git[path.Join(name, n)] = true
	}
	return err
}

// match reports whether a file or folder is ignored. Without ignores nothing is. The EB CLI asks for files alone: a pattern may
// take one out of a folder that another names.
func (i *ignores) match(name string, folder bool) bool {
	return i != nil && (i.git[name] || !folder && i.eb.Match(name))
}

// architecture is the one that the bundle's instances have, by the last file that says so; amd64 if none does, as is
// Elastic Beanstalk's default.
func architecture(b *lint.Bundle) Kind {
	kind := AMD64
	for _, name := range b.Names() {
		if path.Dir(name) != ".ebextensions" || path.Ext(name) != ".config" {
			continue
		}
		if m := architectures.FindSubmatch(contentOf(b, name)); m != nil {
			kind = map[bool]Kind{true: ARM64, false: AMD64}[string(m[1]) == "arm64"]
		}
	}
	return kind
}

var architectures = regexp.MustCompile(`(?m)^\s*SupportedArchitectures:\s*["']?(arm64|x86_64)["']?\s*$`)
