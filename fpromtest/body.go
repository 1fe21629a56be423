package fpromtest

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// Body is what a request asked for. Fields that the request left out are zero.
type Body struct {
	EventID     string
	Email       string
	UID         string
	Amount      int64 // minor units
	Currency    string
	Quantity    int64
	Plan        string
	MRR         int64
	PromoCode   string
	TID         string
	RefID       string
	SaleEventID string
	IP          string
	CreatedAt   string

	SkipEmailNotification bool

	amountOK bool // an integer in the form that the kind documents
}

// number takes what the documentation calls integer here and string there.
type number struct {
	n      int64
	valid  bool
	quoted bool
}

func (v *number) UnmarshalJSON(b []byte) error {
	s := string(b)
	if u, err := strconv.Unquote(s); err == nil {
		s, v.quoted = u, true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	v.n, v.valid = n, err == nil
	return nil
}

// text takes strings; anything else counts as blank.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

// decodeBody reads a request's JSON object. Like a server that parses by content type it finds no fields in a body
// that does not say that it is JSON.
func decodeBody(kind string, header http.Header, raw []byte) (Body, bool) {
	var w struct {
		EventID     text   `json:"event_id"`
		Email       text   `json:"email"`
		UID         text   `json:"uid"`
		Amount      number `json:"amount"`
		Currency    text   `json:"currency"`
		Quantity    number `json:"quantity"`
		Plan        text   `json:"plan"`
		MRR         number `json:"mrr"`
		PromoCode   text   `json:"promo_code"`
		TID         text   `json:"tid"`
		RefID       text   `json:"ref_id"`
		SaleEventID text   `json:"sale_event_id"`
		IP          text   `json:"ip"`
		CreatedAt   text   `json:"created_at"`
		Skip        any    `json:"skip_email_notification"`
	}
	if t, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || t != "application/json" {
		return Body{}, true
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return Body{}, false
	}
	skip, _ := w.Skip.(bool)
	return Body{
		EventID: string(w.EventID), Email: string(w.Email), UID: string(w.UID),
		Amount: w.Amount.n, Currency: string(w.Currency), Quantity: w.Quantity.n, Plan: string(w.Plan), MRR: w.MRR.n,
		PromoCode: string(w.PromoCode), TID: string(w.TID), RefID: string(w.RefID), SaleEventID: string(w.SaleEventID),
		IP: string(w.IP), CreatedAt: string(w.CreatedAt), SkipEmailNotification: skip,
		amountOK: w.Amount.valid && w.Amount.n > 0 && (!w.Amount.quoted || kind == "refund"),
	}, true
}

// eventID is what makes the request of this kind one of a kind: the event id, or the customer where there is none.
func (b Body) eventID(kind string) string {
	if kind == "sale" || kind == "refund" {
		return b.EventID
	}
	if b.Email != "" {
		return strings.ToLower(b.Email)
	}
	return b.UID
}
