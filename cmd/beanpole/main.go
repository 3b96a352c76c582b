package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/beanpole/beanpole/cmd/beanpole/internal/foreign"
	"github.com/beanpole/beanpole/cmd/beanpole/internal/project"
	"github.com/beanpole/beanpole/internal/version"
)

// The exit status says what was found.
const (
	exitOK       = 0
	exitWarning  = 1
	exitFailure  = 2
	exitBadUsage = 64 // sysexits.h, EX_USAGE
)

// exit is an error that only carries the status: everything has been said.
type exit int

// Error names the status.
func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// badUsage is an error of who has called, not of what was looked at.
type badUsage struct{ error }

// usage marks an error as one of who has called.
func usage(err error) error { return badUsage{err} }

// cli is the command line.
type cli struct {
	Init    initCommand      `cmd:"" help:"Write a new project, or the bundle into an existing module. Exit status 1 means that files differ and were left."`
	Update  updateCommand    `cmd:"" help:"Bring this version's bundle to a project. Exit status 1 means conflicts."`
	Lint    lintCommand      `cmd:"" help:"Check a bundle before it is shipped. Exit status 1 means warnings, 2 errors."`
	Pack    packCommand      `cmd:"" help:"Build the application and make the zip to deploy. Refuses a wrong bundle."`
	Doctor  doctorCommand    `cmd:"" help:"Look at a live environment from outside. Exit status 1 means warnings, 2 failures."`
	Load    loadCommand      `cmd:"" help:"Put load on a Socket.IO server and tell what became of every message. Exit status 1 means that something is amiss."`
	Types   typesCommand     `cmd:"" help:"Write the TypeScript of what clients and the application say to each other. Exit status 2 means old files, or a break."`
	Version kong.VersionFlag `help:"Say which version this is."`
}

// output is where commands write, and where they ask.
type output struct {
	out, err io.Writer
	in       io.Reader
	asks     bool      // somebody sits there to be asked
	cursor   io.Writer // a terminal whose line may be written over, or nil
}

// progress says what has begun, to who waits.
func (o output) progress(what string) { fmt.Fprintf(o.err, "%s …\n", what) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	o := output{out: os.Stdout, err: os.Stderr, in: os.Stdin, asks: isTerminal(os.Stdin) && isTerminal(os.Stderr)}
	if isTerminal(os.Stderr) {
		o.cursor = os.Stderr
	}
	code := run(ctx, os.Args[1:], o)
	stop()
	os.Exit(code)
}

// isTerminal reports whether somebody may be looking, as opposed to a file or the log of a pipeline.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// written is an output that remembers the first error. What could not be written was not said, and a status that says that
// all is well would be all that is left.
type written struct {
	io.Writer
	err error
}

// Write writes, as long as it has worked.
func (w *written) Write(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.Writer.Write(b)
	w.err = err
	return n, err
}

// run is main without the process. Whatever the command, it fails when its output cannot be written, and nothing that it says
// acts on a terminal: names and answers are of others.
func run(ctx context.Context, args []string, o output) int {
	out := &written{Writer: foreign.Writer{Writer: o.out}}
	o.out, o.err = out, foreign.Writer{Writer: o.err}
	code := command(ctx, args, o)
	if out.err != nil && code < exitFailure {
		fmt.Fprintln(o.err, "beanpole: the result was not written:", out.err)
		return exitFailure
	}
	return code
}

// command does what the command line says.
func command(ctx context.Context, args []string, o output) int {
	var c cli
	ended := -1 // set when kong has answered by itself: --help
	parser, err := kong.New(&c, kong.Name("beanpole"), kong.Writers(o.out, o.err), kong.Exit(func(n int) { ended = n }),
		kong.Description("Makes, checks, packs and diagnoses deployments of Beanpole on AWS Elastic Beanstalk. Exit status 64 means bad usage."),
		kong.Vars{
			"version":  fmt.Sprintf("beanpole %s %s %s/%s", version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH),
			"variants": strings.Join(project.Variants(), ", "),
		},
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(o))
	if err != nil {
		fmt.Fprintln(o.err, "beanpole:", err)
		return exitBadUsage
	}
	if len(args) > 0 && args[0] == "help" { // beanpole help, beanpole help lint
		args = append(slices.Clone(args[1:]), "--help")
	}
	k, err := parser.Parse(args)
	if ended >= 0 {
		return ended
	}
	if err != nil {
		fmt.Fprintln(o.err, "beanpole:", err)
		return exitBadUsage
	}
	err = k.Run()
	var status exit
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintln(o.err, "beanpole:", err)
	if errors.As(err, new(badUsage)) {
		return exitBadUsage
	}
	return exitFailure
}
