package backfill

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fprom-go/fprom"
)

// AmountForm says what the numbers of an amount column mean.
type AmountForm string

// Forms of an amount.
const (
	// Minor means whole numbers in FirstPromoter's minor units, as in fprom.Sale.Amount: 1999 is 19.99 USD, and 1999 JPY.
	Minor AmountForm = "minor"
	// Major means units of the currency, with Format.Decimal before the fraction: 19.99 USD.
	Major AmountForm = "major"
)

// Format says how a file is read.
type Format struct {
	// Kind is what the rows are: fprom.KindSale, KindRefund, KindSignup or KindCancellation. Default KindSale.
	Kind string
	// Map gives the field of a column: {"Invoice ID": "event_id"}. Then no other column gives this field. The field "" or "-"
	// leaves a column out. The fields are those of the events' JSON form, such as "event_id", and two more: "status" (a row is
	// left out with the status of a failed payment, and refused with any other but that of a paid sale) and "discount" (subtracted
	// from the amount).
	Map map[string]string
	// Amount is required for sales and refunds.
	Amount AmountForm
	// Decimal is the decimal mark of Major amounts, '.' or ','. Default '.'. There is no thousands separator. An amount with the
	// other mark ends the reading, since a column of mixed forms cannot be trusted.
	Decimal rune
	// Currency is the currency of rows without one. Default: the account's own. Its Major amounts are taken to have hundredths.
	Currency string
	// Notify lets FirstPromoter send its promoters mails about these events. Default: no mails.
	Notify bool
	// NeedDate refuses rows without a readable created_at.
	NeedDate bool
}

func (f Format) withDefaults() (Format, error) {
	bad := func(field, reason string) error {
		return &fprom.ValidationError{Field: "Format." + field, Reason: reason}
	}
	if f.Kind == "" {
		f.Kind = fprom.KindSale
	}
	if f.Decimal == 0 {
		f.Decimal = '.'
	}
	_, err := fprom.ParseAmount("1", f.Currency)
	switch {
	case fieldsOf(f.Kind) == nil:
		return f, bad("Kind", "must be sale, refund, signup or cancellation")
	case err != nil:
		return f, bad("Currency", "is not an ISO 4217 code such as USD")
	case f.Decimal != '.' && f.Decimal != ',':
		return f, bad("Decimal", "must be a point or a comma")
	case f.Amount == Minor || f.Amount == Major:
	case f.Amount != "":
		return f, bad("Amount", "must be minor or major")
	case slices.Contains(fieldsOf(f.Kind), amountField):
		return f, bad("Amount", "is missing: say whether amounts are in minor units (1999) or in major ones (19.99)")
	}
	return f, nil
}

// field is what a column means.
type field int

const (
	noField field = iota
	eventIDField
	emailField
	uidField
	amountField
	currencyField
	quantityField
	planField
	mrrField
	promoCodeField
	tidField
	refIDField
	saleEventIDField
	ipField
	createdAtField
	statusField
	discountField
	fieldCount
)

var fieldNames = [fieldCount]string{
	"", "event_id", "email", "uid", "amount", "currency", "quantity", "plan", "mrr", "promo_code", "tid", "ref_id",
	"sale_event_id", "ip", "created_at", "status", "discount",
}

func (f field) String() string { return fieldNames[f] }

// fieldsOf are the fields that a kind's events have; nil for an unknown kind.
func fieldsOf(kind string) []field {
	switch kind {
	case fprom.KindSale:
		return []field{
			eventIDField, emailField, uidField, amountField, currencyField, quantityField, planField, mrrField,
			promoCodeField, tidField, refIDField, createdAtField, statusField, discountField,
		}
	case fprom.KindRefund:
		return []field{eventIDField, emailField, uidField, amountField, currencyField, quantityField, saleEventIDField, createdAtField}
	case fprom.KindSignup:
		return []field{emailField, uidField, tidField, refIDField, ipField, createdAtField}
	case fprom.KindCancellation:
		return []field{emailField, uidField, createdAtField}
	}
	return nil
}

// namedField finds a field by its own name in any spelling: "event_id", "EventID", "Event ID".
func namedField(name string) field {
	for f := noField + 1; f < fieldCount; f++ {
		if plain(fieldNames[f]) == plain(name) {
			return f
		}
	}
	return noField
}

// aliases are the names of fields in Stripe's exports of payments and in Paddle's reports of transactions, as plain writes them.
var aliases = map[string]field{
	"id": eventIDField, "transactionid": eventIDField,
	"customeremail": emailField,
	"currencycode":  currencyField, "transactioncurrency": currencyField,
	"createdutc": createdAtField, "createddateutc": createdAtField, "created": createdAtField, "billedat": createdAtField,
	"completedat": createdAtField, "date": createdAtField,
	"transactionstatus": statusField,
	"subtotal":          amountField,
	"fpuidmetadata":     uidField, "fptidmetadata": tidField, "fprefmetadata": refIDField,
}

// refused are wrong names of fields that FirstPromoter's own website guide uses.
var refused = map[string]field{"saleamount": amountField, "orderid": eventIDField}

// plain is a name in lower case without blanks and punctuation.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r | 0x20
		default:
			return -1
		}
	}, s)
}

// HeaderError says why a file's columns cannot make events.
type HeaderError struct{ Reason string }

func (e *HeaderError) Error() string { return "fprom: the file's columns: " + e.Reason }

func headerError(format string, args ...any) error { return &HeaderError{fmt.Sprintf(format, args...)} }
