package firstpromoter

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// FirstPromoter does not document whether a field is null, a number or a string. The types below accept all of these. A value
// that they cannot read is zero: one odd field must not hide a row.

// text is a string. A number is taken as it is written.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		var n json.Number
		_ = json.Unmarshal(b, &n) // what is no number either is empty
		s = n.String()
	}
	*t = text(s)
	return nil
}

// number is an integer: 2000, 2000.0, "2000".
type number int64

func (n *number) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	whole, frac, _ := strings.Cut(s, ".")
	if strings.Trim(frac, "0") != "" {
		return nil
	}
	if v, err := strconv.ParseInt(whole, 10, 64); err == nil {
		*n = number(v)
	}
	return nil
}

// flag is a boolean: true, 1 or yes.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	s := strings.ToLower(strings.Trim(string(b), `"`))
	*f = s == "true" || s == "1" || s == "yes"
	return nil
}

// moment is a time in ISO 8601, with or without fractions, or a day.
type moment time.Time

func (m *moment) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			*m = moment(t.UTC())
			return nil
		}
	}
	return nil
}

func (m moment) time() time.Time { return time.Time(m) }
