package pack

import (
	"bytes"
	"context"
	"strings"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/lint"
)

// noVersion is the line of a Dockerfile that stamp fills in. A program that is built here knows its revision from git;
// one that an instance builds has no repository to ask.
const noVersion = "\nENV BEANPOLE_VERSION=\n"

// stamp writes the revision of the folder into the bundle's Dockerfile, if that has a place for it and there is one.
func stamp(ctx context.Context, b *lint.Bundle, dir string) {
	text := contentOf(b, "Dockerfile")
	if !bytes.Contains(text, []byte(noVersion)) {
		return
	}
	version := revision(ctx, dir)
	if version == "" {
		return
	}
	line := strings.TrimSuffix(noVersion, "\n") + version + "\n"
	b.Add("Dockerfile", 0o644, bytes.Replace(text, []byte(noVersion), []byte(line), 1))
}

// revision returns the commit of a folder, with "-modified" if what is in it is another; "" outside a repository.
func revision(ctx context.Context, dir string) string {
	g, err := foreign.OpenGit(ctx, dir, foreign.Strangers)
	if err != nil {
		return ""
	}
	defer g.Close()
	if g.Commit == "" {
		return ""
	}
	version := g.Commit[:12]
	if g.Changed(ctx) {
		version += "-modified"
	}
	return version
}
