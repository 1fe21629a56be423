package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/explain"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/currency"
	"github.com/fprom-go/fprom/internal/loopback"
)

const envWebhookSecret = "FPROM_WEBHOOK_SECRET" //nolint:gosec // the name of a variable

type triggerFlags struct {
	fpromtest.WebhookConfig
	overrides []string
	list, yes bool
}

// triggerJSON is the result of a sample.
type triggerJSON struct {
	Provider string          `json:"provider"`
	Event    string          `json:"event"`
	Status   int             `json:"status"`
	Answer   string          `json:"answer"` // its beginning
	Becomes  explanationJSON `json:"becomes"`
	Tracked  []eventJSON     `json:"tracked"` // from the outbox, where one is named
	// Conflicts is what the outbox had under the same ids before, with other amounts: these events are not tracked.
	Conflicts []eventJSON `json:"conflicts,omitempty"`
}

// good reports whether the endpoint took the webhook.
func (v triggerJSON) good() bool { return v.Status >= 200 && v.Status < 300 }

func (a *app) trigger() *cobra.Command {
	var flags triggerFlags
	cmd := &cobra.Command{
		Use: "trigger PROVIDER EVENT[@VARIANT] --to URL", Short: "Send a signed sample webhook to a service",
		Long: `Send a sample of a billing provider's webhook to a service, signed as the provider signs it, and show the answer. With an outbox
it also shows which events the service stored. Each sample is a new payment, unless --id is given: a refund with the --id of a sale
belongs to that sale. --list names all samples. The service takes a sample for a real payment: send it to a test service.`,
		Example: `  fprom trigger --list
  fprom trigger stripe invoice.paid --to http://localhost:8080/webhooks/stripe --secret whsec_… --tid b1a2
  fprom trigger stripe invoice.paid@2022-11-15 --to http://localhost:8080/webhooks/stripe --id 7 --override data.object.amount_paid=500
  fprom trigger polar order.paid --to http://localhost:8080/webhooks/polar --outbox fprom.db -o json`,
		Args: takes(0, 2, "PROVIDER and EVENT"), ValidArgsFunction: sampleNames,
		RunE: command(func(ctx context.Context, args []string) error {
			if flags.list {
				return a.listSamples()
			}
			return a.runTrigger(ctx, args, flags)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&flags.URL, "to", "", "address of the service's webhook endpoint")
	f.StringVar(&flags.Secret, "secret", "", "signing secret of the endpoint (default $"+envWebhookSecret+"); for paypal the webhook's id")
	f.StringVar(&flags.ID, "id", "", "part of the ids of payment, refund and customer (default random)")
	f.StringVar(&flags.Email, "email", "", "the customer's address (default jane@example.com)")
	f.StringVar(&flags.UID, "uid", "", "fp_uid in the metadata")
	f.StringVar(&flags.TID, "tid", "", "fp_tid in the metadata")
	f.StringVar(&flags.RefID, "ref", "", "fp_ref in the metadata")
	f.StringVar(&flags.Plan, "plan", "", "plan, price or product (default plan_pro)")
	f.Int64Var(&flags.Amount, "amount", 0, "amount before taxes, in hundredths (default 2000)")
	f.Int64Var(&flags.Tax, "tax", 0, "taxes on --amount, in hundredths (default 400)")
	f.StringVar(&flags.Currency, "currency", "", "currency with hundredths (default usd)")
	f.BoolVar(&flags.TestMode, "test-mode", false, "make a sample of the provider's test mode")
	f.StringArrayVar(&flags.overrides, "override", nil, "path=value: change a value of the payload, such as data.object.amount_paid=500; may be repeated")
	f.BoolVar(&flags.list, "list", false, "list the samples")
	f.BoolVar(&flags.yes, "yes", false, "do not ask before sending to another machine")
	a.outboxFlag(cmd)
	a.personalFlag(cmd)
	return cmd
}

func (a *app) runTrigger(ctx context.Context, args []string, flags triggerFlags) error {
	if err := checkTrigger(args, &flags); err != nil {
		return err
	}
	provider, event := args[0], args[1]
	body, err := sampleBody(provider, event, flags)
	if err != nil {
		return err
	}
	if err := a.confirmSample(ctx, provider, flags); err != nil {
		return err
	}
	v, begun := triggerJSON{Provider: provider, Event: event, Tracked: []eventJSON{}}, time.Now()
	if v.Status, v.Answer, err = send(ctx, provider, body, flags); err != nil {
		return err
	}
	var opts []billing.Option
	if flags.TestMode {
		opts = append(opts, billing.WithTestMode())
	}
	x := explain.Explain(provider, body, opts...)
	v.Becomes = explanationOf(x)
	looked := false
	if where, err := a.location(); err == nil && where != "" && v.good() {
		looked = true
		if v.Tracked, v.Conflicts, err = a.lookFor(ctx, x.Events(), begun); err != nil {
			return err
		}
	}
	if err := a.show(v, func(w io.Writer) { triggerText(w, v, x, looked) }); err != nil {
		return err
	}
	switch {
	case !v.good():
		return failed("the endpoint did not take the webhook (%d)", v.Status)
	case looked && len(v.Tracked) < len(x.Events()):
		return errNeedsPerson
	}
	return nil
}

func checkTrigger(args []string, flags *triggerFlags) error {
	flags.Secret = cmp.Or(flags.Secret, os.Getenv(envWebhookSecret))
	u, err := url.Parse(flags.URL)
	switch {
	case len(args) == 0:
		return usage("say which webhook: PROVIDER EVENT; fprom trigger --list names all")
	case !slices.Contains(fpromtest.WebhookProviders(), args[0]):
		return usage("provider %q: is not one of %s", args[0], strings.Join(fpromtest.WebhookProviders(), ", "))
	case len(args) == 1:
		return usage("say which event of %s: one of %s; fprom trigger --list names their variants", args[0], strings.Join(eventsOf(args[0]), ", "))
	case !slices.Contains(samplesOf(args[0]), args[1]):
		return usage("event %q of %s: is not one of %s; fprom trigger --list names their variants", args[1], args[0], strings.Join(eventsOf(args[0]), ", "))
	case flags.URL == "":
		return usage("--to is missing: the address of the service's webhook endpoint")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return usage("--to: is not an address that begins with http:// or https://")
	case flags.Secret == "":
		return usage("--secret is missing: the signing secret that the endpoint has; or set $%s", envWebhookSecret)
	case flags.Amount < 0 || flags.Tax < 0:
		return usage("--amount and --tax must not be negative")
	}
	return nil
}

// confirmSample asks before a sample leaves this machine: a service takes it for a payment.
func (a *app) confirmSample(ctx context.Context, provider string, flags triggerFlags) error {
	if provider == "paypal" {
		a.note("PayPal signs with a key that nobody else has: only an endpoint with fpromtest.PayPalCertificates of the same process takes this sample")
	}
	u, err := url.Parse(flags.URL)
	if err != nil || loopback.Is(u.Hostname()) {
		return err
	}
	return a.confirm(ctx, flags.yes, "--yes to do it", fmt.Sprintf("send a sample payment to %s, which takes it for a real one", u.Host))
}

// send posts the body once. It follows no redirect, which would drop the body.
func send(ctx context.Context, provider string, body []byte, flags triggerFlags) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, flags.URL, bytes.NewReader(body))
	if err != nil {
		return 0, "", usage("--to: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if err := fpromtest.SignWebhook(provider, req.Header, body, flags.Secret, time.Now()); err != nil {
		return 0, "", usage("--secret: %w", err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	switch {
	case errors.Is(err, context.Canceled):
		return 0, "", err
	case err != nil:
		return 0, "", failed("the endpoint does not answer: %s; is the service running?", plain(err))
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 500))
	return resp.StatusCode, clean(strings.TrimSpace(string(answer))), err
}

// lookFor finds the events of the webhook in the outbox. It waits up to two seconds: a service may answer before it stores them. In
// conflict is an event of before begun with another amount. (A later one with another amount is the service's options.)
func (a *app) lookFor(ctx context.Context, want []fprom.Event, begun time.Time) (found, conflicts []eventJSON, err error) {
	found = []eventJSON{}
	f := fprom.Filter{Personal: a.personal}
	expected := map[string]fprom.Entry{}
	for _, e := range want {
		m, err := fprom.NewMessage(e)
		if err != nil {
			return found, nil, err
		}
		f.Keys = append(f.Keys, m.Key)
		expected[fprom.SafeKey(m.Key)] = fprom.NewEntry(m)
	}
	if len(f.Keys) == 0 {
		return found, nil, nil
	}
	err = a.withOutbox(ctx, func(box fprom.Outbox) error {
		for range 20 {
			all, err := entries(box.Entries(ctx, f))
			if err != nil {
				return err
			}
			found, conflicts = found[:0], nil
			for _, e := range all {
				now, before := expected[e.Key], e.RecordedAt.Before(begun)
				switch {
				case before && e.State != fprom.StateWaiting && fprom.Message{Kind: e.Kind}.Repeats(): // the customer's last cancellation
				case before && (e.Amount != now.Amount || e.Currency != now.Currency):
					conflicts = append(conflicts, a.eventOf(e))
				default:
					found = append(found, a.eventOf(e))
				}
			}
			if len(found)+len(conflicts) >= len(f.Keys) {
				return nil
			}
			pause(ctx, 100*time.Millisecond)
		}
		return ctx.Err()
	})
	return found, conflicts, err
}

func triggerText(w io.Writer, v triggerJSON, x billing.Explanation, looked bool) {
	_, _ = fmt.Fprintf(w, "%s %s: answer %d %s\n", v.Provider, v.Event, v.Status, http.StatusText(v.Status))
	if v.Answer != "" {
		_, _ = fmt.Fprintf(w, "  %s\n", v.Answer)
	}
	if !v.good() {
		_, _ = fmt.Fprintln(w, "it was not taken; it would become:")
	}
	_, _ = io.WriteString(w, cleanLines(x.String()))
	switch {
	case !looked:
	case len(v.Tracked)+len(v.Conflicts) == 0 && len(x.Events()) > 0:
		_, _ = fmt.Fprintln(w, "the outbox has none of it: does the service use this outbox, and the options that it needs?")
	default:
		for _, e := range v.Tracked {
			_, _ = fmt.Fprintf(w, "in the outbox: %s %s %s\n", e.Key, e.State, e.Outcome)
		}
		for _, e := range v.Conflicts {
			_, _ = fmt.Fprintf(w, "not tracked: the outbox has %s already, with another amount: %s\n", e.Key, currency.Format(e.Amount, e.Currency))
		}
	}
}
