package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/alecthomas/kong"
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

// cli is the command line.
type cli struct {
	Lint   lintCommand   `cmd:"" help:"Check a bundle before it is shipped. Exit status 1 means warnings, 2 errors."`
	Pack   packCommand   `cmd:"" help:"Build the application and make the zip to deploy. Refuses a wrong bundle."`
	Doctor doctorCommand `cmd:"" help:"Look at a live environment from outside. Exit status 1 means warnings, 2 failures."`
	Health healthCommand `cmd:"" help:"Ask a URL once and exit with 0 when it answers 2xx."`
}

// output is where commands write.
type output struct{ out, err io.Writer }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], output{os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run is main without the process.
func run(ctx context.Context, args []string, o output) (code int) {
	var c cli
	ended := -1 // set when kong has answered by itself: --help
	parser, err := kong.New(&c, kong.Name("beanpole"), kong.Writers(o.out, o.err), kong.Exit(func(n int) { ended = n }),
		kong.Description("Checks, packs and diagnoses deployments of Beanpole on AWS Elastic Beanstalk."),
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(o))
	if err != nil {
		fmt.Fprintln(o.err, "beanpole:", err)
		return exitBadUsage
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
	return exitFailure
}
