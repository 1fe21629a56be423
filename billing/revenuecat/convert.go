package revenuecat

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fprom-go/fprom/billing"
)

func (s settings) convert(p *billing.Payload) {
	e := p.Root.At("event")
	p.Event(e.Text("type"), e.Text("id"))
	if env := e.Text("environment").S; p.SkipTest(env == "SANDBOX" || e.Text("store").S == "TEST_STORE", "environment "+env+", store "+e.Text("store").S) {
		return
	}
	switch e.Text("type").S {
	case "INITIAL_PURCHASE", "RENEWAL", "NON_RENEWING_PURCHASE":
		s.purchase(p, e)
	case "CANCELLATION":
		paid, _, _ := price(e)
		if reason := e.Text("cancel_reason").S; reason != "CUSTOMER_SUPPORT" && (paid == nil || paid.Sign() >= 0) {
			p.Skip(billing.NotFinal, "cancel_reason "+reason+": the subscription runs until EXPIRATION")
			return
		}
		s.refund(p, e)
	case "EXPIRATION":
		d := p.Cancellation()
		customer(d, e)
		d.Add()
	case "REFUND_REVERSED":
		bought(p, e) // if it skips, its reason stays
		p.Skip(billing.ByHand, "a refund was reversed: if it was reported, enter a sale by hand")
	case "INVOICE_ISSUANCE", "TEMPORARY_ENTITLEMENT_GRANT":
		p.Skip(billing.NotFinal, "not paid yet: INITIAL_PURCHASE or RENEWAL follows")
	case "VIRTUAL_CURRENCY_TRANSACTION":
		p.Skip(billing.OtherEvent, "INITIAL_PURCHASE, RENEWAL or NON_RENEWING_PURCHASE reports the payment")
	}
}

// bought reports whether this customer bought something. If not, the event is skipped.
func bought(p *billing.Payload, e billing.Node) bool {
	switch {
	case e.Bool("is_family_share"):
		p.Skip(billing.NotMoney, "is_family_share: another customer paid")
		return false
	case e.Text("period_type").S == "PROMOTIONAL" || e.Text("store").S == "PROMOTIONAL":
		p.Skip(billing.NothingPaid, "granted, not bought")
		return false
	}
	return true
}

func (s settings) purchase(p *billing.Payload, e billing.Node) {
	if !bought(p, e) {
		return
	}
	if e.Text("period_type").S == "TRIAL" {
		p.Trial("a trial; RENEWAL with is_trial_conversion reports its first payment", func(d *billing.Draft) { customer(d, e) })
		return
	}
	if paid, _, from := price(e); paid != nil && paid.Sign() < 0 {
		p.Skip(billing.ByHand, from.From+" is below zero, as that of a refund: if money went back, report the refund by hand")
		return
	}
	d := p.Sale()
	d.ID(transaction(e))
	customer(d, e)
	s.amount(p, d, e)
	d.Plan(e.Text("product_id"))
	d.PromoCode(e.Text("offer_code"))
	d.Add()
}

func (s settings) refund(p *billing.Payload, e billing.Node) {
	if !bought(p, e) {
		return
	}
	if e.Text("period_type").S == "TRIAL" {
		p.Skip(billing.NothingPaid, "a trial was cancelled: nothing was paid")
		return
	}
	if paid, _, from := price(e); paid != nil && paid.Sign() == 0 {
		p.Skip(billing.ByHand, from.From+" is 0, though money may have gone back: report the refund by hand")
		return
	}
	d := p.Refund()
	d.ID(e.Text("id"))
	d.SaleID(transaction(e))
	customer(d, e)
	s.amount(p, d, e)
	d.Add()
}

// transaction returns the event id of a payment. It contains the store, because two stores may use the same transaction id. At
// Stripe, Amazon and Paddle all payments of a subscription may have the same one: only with the number of the renewal it is unique.
func transaction(e billing.Node) billing.Text {
	store, id := e.Text("store"), e.Text("transaction_id")
	if store.S == "" || id.S == "" {
		return id
	}
	t := billing.Text{S: strings.ToLower(store.S) + ":" + id.S, From: store.From + ", " + id.From}
	number := e.Text("renewal_number", "purchased_at_ms")
	if shared := []string{"STRIPE", "AMAZON", "PADDLE"}; number.S != "" && slices.Contains(shared, store.S) {
		t.S, t.From = t.S+":"+number.S, t.From+", "+number.From
	}
	return t
}

func customer(d *billing.Draft, e billing.Node) {
	attributes := e.At("subscriber_attributes")
	d.Metadata(attributes)
	d.Email(attributes.Key("$email").Text("value"))
	ids := []billing.Text{e.Text("app_user_id"), e.Text("original_app_user_id")}
	for i := range e.Each("aliases") {
		ids = append(ids, e.Text("aliases."+strconv.Itoa(i)))
	}
	for _, id := range ids {
		if !strings.HasPrefix(id.S, "$RCAnonymousID:") {
			d.UID(id)
		}
	}
	if !d.HasCustomer() {
		d.UID(ids[0])
	}
}
