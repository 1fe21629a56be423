package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fprom-go/fprom"
)

var (
	states   = []string{string(fprom.StateWaiting), string(fprom.StateDone), string(fprom.StateDead)}
	outcomes = []string{string(fprom.Tracked), string(fprom.NotReferral), string(fprom.Duplicate), string(fprom.Rejected), string(fprom.Undelivered)}
	kinds    = []string{fprom.KindSale, fprom.KindRefund, fprom.KindSignup, fprom.KindCancellation}
)

// choice is the value of a flag that takes one of a few texts.
type choice struct {
	value *string
	of    []string
}

func (c choice) String() string { return *c.value }
func (c choice) Type() string   { return "string" }

func (c choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return errors.New("is not one of " + strings.Join(c.of, ", "))
	}
	*c.value = s
	return nil
}

// choose adds a flag that takes one of a few texts, which a shell offers.
func choose(cmd *cobra.Command, f *pflag.FlagSet, value *string, name, short, help string, of ...string) {
	f.VarP(choice{value, of}, name, short, help)
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(of, cobra.ShellCompDirectiveNoFileComp))
}

// takes is a cobra.PositionalArgs for least to most arguments. Errors call them names.
func takes(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least, slices.ContainsFunc(args, blank):
			return fmt.Errorf("say %s", names)
		case len(args) > most && most == 0:
			return fmt.Errorf("unexpected argument %q", args[0])
		case len(args) > most && aDuration(args[most]) && cmd.Flags().Changed("wait"):
			return fmt.Errorf("unexpected argument %q: the time of --wait needs a =: --wait=%s", args[most], args[most])
		case len(args) > most:
			return fmt.Errorf("unexpected argument %q: there is room for %s only", args[most], names)
		}
		return nil
	}
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

func aDuration(s string) bool {
	_, err := time.ParseDuration(s)
	return err == nil
}

// known is a cobra.PositionalArgs for a command that only has subcommands.
func known(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	mean := ""
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		mean = "; did you mean " + strings.Join(like, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q%s", args[0], mean)
}

// flagError explains a value that a flag does not accept.
func flagError(_ *cobra.Command, err error) error {
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	if c, is := wrong.GetFlag().Value.(choice); is {
		return fmt.Errorf("--%s %q: %w", wrong.GetFlag().Name, wrong.GetValue(), c.Set(wrong.GetValue()))
	}
	what := map[string]string{"int": "whole number", "duration": "span such as 90s or 10m", "bool": "true or false"}
	return fmt.Errorf("--%s %q: is no %s", wrong.GetFlag().Name, wrong.GetValue(), cmp.Or(what[wrong.GetFlag().Value.Type()], "value of it"))
}

func checkRate(perMinute int) error {
	if perMinute < 2 {
		return usage("--rate %d: must be at least 2", perMinute)
	}
	return nil
}

// outboxFlag adds --outbox to cmd and its subcommands.
func (a *app) outboxFlag(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&a.where, "outbox", "", "file of boltqueue, or postgres://… of riverqueue (default $FPROM_OUTBOX)")
}

func (a *app) personalFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.personal, "personal", false, "show e-mail addresses in clear")
}

// filterFlags are the flags that select events.
type filterFlags struct {
	fprom.Filter
	since, until string
}

func (s *filterFlags) register(cmd *cobra.Command, limit int) {
	f := cmd.Flags()
	choose(cmd, f, &s.Kind, "kind", "", "only sale, refund, signup or cancellation", kinds...)
	f.StringVar(&s.Customer, "customer", "", "only of this e-mail address or uid")
	f.StringVar(&s.since, "since", "", "recorded at or after this time: 2h or 7d ago, 2026-01-31 or 2026-01-31T08:00:00Z")
	f.StringVar(&s.until, "until", "", "recorded before this time; written as for --since")
	f.StringVar(&s.Reason, "reason", "", "only events whose last error contains this text")
	f.IntVar(&s.StatusCode, "status", 0, "only events whose last answer had this status, such as 400")
	f.IntVar(&s.Limit, "limit", limit, "at most this many; 0: all")
}

// registerAfter adds --after.
func (s *filterFlags) registerAfter(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.After, "after", "", "continue after this cursor, which an earlier list printed")
}

// filter checks the flags.
func (s *filterFlags) filter(keys []string, now time.Time) (fprom.Filter, error) {
	f := s.Filter
	f.Keys = keys
	if _, err := strconv.ParseUint(cmp.Or(f.After, "0"), 10, 63); err != nil {
		return f, usage("--after %q: is not what the last line of a list said", f.After)
	}
	if f.Limit < 0 {
		return f, usage("--limit %d: is negative", f.Limit)
	}
	if f.StatusCode < 0 || f.StatusCode > 999 {
		return f, usage("--status %d: is no status of an answer, such as 400", f.StatusCode)
	}
	var err error
	if f.Since, err = moment("--since", s.since, now); err != nil {
		return f, err
	}
	if f.Until, err = moment("--until", s.until, now); err != nil {
		return f, err
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return f, usage("--until %s: is not after --since %s", s.until, s.since)
	}
	return f, nil
}

// moment reads a time: a span before now, a day (UTC) or a time.
func moment(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02 15:04:05Z"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("%s %s: is neither a span such as 2h or 7d nor a time such as 2026-01-31 or 2026-01-31T08:00:00Z", flag, strconv.Quote(s))
}
