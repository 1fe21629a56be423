package main

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/explain"
)

const maxPayload = 1 << 20 // as billing.Handler takes

type explanationJSON struct {
	Provider string        `json:"provider"`
	Event    string        `json:"event"` // the provider's type of it
	ID       string        `json:"id"`
	Tracked  []trackedJSON `json:"tracked"`
	Skipped  string        `json:"skipped"`
	Detail   string        `json:"detail"`
	Error    string        `json:"error,omitempty"` // why the payload cannot be read
	// More is the other events of a body that holds several.
	More []explanationJSON `json:"more,omitempty"`
}

type trackedJSON struct {
	Kind   string      `json:"kind"`
	Fields []fieldJSON `json:"fields"`
}

type fieldJSON struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

func (a *app) explain() *cobra.Command {
	var testMode, trials bool
	cmd := &cobra.Command{
		Use: "explain PROVIDER [FILE]", Short: "Show what a webhook's payload becomes, and why",
		Long: `Show which field of a payload each value came from, or why nothing is tracked. The payload is read from FILE, or from stdin.
Nothing is sent and no signature is checked. The exit status is 3 where money moved that cannot be tracked as it is.

Providers: ` + strings.Join(explain.Providers(), ", "),
		Example: `  fprom explain stripe invoice.json
  pbpaste | fprom explain --test-mode polar`,
		Args: takes(1, 2, "PROVIDER and FILE"), ValidArgs: explain.Providers(),
		RunE: command(func(ctx context.Context, args []string) error {
			var opts []billing.Option
			if testMode {
				opts = append(opts, billing.WithTestMode())
			}
			if trials {
				opts = append(opts, billing.WithTrialSignups())
			}
			return a.explainPayload(ctx, args, opts)
		}),
	}
	cmd.Flags().BoolVar(&testMode, "test-mode", false, "explain test payloads as if they were live")
	cmd.Flags().BoolVar(&trials, "trials", false, "make sign-ups of trials, as billing.WithTrialSignups")
	return cmd
}

func (a *app) explainPayload(ctx context.Context, args []string, opts []billing.Option) error {
	if !slices.Contains(explain.Providers(), args[0]) {
		return usage("provider %q: is not one of %s", args[0], strings.Join(explain.Providers(), ", "))
	}
	payload, err := a.payload(ctx, args[1:])
	if err != nil {
		return err
	}
	x := explain.Explain(args[0], payload, opts...)
	if x.Err != nil {
		return x.Err
	}
	v := explanationOf(x)
	if err := a.show(v, func(w io.Writer) { _, _ = io.WriteString(w, cleanLines(x.String())) }); err != nil {
		return err
	}
	if unclear(x) {
		return errNeedsPerson
	}
	return nil
}

func (a *app) payload(ctx context.Context, files []string) ([]byte, error) {
	path := "-"
	if len(files) > 0 {
		path = files[0]
	}
	if path == "-" && a.terminal.in {
		a.note("reads the payload from the terminal until Ctrl-D")
	}
	in, _, end, err := a.openFile(ctx, path)
	if err != nil {
		return nil, err
	}
	defer end()
	b, err := io.ReadAll(io.LimitReader(in, maxPayload+1))
	if err == nil && len(b) > maxPayload {
		err = failed("the payload is larger than 1 MiB")
	}
	return b, err
}

func explanationOf(x billing.Explanation) explanationJSON {
	v := explanationJSON{Provider: x.Provider, Event: x.Type, ID: x.ID, Tracked: []trackedJSON{}, Skipped: string(x.Skipped), Detail: x.Detail}
	if x.Err != nil {
		v.Error = x.Err.Error()
	}
	for _, t := range x.Tracked {
		fields := make([]fieldJSON, len(t.Fields))
		for i, f := range t.Fields {
			fields[i] = fieldJSON{f.Name, f.Value, f.From}
		}
		m, _ := fprom.NewMessage(t.Event) // what is tracked is valid
		v.Tracked = append(v.Tracked, trackedJSON{m.Kind, fields})
	}
	for _, m := range x.More {
		v.More = append(v.More, explanationOf(m))
	}
	return v
}

// unclear reports whether money moved that cannot be tracked as it is.
func unclear(x billing.Explanation) bool {
	return x.Skipped.MayLose() || slices.ContainsFunc(x.More, unclear)
}

// cleanLines cleans each line of s.
func cleanLines(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		_, _ = b.WriteString(clean(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}
