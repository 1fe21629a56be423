// Command fprom is the operator's program: it says whether FirstPromoter gets every sale, shows and mends what is wrong,
// and brings in or compares past sales. See docs/cli.md.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/fprom-go/fprom"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(15) // a million rows stay in memory: collect garbage early
	}
	os.Exit(run(ctx, os.Args[1:]))
}

// run is the program from its arguments to its exit status.
func run(ctx context.Context, args []string) (code int) {
	out := &stdout{w: os.Stdout}
	a := &app{out: out, errs: os.Stderr, commissionStatus: func(int64) string { return "" }}
	a.terminal.in, a.terminal.out, a.terminal.errs = isTerminal(os.Stdin), isTerminal(os.Stdout), isTerminal(os.Stderr)
	defer func() {
		if p := recover(); p != nil {
			report(a.errs, isJSON(formatOf(args)), failed("a mistake in this program, please report it: %v\n%s", p, debug.Stack()))
			code = exitFailed
		}
	}()
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if werr := out.failure(); werr != nil && !errors.Is(err, context.Canceled) {
		err = failed("%w", werr)
	}
	if err == nil {
		return exitDone
	}
	if _, ran := errors.AsType[*exitError](err); !ran { // cobra's own: a flag, an argument, a command
		err = usage("%w; see %s --help", err, cmd.CommandPath())
	}
	report(a.errs, isJSON(formatOf(args)), err)
	return exitCode(err)
}

// isTerminal reports whether f is a terminal. Windows has other numbers than 0, 1 and 2 for these files.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// app is what all commands share.
type app struct {
	out, errs io.Writer
	format    string
	where     string // --outbox
	bars      string // --progress
	personal  bool
	changes   string // --changes
	terminal  struct{ in, out, errs bool }
	shown     atomic.Pointer[progress] // the last one
	warned    func(text string)        // takes the warnings of the libraries; nil: note does

	commissionStatus func(commission int64) string // see readChanges
}

const about = `fprom shows whether FirstPromoter gets every sale, and helps to mend it if not.

Where the events are: --outbox FILE (boltqueue; a service that has it open is asked through its socket) or
--outbox postgres://… (riverqueue; ?schema=fprom). Default: $FPROM_OUTBOX.
Credentials: $FIRSTPROMOTER_API_KEY, $FIRSTPROMOTER_ACCOUNT_ID, $FIRSTPROMOTER_API_URL, as for the library.
Data is on stdout, everything else on stderr. E-mail addresses are masked, unless --personal.`

const rootExamples = `  fprom doctor
  fprom status --outbox /var/lib/shop/fprom.db
  fprom events --state waiting --since 2h
  fprom dead list -o json
  fprom dead redrive --all --dry-run`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "fprom", Version: fprom.Version, Short: "See and mend what goes to FirstPromoter", Long: about, Example: rootExamples,
		SilenceErrors: true, SilenceUsage: true, Args: known, SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(a.out)
	root.SetFlagErrorFunc(flagError)
	root.SetUsageTemplate(root.UsageTemplate() + "\n" + exitTable)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveDefault)
	f := root.PersistentFlags()
	a.format, a.bars = formatText, progressAuto
	choose(root, f, &a.format, "output", "o", "how results are written: text, json (one object) or jsonl (one a line)", formatText, formatJSON, formatJSONL)
	choose(root, f, &a.bars, "progress", "", "how long work shows its progress: auto, bar, plain (a line every 10 s) or none", progressAuto, progressBar, progressPlain, progressNone)
	root.AddCommand(a.doctor(), a.status(), a.events(), a.dead(), a.forget(), a.backfill(), a.reconcile(), a.why(), a.explain(), a.trigger(), a.fake(), a.pageCommand())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	completion, _, _ := root.Find([]string{"completion"})
	completion.Args, completion.RunE = known, root.RunE
	help, _, _ := root.Find([]string{"help"})
	help.Args = func(_ *cobra.Command, args []string) error {
		cmd, rest, _ := root.Find(args)
		return known(cmd, rest)
	}
	return root
}

// command turns f into a cobra.Command's RunE. Each error gets its exit status.
func command(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd.Context(), args)
		if _, coded := errors.AsType[*exitError](err); err != nil && !coded {
			err = &exitError{exitCode(err), err}
		}
		return err
	}
}
