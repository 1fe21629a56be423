package billing_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/explain"
	"github.com/fprom-go/fprom/billing/stripe"
)

// Each file in testdata/rules has the small rules of one provider about what is money, whose it is, and how much. The lines:
//
//	# a comment
//	with payment payer tax customer down signups no-disputes   options of the next webhook; see ruleOptions and ruleProviders
//	each a b c                                       the next webhook comes with each of these words in place of %s
//	{…} or <…>                                       a webhook
//	= sale {…}                                       the requests that it leads to, or
//	= skipped by-hand                                why there is none, or
//	= error EventID                                  the field that is wrong
//
// With UPDATE_GOLDEN=1 in the environment the test writes the lines that begin with an equals sign: read them before you commit.
func TestRules(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/rules/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no rules", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got, with, each []string
			want := strings.Split(strings.TrimSpace(string(read(t, file))), "\n")
			for _, line := range want {
				kind, rest, _ := strings.Cut(line, " ")
				switch {
				case kind == "=":
					continue
				case kind == "with":
					with = strings.Fields(rest)
				case kind == "each":
					each = strings.Fields(rest)
				case strings.HasPrefix(line, "{"), strings.HasPrefix(line, "<"):
					got = append(got, line)
					line = rule(t, name, line, with, each)
					with, each = nil, nil
				}
				got = append(got, line)
			}
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(file, []byte(strings.Join(got, "\n")+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			for i := range max(len(got), len(want)) {
				if i >= len(got) || i >= len(want) || got[i] != want[i] {
					t.Fatalf("line %d: got %q", i+1, append(got, "the end")[min(i, len(got))])
				}
			}
		})
	}
}

// rule returns what becomes of a webhook: of all words in each the same.
func rule(t *testing.T, name, webhook string, with, each []string) string {
	t.Helper()
	v, _ := explain.Provider(name)
	var opts []billing.Option
	for _, w := range with {
		if p, ok := ruleProviders[w]; ok {
			v = p
			continue
		}
		o, ok := ruleOptions[w]
		if !ok {
			t.Fatalf("unknown option %q", w)
		}
		opts = append(opts, o)
	}
	result := ""
	for _, word := range append(each, "")[:max(len(each), 1)] {
		got := []string{"="}
		x := v.Explain([]byte(strings.ReplaceAll(webhook, "%s", word)), opts...)
		if wrong := new(fprom.ValidationError); errors.As(x.Err, &wrong) {
			got = append(got, "error", wrong.Field)
		} else if x.Skipped != "" {
			got = append(got, "skipped", string(x.Skipped))
		}
		for _, e := range x.Events() {
			m, err := fprom.NewMessage(e)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, m.Kind, string(m.Body))
		}
		line := strings.Join(got, " ")
		if result != "" && line != result {
			t.Errorf("%s: %s, and others %s", word, line, result)
		}
		result = line
	}
	return result
}

var ruleProviders = map[string]billing.Provider{
	"charge-refunded": stripe.Provider(stripe.WithChargeRefunded()),
	"payment-intents": stripe.Provider(stripe.WithPaymentIntents()),

	"charge-refunded-payment-intents": stripe.Provider(stripe.WithChargeRefunded(), stripe.WithPaymentIntents()),
}

var ruleOptions = map[string]billing.Option{
	"test":        billing.WithTestMode(),
	"signups":     billing.WithTrialSignups(),
	"no-disputes": billing.WithoutDisputes(),
	"customer": billing.WithCustomer(func(_ context.Context, id string) (billing.Customer, error) {
		return billing.Customer{Email: id + "@customer.example"}, nil
	}),
	"down": billing.WithCustomer(func(context.Context, string) (billing.Customer, error) {
		return billing.Customer{}, errors.New("nobody must be asked")
	}),
	"tax": billing.WithPayment(func(context.Context, string) (billing.Payment, error) {
		return billing.Payment{Total: 121, Tax: 21}, nil
	}),
	"payer": billing.WithPayment(func(_ context.Context, id string) (billing.Payment, error) {
		return billing.Payment{Email: id + "@payment.example"}, nil
	}),
	"payment": billing.WithPayment(func(_ context.Context, id string) (billing.Payment, error) {
		return billing.Payment{Email: id + "@payment.example", SaleEventID: "sale-of-" + id, Total: 121, Tax: 21}, nil
	}),
}
