package billing_test

import (
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/paddle"
	"github.com/fprom-go/fprom/billing/stripe"
)

// Where FirstPromoter's instructions for developers (github.com/firstpromoter/fpr-instructions, integrations) put the
// tracking id, there it is found.
func TestFirstPromotersInstructions(t *testing.T) {
	t.Parallel()
	session := func(object string) string {
		return `{"id":"evt_1","type":"checkout.session.completed","livemode":true,"data":{"object":{"id":"cs_1","payment_status":"paid",
			"currency":"usd","amount_total":1200,"total_details":{"amount_tax":200},"customer_details":{"email":"ada@example.com"},` + object + `}}}`
	}
	transaction := func(custom string) string {
		return `{"event_id":"evt_1","event_type":"transaction.completed","data":{"id":"txn_1","customer_id":"ctm_1","currency_code":"USD",
			"details":{"totals":{"total":"1200","tax":"200","grand_total":"1200","grand_total_tax":"200"}},"custom_data":` + custom + `}}`
	}
	reference := stripe.Provider(stripe.WithClientReferenceTID())
	sale := fprom.Sale{EventID: "pi_1", Email: "ada@example.com", Amount: 1000, Currency: "usd", TID: "tid-1"}
	signup := fprom.Signup{Email: "ada@example.com", TID: "tid-1"}
	paid := fprom.Sale{EventID: "txn_1", Amount: 1000, Currency: "USD", TID: "tid-1"}
	byEmail, byID := paid, paid
	byEmail.Email, byID.UID = "ada@example.com", "ctm_1"
	for _, tt := range []struct {
		name    string
		v       billing.Provider
		payload string
		want    fprom.Event
	}{
		{"Checkout, payment", stripe.Provider(), session(`"mode":"payment","payment_intent":"pi_1","metadata":{"fp_tid":"tid-1"}`), sale},
		{"Checkout, subscription", stripe.Provider(), session(`"mode":"subscription","invoice":"in_1","metadata":{"fp_tid":"tid-1"}`), signup},
		{"payment link", reference, session(`"mode":"payment","payment_intent":"pi_1","client_reference_id":"tid-1","metadata":{}`), sale},
		{"pricing table", reference, session(`"mode":"subscription","invoice":"in_1","client_reference_id":"tid-1","metadata":{}`), signup},
		{"Paddle, e-mail", paddle.Provider(), transaction(`{"fp_tid":"tid-1","email":"ada@example.com"}`), byEmail},
		{"Paddle, tid alone", paddle.Provider(), transaction(`{"fp_tid":"tid-1"}`), byID},
	} {
		events, err := tt.v.Events([]byte(tt.payload))
		if err != nil || len(events) != 1 || events[0] != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", tt.name, events, err, tt.want)
		}
	}
	// A client_reference_id is whatever the application gave: it becomes nobody's uid by itself.
	events, err := stripe.Provider().Events([]byte(`{"id":"evt_1","type":"checkout.session.completed","livemode":true,"data":{"object":{
		"id":"cs_1","payment_status":"paid","mode":"payment","currency":"usd","amount_total":1200,"client_reference_id":"tid-1"}}}`))
	if err != nil || len(events) != 0 {
		t.Errorf("got %+v, %v, want no event", events, err)
	}
}
