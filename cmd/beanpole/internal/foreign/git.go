package foreign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Whose says whose repository it is.
type Whose bool

// Of strangers nothing is run and nothing is read that lies elsewhere; one's own may borrow objects of another repository.
const (
	Strangers Whose = false
	Own       Whose = true
)

// ErrNoRepository is returned for a folder that is in none.
var ErrNoRepository = errors.New("there is no repository")

// ErrBorrows is returned where a stranger's repository has its objects in another one.
var ErrBorrows = errors.New("its objects are borrowed from another repository (objects/info/alternates)")

// Git is a repository that is only looked at: a git directory of ours, with what the index and the commits of it are. Nothing
// that its configuration or its hooks would have Git do is there.
type Git struct {
	// Commit is the one that is checked out, or "" when there is none yet.
	Commit string
	// Borrows is ErrBorrows when there are no objects to be read for that.
	Borrows error

	dir, top, at string   // ours; where its files are; the folder that it was opened for
	off          []string // arguments that switch off what the user's own configuration has Git run
}

const (
	gitTimeout = time.Minute
	maxIndex   = 256 << 20 // bytes
	maxOutput  = 600 << 20 // bytes: somewhat more than Elastic Beanstalk takes
)

// OpenGit opens the repository that a folder is in, if there is one. One that names files in another place as its own, or that Git
// refuses, is an error.
func OpenGit(ctx context.Context, dir string, whose Whose) (g *Git, err error) {
	at, err := filepath.Abs(dir)
	if err == nil {
		at, err = filepath.EvalSymlinks(at)
	}
	if err != nil {
		return nil, err
	}
	if above(at) == "" {
		return nil, ErrNoRepository
	}
	if err := files(filepath.Join(above(at), ".git")); err != nil {
		return nil, err
	}
	paths := []string{"objects", "index", "info/exclude", "info/attributes"}
	args := []string{"rev-parse", "--path-format=absolute", "--show-object-format", "--show-toplevel"}
	for _, p := range paths {
		args = append(args, "--git-path", p)
	}
	out, err := git(ctx, at, nil, args...)
	if err != nil {
		return nil, err
	}
	said := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(said) != 2+len(paths) {
		return nil, errors.New("git: its folder has a name of several lines")
	}
	top, err := filepath.EvalSymlinks(said[1])
	if err != nil {
		return nil, err
	}
	if top != above(at) {
		return nil, fmt.Errorf("git: the repository of %s has its files in %s", at, top)
	}
	g = &Git{top: top, at: at}
	if g.dir, err = os.MkdirTemp("", "beanpole-git-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	if g.Commit, err = g.resolve(ctx, "HEAD"); errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	} else if err != nil {
		g.Commit = "" // there is none yet
	}
	return g, errors.Join(g.make(said[0], whose, said[2:]), g.filters(ctx))
}

// files returns an error for a git directory in which there is a pipe or a device: Git would open it, and wait.
func files(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&(fs.ModeNamedPipe|fs.ModeDevice) != 0 {
			err = fmt.Errorf("git: %s is no file", path)
		}
		return err
	})
}

// above returns the nearest folder, dir or around it, that is the top of a repository.
func above(dir string) string {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// make fills our git directory. from are the paths of what is taken over.
func (g *Git) make(format string, whose Whose, from []string) error {
	objects, index := from[0], from[1]
	config := "[core]\n\tbare = false\n\trepositoryformatversion = 0\n"
	if format != "sha1" {
		config = "[core]\n\tbare = false\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = " + format + "\n"
	}
	head := g.Commit
	if head == "" {
		head = "ref: refs/heads/none"
	}
	err := errors.Join(os.MkdirAll(filepath.Join(g.dir, "refs"), 0o700), os.MkdirAll(filepath.Join(g.dir, "objects", "info"), 0o700),
		os.MkdirAll(filepath.Join(g.dir, "info"), 0o700), g.put("config", config), g.put("HEAD", head+"\n"))
	if _, e := os.Lstat(filepath.Join(objects, "info", "alternates")); e == nil && whose == Strangers {
		g.Borrows = ErrBorrows
	} else {
		err = errors.Join(err, g.put("objects/info/alternates", filepath.ToSlash(objects)+"\n"))
	}
	for i, name := range []string{"info/exclude", "info/attributes"} {
		text, e := ReadFile(filepath.Dir(from[2+i]), filepath.Base(from[2+i]), MaxText)
		if e == nil {
			e = g.put(name, string(text))
		}
		if !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	shared, _ := filepath.Glob(filepath.Join(filepath.Dir(index), "sharedindex.*")) // of an index in two parts
	for _, file := range append(shared, index) {
		if e := g.copy(file); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func (g *Git) put(name, text string) error {
	return os.WriteFile(filepath.Join(g.dir, filepath.FromSlash(name)), []byte(text), 0o600)
}

// copy takes over a file of the index. Its time says which files may have been changed since without a trace.
func (g *Git) copy(file string) error {
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer root.Close()
	in, err := Open(root, filepath.Base(file))
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if info.Size() > maxIndex {
		return fmt.Errorf("%s: %w", file, ErrTooLarge)
	}
	to := filepath.Join(g.dir, filepath.Base(file))
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, maxIndex))
	return errors.Join(err, out.Close(), os.Chtimes(to, info.ModTime(), info.ModTime()))
}

// filters switches off the filters of the user's own configuration: of a stranger's repository they would fetch what that
// names.
func (g *Git) filters(ctx context.Context) error {
	names, err := g.Run(ctx, "config", "--includes", "--name-only", "--get-regexp", `^filter\.`)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	for name := range strings.Lines(string(names)) { // an error says that there are none
		name = strings.TrimSpace(name)
		filter := name[:strings.LastIndex(name, ".")]
		g.off = append(g.off, "-c", filter+".process=", "-c", filter+".clean=", "-c", filter+".smudge=", "-c", filter+".required=false")
	}
	return nil
}

// Top returns the folder that is the top of the repository.
func (g *Git) Top() string { return g.top }

// Close removes what OpenGit has made.
func (g *Git) Close() error { return os.RemoveAll(g.dir) }

// Run runs a command of Git in the folder that g was opened for, and returns what it says.
func (g *Git) Run(ctx context.Context, args ...string) ([]byte, error) {
	return git(ctx, g.at, []string{"GIT_DIR=" + g.dir, "GIT_WORK_TREE=" + g.top}, append(slices.Clone(g.off), args...)...)
}

// Changed reports whether files of the folder are others than those of Commit, or are not in it.
func (g *Git) Changed(ctx context.Context) bool {
	out, err := g.Run(ctx, "status", "--porcelain", "--ignore-submodules=all", "--", ".")
	return err != nil || len(out) > 0
}

// Ignored returns what is ignored of the folder, by .gitignore and the like: files, and folders as a whole, by names from there.
// Where that is the folder itself, with all that is in it, only what is said inside of it counts.
func (g *Git) Ignored(ctx context.Context) (map[string]bool, error) {
	at := *g
	if _, err := g.Run(ctx, "check-ignore", "--no-index", "-q", "."); err == nil {
		at.top = g.at
	}
	all := map[string]bool{}
	for _, which := range [][]string{{"--others", "--directory"}, {"--cached"}} {
		out, err := at.Run(ctx, append([]string{"ls-files", "-z", "--ignored", "--exclude-standard"}, which...)...)
		if err != nil {
			return nil, err
		}
		for name := range strings.SplitSeq(string(out), "\x00") {
			if n := strings.TrimSuffix(name, "/"); n != "" {
				all[n] = true
			}
		}
	}
	return all, nil
}

// Checkout writes the files of a revision of the whole repository into a folder, and returns where in it the folder is that
// g was opened for.
func (g *Git) Checkout(ctx context.Context, revision, into string) (within string, err error) {
	commit, err := g.resolve(ctx, revision)
	if err != nil {
		return "", err
	}
	if _, err := g.Run(ctx, "read-tree", commit); err != nil {
		return "", err
	}
	if _, err := g.Run(ctx, "-C", g.top, "checkout-index", "--all", "--prefix="+filepath.ToSlash(into)+"/"); err != nil {
		return "", err
	}
	rel, err := filepath.Rel(g.top, g.at)
	return filepath.Join(into, rel), err
}

// resolve returns the commit that a revision names. It asks the repository itself, of whose configuration this needs nothing.
func (g *Git) resolve(ctx context.Context, revision string) (string, error) {
	out, err := git(ctx, g.at, nil, "rev-parse", "--verify", "--end-of-options", revision)
	return strings.TrimSpace(string(out)), err
}

// git runs Git with what holds for each of its runs: no program of anybody's, no question, no network, no lock.
func git(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	var off []string
	for _, set := range []string{"core.fsmonitor=false", "core.untrackedCache=false", "core.hooksPath=" + os.DevNull, "core.pager=cat",
		"gpg.program=" + os.DevNull, "gpg.x509.program=" + os.DevNull, "gpg.ssh.program=" + os.DevNull, "gc.auto=0"} {
		off = append(off, "-c", set)
	}
	cmd := exec.CommandContext(ctx, "git", append(off, args...)...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	for _, set := range os.Environ() {
		// What is set where Git itself runs this program is of another repository. Its ways to name a configuration stay.
		if !strings.HasPrefix(set, "GIT_") || strings.HasPrefix(set, "GIT_CONFIG_") || strings.HasPrefix(set, "GIT_EXEC_PATH=") {
			cmd.Env = append(cmd.Env, set)
		}
	}
	cmd.Env = append(append(cmd.Env, "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=", "GIT_NO_LAZY_FETCH=1", "LC_ALL=C"), env...)
	out, said := &head{most: maxOutput}, &head{most: MaxText}
	cmd.Stdout, cmd.Stderr = out, said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("git: %w: %s", err, strings.TrimSpace(said.kept.String()))
	}
	if out.more {
		return nil, fmt.Errorf("git: %w", ErrTooLarge)
	}
	return out.kept.Bytes(), nil
}
