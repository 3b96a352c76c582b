// Release builds the command beanpole for every system it is given out for, twice, from two folders and with two
// caches, and compares: what differs between two builds cannot be checked by anybody else. Beside the programs it writes
// their checksums and, as CycloneDX, what they are made of.
//
//	cd test/release && go run .          # into build/release
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

const (
	root    = "../.."
	module  = "github.com/beanpole/beanpole"
	systems = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"
)

func main() {
	out := flag.String("out", filepath.Join(root, "build", "release"), "folder to write into")
	of := flag.String("systems", systems, "what to build for")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := release(ctx, *out, strings.Split(*of, ","))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func release(ctx context.Context, out string, systems []string) error {
	revision, err := run(ctx, root, nil, "git", "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return err
	}
	changed, err := run(ctx, root, nil, "git", "status", "--porcelain", "--untracked-files=no")
	if err != nil {
		return err
	}
	if changed != "" {
		return fmt.Errorf("what is released has to be committed:\n%s", changed)
	}
	text, err := os.ReadFile(filepath.Join(root, "internal/version/version.go"))
	if err != nil {
		return err
	}
	number := regexp.MustCompile(`const Number = "(.*)"`).FindSubmatch(text)
	if number == nil {
		return errors.New("internal/version has no Number")
	}
	// What is compiled for all systems, twice, takes a slow or busy machine an hour. So the caches stay when it is cut off, and the
	// next run goes on with them; each has been filled from its own folder all the same.
	work, err := filepath.Abs(filepath.Join(root, "build", "release-work"))
	if err != nil {
		return err
	}
	for i := range 2 {
		if err := os.RemoveAll(filepath.Join(work, fmt.Sprint(i), "src")); err != nil {
			return err
		}
	}
	if err := errors.Join(os.RemoveAll(out), os.MkdirAll(out, 0o755)); err != nil {
		return err
	}
	var sums strings.Builder
	for _, system := range systems {
		goos, goarch, _ := strings.Cut(system, "/")
		name := fmt.Sprintf("beanpole_%s_%s_%s", number[1], goos, goarch)
		if goos == "windows" {
			name += ".exe"
		}
		var built [2]string
		var failed [2]error
		var both sync.WaitGroup
		for i := range built {
			built[i] = filepath.Join(work, fmt.Sprint(i), "out", name)
			both.Go(func() {
				failed[i] = build(ctx, filepath.Join(work, fmt.Sprint(i)), built[i], revision, goos, goarch)
			})
		}
		both.Wait()
		if err := errors.Join(failed[:]...); err != nil {
			return err
		}
		first, err := os.ReadFile(built[0])
		if err != nil {
			return err
		}
		second, err := os.ReadFile(built[1])
		if err != nil {
			return err
		}
		if !bytes.Equal(first, second) {
			return fmt.Errorf("%s: two builds of one commit differ", name)
		}
		list, err := bom(built[0], name, string(number[1]), first)
		if err != nil {
			return err
		}
		if err := errors.Join(os.WriteFile(filepath.Join(out, name), first, 0o755), os.WriteFile(filepath.Join(out, name+".cdx.json"), list, 0o644)); err != nil {
			return err
		}
		for _, f := range []struct {
			name string
			text []byte
		}{{name, first}, {name + ".cdx.json", list}} {
			sum := sha256.Sum256(f.text)
			fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(sum[:]), f.name)
		}
		fmt.Printf("%-34s %5.1f MB, twice the same\n", name, float64(len(first))/1e6)
	}
	return errors.Join(os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(sums.String()), 0o644), os.RemoveAll(work))
}

// build builds the committed source from a folder of its own and with a cache of its own.
func build(ctx context.Context, work, to, revision, goos, goarch string) error {
	src := filepath.Join(work, "src")
	if _, err := os.Stat(src); err != nil {
		if err := checkout(ctx, src); err != nil {
			return err
		}
	}
	env := []string{"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOOS=" + goos, "GOARCH=" + goarch, "GOCACHE=" + filepath.Join(work, "cache")}
	_, err := run(ctx, src, env, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid= -X "+module+"/internal/version.revision="+revision, "-o", to, "./cmd/beanpole")
	return err
}

// checkout writes what is committed into a folder.
func checkout(ctx context.Context, to string) error {
	archive, err := run(ctx, root, nil, "git", "archive", "--format=tar", "HEAD")
	if err != nil {
		return err
	}
	for r := tar.NewReader(strings.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		file := filepath.Join(to, filepath.FromSlash(h.Name))
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) {
			continue
		}
		text, err := io.ReadAll(r)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, text, h.FileInfo().Mode().Perm())); err != nil {
			return err
		}
	}
}

// bom says what a program is made of, by what its build has recorded in it.
func bom(file, name, version string, program []byte) ([]byte, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(program)
	b := cdx.NewBOM()
	b.Metadata = &cdx.Metadata{Component: &cdx.Component{
		BOMRef: "pkg:golang/" + module + "@v" + version, Type: cdx.ComponentTypeApplication, Name: name, Version: version,
		PackageURL: "pkg:golang/" + module + "@v" + version,
		Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
		Licenses:   &cdx.Licenses{{License: &cdx.License{ID: "MIT"}}},
	}}
	goVersion := strings.TrimPrefix(info.GoVersion, "go")
	parts := []cdx.Component{{BOMRef: "pkg:golang/std@" + goVersion, Type: cdx.ComponentTypeLibrary, Name: "std", Version: goVersion, PackageURL: "pkg:golang/std@" + goVersion}}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		url := "pkg:golang/" + d.Path + "@" + d.Version
		parts = append(parts, cdx.Component{BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: d.Path, Version: d.Version, PackageURL: url})
	}
	slices.SortFunc(parts, func(a, b cdx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	b.Components = &parts
	var out bytes.Buffer
	err = cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).Encode(b)
	return out.Bytes(), err
}

func run(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var said, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &wrong
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, args[0], err, bytes.TrimSpace(wrong.Bytes()))
	}
	if name == "git" && args[0] == "archive" {
		return said.String(), nil
	}
	return strings.TrimSpace(said.String()), nil
}
