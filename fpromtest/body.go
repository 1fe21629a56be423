package fpromtest

import (
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/fprom-go/fprom"
)

// Body is the body of a request. Fields that the request left out are zero.
type Body struct {
	EventID     string `json:"event_id"`
	Email       string `json:"email"`
	UID         string `json:"uid"`
	Amount      int64  `json:"-"` // minor units
	Currency    string `json:"currency"`
	Quantity    int64  `json:"-"`
	Plan        string `json:"plan"`
	MRR         int64  `json:"-"`
	PromoCode   string `json:"promo_code"`
	TID         string `json:"tid"`
	RefID       string `json:"ref_id"`
	SaleEventID string `json:"sale_event_id"`
	IP          string `json:"ip"`
	CreatedAt   string `json:"created_at"`

	SkipEmailNotification bool `json:"skip_email_notification"`

	amountOK bool // amount has the documented form of the kind
}

// number reads an integer or a string: the documentation has both.
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

// decodeBody reads a request's JSON object. A field with the wrong type counts as missing. A body whose content type is not JSON has no
// fields, as on a server that parses by content type. It returns false if the body is not JSON.
func decodeBody(kind string, header http.Header, raw []byte) (Body, bool) {
	var b Body
	if t, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || t != "application/json" {
		return b, true
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		return b, false
	}
	maps.DeleteFunc(object, func(name string, _ json.RawMessage) bool { return name != strings.ToLower(name) }) // FirstPromoter's names
	raw, _ = json.Marshal(object)                                                                               // it was JSON before
	w := struct {
		*Body
		Amount   number `json:"amount"`
		Quantity number `json:"quantity"`
		MRR      number `json:"mrr"`
	}{Body: &b}
	_ = json.Unmarshal(raw, &w) // a field with the wrong type is left out
	b.Amount, b.Quantity, b.MRR = w.Amount.n, w.Quantity.n, w.MRR.n
	b.amountOK = w.Amount.valid && w.Amount.n > 0 && (!w.Amount.quoted || kind == fprom.KindRefund)
	return b, true
}

// eventID returns what identifies a request among those of its kind: the event id, or the customer if the kind has no event id.
func (b Body) eventID(kind string) string {
	if kind == fprom.KindSale || kind == fprom.KindRefund {
		return b.EventID
	}
	if b.Email != "" {
		return strings.ToLower(b.Email)
	}
	return b.UID
}
