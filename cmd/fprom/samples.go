package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom/fpromtest"
)

func sampleNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return fpromtest.WebhookProviders(), cobra.ShellCompDirectiveNoFileComp
	}
	return samplesOf(args[0]), cobra.ShellCompDirectiveNoFileComp
}

// samplesOf returns the events of a provider that have samples.
func samplesOf(provider string) (names []string) {
	for _, s := range fpromtest.Webhooks() {
		if s.Provider == provider {
			names = append(names, strings.TrimPrefix(s.String(), provider+" "))
		}
	}
	return names
}

// eventsOf are samplesOf without their variants.
func eventsOf(provider string) (names []string) {
	for _, s := range samplesOf(provider) {
		event, _, _ := strings.Cut(s, "@")
		names = append(names, event)
	}
	return slices.Compact(names)
}

func (a *app) listSamples() error {
	type sample struct {
		Provider string `json:"provider"`
		Event    string `json:"event"`
		Variant  string `json:"variant"`
	}
	var all []sample
	for _, s := range fpromtest.Webhooks() {
		all = append(all, sample{s.Provider, s.Event, s.Variant})
	}
	return a.show(map[string][]sample{"samples": all}, func(w io.Writer) {
		for _, s := range fpromtest.Webhooks() {
			_, _ = fmt.Fprintln(w, s)
		}
	})
}

func sampleBody(provider, event string, flags triggerFlags) ([]byte, error) {
	body, err := fpromtest.WebhookBody(provider, event, flags.WebhookConfig)
	if err != nil {
		return nil, usage("%w", err)
	}
	for _, o := range flags.overrides {
		path, value, ok := strings.Cut(o, "=")
		if !ok {
			return nil, usage("--override %q: is not path=value", o)
		}
		if body, err = override(body, path, value); err != nil {
			return nil, usage("--override %q: %w", o, err)
		}
	}
	return body, nil
}
