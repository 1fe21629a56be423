package fprom

import (
	"cmp"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fprom-go/fprom/internal/currency"
)

// FirstPromoter documents no limits of its fields. Values within these limits fit into a string column and every JSON reader.
const (
	maxText     = 255
	maxAmount   = 1<<53 - 1
	maxQuantity = 1<<31 - 1
)

// Validate reports the first wrong field.
func (e Sale) Validate() error {
	return cmp.Or(
		validPayment(e.EventID, e.Email, e.UID, e.Amount, e.Currency, e.Quantity),
		validText("Plan", e.Plan),
		invalid(e.MRR < 0 || e.MRR > maxAmount, "MRR", "is negative or larger than 2^53-1"),
		validText("PromoCode", e.PromoCode),
		validText("TID", e.TID),
		validText("RefID", e.RefID),
	)
}

// Validate reports the first wrong field.
func (e Refund) Validate() error {
	return cmp.Or(
		validPayment(e.EventID, e.Email, e.UID, e.Amount, e.Currency, e.Quantity),
		validText("SaleEventID", e.SaleEventID),
	)
}

// Validate reports the first wrong field.
func (e Signup) Validate() error {
	_, badTime := e.CreatedAt.MarshalText()
	_, badIP := netip.ParseAddr(e.IP)
	return cmp.Or(
		invalid(cleanID(e.TID) == "" && cleanID(e.RefID) == "", "TID", "is missing, and so is RefID: a sign-up needs one of them; record it only if AttributionFrom knows one"),
		invalid(badTime != nil || !e.CreatedAt.IsZero() && e.CreatedAt.Year() < 1970, "CreatedAt", "is out of range"),
		validCustomer(e.Email, e.UID),
		validText("TID", e.TID),
		validText("RefID", e.RefID),
		invalid(e.IP != "" && badIP != nil, "IP", "is not an IP address"),
	)
}

// Validate reports the first wrong field.
func (e Cancellation) Validate() error { return validCustomer(e.Email, e.UID) }

func invalid(wrong bool, field, reason string) error {
	if wrong {
		return &ValidationError{field, reason}
	}
	return nil
}

func validPayment(eventID, email, uid string, amount int64, code string, quantity int) error {
	_, known := currency.Lookup(code)
	return cmp.Or(
		invalid(strings.TrimSpace(eventID) == "", "EventID", "is missing: use the provider's id of this payment or refund"),
		validText("EventID", eventID),
		validCustomer(email, uid),
		invalid(amount == 0, "Amount", "is zero: free trials and empty invoices are not reported"),
		invalid(amount < 0, "Amount", "is negative: money given back is a Refund with a positive amount"),
		invalid(amount > maxAmount, "Amount", "is larger than 2^53-1"),
		invalid(code != "" && !known, "Currency", "is not an ISO 4217 code such as USD"),
		invalid(quantity < 0 || quantity > maxQuantity, "Quantity", "is negative or larger than 2^31-1"),
	)
}

func validCustomer(email, uid string) error {
	email = strings.TrimSpace(email)
	return cmp.Or(
		invalid(uid != "" && strings.TrimSpace(uid) == "", "UID", "is blank"),
		invalid(uid == "" && email == "", "Email", "is missing, and so is UID: one of them must name the customer"),
		validText("UID", uid),
		validText("Email", email),
		invalid(email != "" && !plainEmail(email), "Email", "is not an e-mail address such as ann@example.com, without any other text (mail.ParseAddress finds the address in Ann <ann@example.com>)"),
	)
}

// plainEmail reports whether s is an address without a name, comments or a list around it.
func plainEmail(s string) bool {
	local, host, _ := strings.Cut(s, "@")
	return local != "" && host != "" && !strings.ContainsAny(host, `@"`) && !strings.ContainsAny(s, " <>(),:;")
}

func validText(field, s string) error {
	invisible := func(r rune) bool { // a character that is newer than Go's tables may pass
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	}
	return cmp.Or(
		invalid(len(s) > maxText, field, "is longer than 255 bytes"),
		invalid(!utf8.ValidString(s), field, "is not valid UTF-8: convert it, or save the file that has it as UTF-8"),
		invalid(strings.ContainsFunc(s, invisible), field, "contains a control or an invisible character"),
	)
}
