package explain_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/explain"
)

// Every package below billing that is a provider is known by its name. Shopify sends no webhooks: it is asked.
func TestEveryProvider(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	var packages []string
	for _, e := range entries {
		if e.IsDir() && !slices.Contains([]string{"billingtest", "explain", "shopify", "testdata"}, e.Name()) {
			packages = append(packages, e.Name())
		}
	}
	if got := explain.Providers(); strings.Join(got, " ") != strings.Join(packages, " ") {
		t.Errorf("Providers: %v, packages: %v", got, packages)
	}
	for _, name := range explain.Providers() {
		nothing := []byte("{}")
		if name == "recurly" {
			nothing = []byte("<nothing/>")
		}
		if x := explain.Explain(name, nothing); x.Provider != name || x.Skipped != billing.NotMoney || x.Err != nil {
			t.Errorf("%s: %+v", name, x)
		}
		if x := explain.Explain(name, []byte("[]")); !fprom.IsPermanent(x.Err) {
			t.Errorf("%s: %v, want a permanent error", name, x.Err)
		}
	}
	if x := explain.Explain("cash", []byte("{}")); x.Err == nil || !strings.Contains(x.Err.Error(), strings.Join(packages, ", ")) {
		t.Errorf("an unknown provider: %v, want an error with the known ones", x.Err)
	}
}

func ExampleExplain() {
	payload := []byte(`{
		"meta": {"event_name": "order_created", "custom_data": {"fp_tid": "b1a2"}},
		"data": {"type": "orders", "id": "1", "attributes": {
			"status": "paid", "currency": "USD", "total": 1200, "tax": 200, "user_email": "ada@example.com"}}}`)
	fmt.Print(explain.Explain("lemonsqueezy", payload))
	fmt.Print(explain.Explain("stripe", []byte(`{"type":"charge.succeeded","id":"evt_1","livemode":true}`)))
	// Output:
	// lemonsqueezy order_created 1
	//   sale
	//     event_id      = order:1                    ← "order:" and data.id
	//     email         = a***@e***                  ← data.attributes.user_email
	//     amount        = 1000                       ← data.attributes.total − data.attributes.tax
	//     currency      = USD                        ← data.attributes.currency
	//     tid           = b1a2                       ← meta.custom_data.fp_tid
	// stripe charge.succeeded evt_1
	//   nothing tracked (other-event): invoice.paid or checkout.session.completed reports this payment
}
