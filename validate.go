package fprom

import (
	"net/mail"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of FirstPromoter's fields are not documented; these are what a string column and an SMTP address hold.
const (
	maxText   = 255
	maxEmail  = 254
	maxAmount = 1<<53 - 1 // the largest integer that every JSON reader keeps exact
)

// errNoEvent is returned for nil, and for types that embed or point to an event, such as *Sale.
var errNoEvent = &ValidationError{"Event", "is not a Sale, Refund, Signup or Cancellation, passed by value"}

// Validate reports the first wrong field.
func (e Sale) Validate() error {
	return first(
		validID("EventID", e.EventID),
		validCustomer(e.Email, e.UID),
		validAmount(e.Amount),
		validCurrency(e.Currency),
		validQuantity(e.Quantity),
		validText("Plan", e.Plan),
		validMRR(e.MRR),
		validText("PromoCode", e.PromoCode),
		validText("TID", e.TID),
		validText("RefID", e.RefID),
	)
}

// Validate reports the first wrong field.
func (e Refund) Validate() error {
	return first(
		validID("EventID", e.EventID),
		validCustomer(e.Email, e.UID),
		validAmount(e.Amount),
		validCurrency(e.Currency),
		validQuantity(e.Quantity),
		validText("SaleEventID", e.SaleEventID),
	)
}

// Validate reports the first wrong field.
func (e Signup) Validate() error {
	if cleanID(e.TID) == "" && cleanID(e.RefID) == "" {
		return &ValidationError{"TID", "is missing, and so is RefID: a sign-up needs one of them; record it only if AttributionFrom knows one"}
	}
	if _, err := e.CreatedAt.MarshalText(); err != nil || !e.CreatedAt.IsZero() && e.CreatedAt.Year() < 1970 {
		return &ValidationError{"CreatedAt", "is out of range"}
	}
	return first(
		validCustomer(e.Email, e.UID),
		validText("TID", e.TID),
		validText("RefID", e.RefID),
		validIP(e.IP),
	)
}

// Validate reports the first wrong field.
func (e Cancellation) Validate() error { return validCustomer(e.Email, e.UID) }

// invalid is an error if wrong.
func invalid(wrong bool, field, reason string) error {
	if wrong {
		return &ValidationError{field, reason}
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func validID(field, s string) error {
	if strings.TrimSpace(s) == "" {
		return &ValidationError{field, "is missing: use the provider's id of this payment or refund"}
	}
	return validText(field, s)
}

func validText(field, s string) error {
	if len(s) > maxText {
		return &ValidationError{field, "is longer than 255 bytes"}
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf {
			return validUnicode(field, s)
		} else if c < ' ' || c == 0x7f {
			return &ValidationError{field, "contains a control character"}
		}
	}
	return nil
}

func validUnicode(field, s string) error {
	if !utf8.ValidString(s) {
		return &ValidationError{field, "is not valid UTF-8"}
	}
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return &ValidationError{field, "contains a control or an invisible character"}
		}
	}
	return nil
}

func validCustomer(email, uid string) error {
	if strings.TrimSpace(uid) == "" {
		if uid != "" {
			return &ValidationError{"UID", "is blank"}
		}
		if strings.TrimSpace(email) == "" {
			return &ValidationError{"Email", "is missing, and so is UID: one of them must name the customer"}
		}
	}
	email = strings.TrimSpace(email)
	if err := validText("UID", uid); err != nil || email == "" {
		return err
	}
	return validEmail(email)
}

func validEmail(s string) error {
	if len(s) > maxEmail {
		return &ValidationError{"Email", "is longer than 254 bytes"}
	}
	if plainEmail(s) {
		return nil
	}
	if err := validText("Email", s); err != nil {
		return err
	}
	a, err := mail.ParseAddress(s)
	if err != nil {
		return &ValidationError{"Email", "is not an e-mail address such as ann@example.com"}
	}
	if a.Name != "" || strings.ContainsAny(s, "<>()") || strings.HasSuffix(s, ";") { // ";" ends a group
		return &ValidationError{"Email", "is more than an e-mail address: pass ann@example.com of Ann <ann@example.com> (mail.ParseAddress finds it)"}
	}
	return nil
}

// plainEmail knows the usual addresses without an allocation; the others are left to net/mail.
func plainEmail(s string) bool {
	local, host, ok := strings.Cut(s, "@")
	return ok && dotAtom(local) && dotAtom(host)
}

func dotAtom(s string) bool {
	last := byte('.')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '+':
		case c == '.' && last != '.':
		default:
			return false
		}
		last = s[i]
	}
	return last != '.'
}

func validAmount(n int64) error {
	switch {
	case n == 0:
		return &ValidationError{"Amount", "is zero: free trials and empty invoices are not reported"}
	case n < 0:
		return &ValidationError{"Amount", "is negative: money given back is a Refund with a positive amount"}
	case n > maxAmount:
		return &ValidationError{"Amount", "is larger than 2^53-1"}
	}
	return nil
}

func validMRR(n int64) error {
	if n < 0 || n > maxAmount {
		return &ValidationError{"MRR", "is negative or larger than 2^53-1"}
	}
	return nil
}

func validQuantity(n int) error {
	if n < 0 || n > 1<<31-1 {
		return &ValidationError{"Quantity", "is negative or larger than 2^31-1"}
	}
	return nil
}

func validCurrency(code string) error {
	if code == "" || wireCurrency(code) != "" {
		return nil
	}
	return &ValidationError{"Currency", "is not an ISO 4217 code such as USD"}
}

func validIP(ip string) error {
	if ip == "" {
		return nil
	}
	if _, err := netip.ParseAddr(ip); err != nil {
		return &ValidationError{"IP", "is not an IP address"}
	}
	return nil
}
