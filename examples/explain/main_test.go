package main

import (
	"os"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Parallel()
	fixture := func(name string) string {
		b, err := os.ReadFile("../../billing/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, tt := range []struct {
		name, in string
		args     []string
		code     int
		out      string // a part of what is printed
	}{
		{"sale", fixture("stripe/testdata/invoice_basil_subscription.json"), []string{"stripe"}, 0, "event_id      = in_1RbasilSub0001          ← data.object.id\n"},
		{"refund", fixture("lemonsqueezy/testdata/refund_renewal.json"), []string{"lemonsqueezy"}, 0, "sale_event_id = subinv:1003"},
		{"test mode", fixture("stripe/testdata/invoice_basil_test_mode.json"), []string{"stripe"}, 0, "nothing tracked (test-mode): livemode is false\n"},
		{"test mode accepted", fixture("stripe/testdata/invoice_basil_test_mode.json"), []string{"-test-mode", "stripe"}, 0, "amount        = 2000"},
		{"trial", fixture("polar/testdata/trial.json"), []string{"-trials", "polar"}, 0, "  signup\n"},
		{"not JSON", "{", []string{"paddle"}, 1, "error: fprom: paddle webhook"},
		{"unknown provider", "{}", []string{"cash"}, 1, "not one of chargebee, creem, "},
		{"no provider", "{}", nil, 2, ""},
		{"unknown flag", "{}", []string{"-x", "stripe"}, 2, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out, errs strings.Builder
			if code := run(tt.args, strings.NewReader(tt.in), &out, &errs); code != tt.code || !strings.Contains(out.String(), tt.out) {
				t.Errorf("exit %d, printed %q and %q", code, out.String(), errs.String())
			}
			if tt.code == 2 && !strings.Contains(errs.String(), "stripe") {
				t.Errorf("usage does not name the providers: %q", errs.String())
			}
		})
	}
}
