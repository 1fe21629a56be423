package backfill

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

// Row is one row of a file.
type Row struct {
	Line    int         // of the file, from 1
	Event   fprom.Event // a valid one, unless Err is set
	EventID string      // of the row, also if Event is nil
	At      time.Time   // created_at; zero if it is missing or cannot be read
	Err     error       // why the row makes no event; the text never contains values of the row

	// Record has the original columns of a CSV row, and JSON the original line of a JSONL row. Both are valid until the
	// next row is read.
	Record []string
	JSON   []byte

	twin bool // a row shortly before has the same event id, amount, customer and time
}

// values are the texts of a row by field.
type values [fieldCount]string

// fill makes the event of a row.
func (f Format) fill(r *Row, v *values) {
	r.EventID = v[eventIDField]
	v[currencyField] = cmp.Or(v[currencyField], f.Currency)
	r.At = parseTime(v[createdAtField])
	if r.Err = paid(v[statusField]); r.Err != nil {
		return
	}
	if r.At.IsZero() && (f.NeedDate || f.Kind == fprom.KindSignup && v[createdAtField] != "") {
		r.Err = &fprom.ValidationError{Field: "CreatedAt", Reason: "is missing or not a date such as 2026-03-10T12:00:00Z"}
		return
	}
	r.Event, r.Err = f.event(v, r.At)
	if r.Err == nil {
		r.Err = exact(v)
	}
	if r.Err == nil {
		r.Err = r.Event.Validate()
	}
	if r.Err != nil {
		r.Event = nil
	}
}

// exact returns an error for an id that a spreadsheet has rounded, such as 1.23457E+17: many rows then have the same id.
func exact(v *values) error {
	for _, id := range []field{eventIDField, uidField, saleEventIDField} {
		if digits, exponent, ok := strings.Cut(strings.ToUpper(v[id]), "E+"); ok && isNumber(digits) && isNumber(exponent) {
			return fmt.Errorf("fprom: %s was rounded by a spreadsheet, to a number with an exponent: export the file again, and do not save it with a spreadsheet", id)
		}
	}
	return nil
}

func (f Format) event(v *values, at time.Time) (fprom.Event, error) {
	silent := !f.Notify
	switch f.Kind {
	case fprom.KindSignup:
		return fprom.Signup{
			Email: v[emailField], UID: v[uidField], TID: v[tidField], RefID: v[refIDField], IP: v[ipField], CreatedAt: at,
			SkipEmailNotification: silent,
		}, nil
	case fprom.KindCancellation:
		return fprom.Cancellation{Email: v[emailField], UID: v[uidField]}, nil
	}
	amount, err := f.amount(v)
	switch {
	case err != nil:
		return nil, err
	case amount == 0:
		return nil, ErrZeroAmount
	}
	quantity, err := parseQuantity(v[quantityField])
	if err != nil {
		return nil, err
	}
	if f.Kind == fprom.KindRefund {
		return fprom.Refund{
			EventID: v[eventIDField], Email: v[emailField], UID: v[uidField], Amount: amount, Currency: v[currencyField],
			Quantity: quantity, SaleEventID: v[saleEventIDField], SkipEmailNotification: silent,
		}, nil
	}
	sale := fprom.Sale{
		EventID: v[eventIDField], Email: v[emailField], UID: v[uidField], Amount: amount, Currency: v[currencyField],
		Quantity: quantity, Plan: v[planField], PromoCode: v[promoCodeField], TID: v[tidField], RefID: v[refIDField],
		SkipEmailNotification: silent,
	}
	if s := v[mrrField]; s != "" {
		if sale.MRR, err = f.ParseAmount(s, sale.Currency); err != nil {
			return nil, of("MRR", err)
		}
	}
	return sale, nil
}

// amount returns the amount minus the discount.
func (f Format) amount(v *values) (int64, error) {
	n, err := f.ParseAmount(v[amountField], v[currencyField])
	if err != nil || v[discountField] == "" {
		return n, err
	}
	less, err := f.ParseAmount(v[discountField], v[currencyField])
	if err == nil && (less < 0 || less > n) {
		err = &fprom.ValidationError{Field: "Discount", Reason: "is negative or larger than the amount"}
	}
	return n - less, of("Discount", err)
}

// of gives an error of ParseAmount the name of the field.
func of(field string, err error) error {
	if v, is := errors.AsType[*fprom.ValidationError](err); is && v.Field == "Amount" {
		return &fprom.ValidationError{Field: field, Reason: v.Reason}
	}
	return err
}

func parseQuantity(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, &fprom.ValidationError{Field: "Quantity", Reason: "is not a whole number"}
	}
	return n, nil
}

// paid returns an error if the status is not that of a paid sale.
func paid(status string) error {
	switch plain(status) {
	case "", "paid", "succeeded", "success", "successful", "complete", "completed", "captured", "settled", "approved",
		"refunded", "partiallyrefunded", "partialrefund": // the refund is an event of its own
		return nil
	case "failed", "declined", "denied", "blocked", "requirespaymentmethod": // not "canceled": it may be the state of a subscription
		return ErrUnpaid
	}
	return errStatus
}

// ErrUnpaid is the Err of a Row whose status is that of a failed payment. It goes before all other errors.
var ErrUnpaid = errors.New("fprom: the status is that of a failed payment")

var errStatus = errors.New(`fprom: the status is not that of a paid sale; if the column means something else, leave it out: map it to "-"`)
