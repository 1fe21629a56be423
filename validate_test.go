package fprom_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// texts that no field takes.
var badTexts = map[string]string{
	"terminal escape": "a\x1b[31mb", "NUL": "a\x00b", "line end": "a\r\nb", "tab": "a\tb", "DEL": "a\x7fb",
	"invalid UTF-8": "\xff", "cut UTF-8": "é"[:1], "C1 control": "a\u009bb", "zero-width space": "a\u200bb",
	"byte-order mark": "\ufeffa", "right-to-left override": "a\u202eb", "line separator": "a\u2028b", "paragraph separator": "a\u2029b",
	"too long": strings.Repeat("x", 256), "too long in bytes": strings.Repeat("é", 128),
}

// setters puts a text into each field of each kind.
var setters = map[string]func(string) fprom.Event{
	"Sale.EventID":       func(v string) fprom.Event { e := sale("x"); e.EventID = v; return e },
	"Sale.Email":         func(v string) fprom.Event { e := sale("x"); e.Email = v; return e },
	"Sale.UID":           func(v string) fprom.Event { e := sale("x"); e.UID = v; return e },
	"Sale.Plan":          func(v string) fprom.Event { e := sale("x"); e.Plan = v; return e },
	"Sale.PromoCode":     func(v string) fprom.Event { e := sale("x"); e.PromoCode = v; return e },
	"Sale.TID":           func(v string) fprom.Event { e := sale("x"); e.TID = v; return e },
	"Sale.RefID":         func(v string) fprom.Event { e := sale("x"); e.RefID = v; return e },
	"Sale.Currency":      func(v string) fprom.Event { e := sale("x"); e.Currency = v; return e },
	"Refund.EventID":     func(v string) fprom.Event { e := refund("x"); e.EventID = v; return e },
	"Refund.Email":       func(v string) fprom.Event { e := refund("x"); e.Email = v; return e },
	"Refund.UID":         func(v string) fprom.Event { e := refund("x"); e.UID = v; return e },
	"Refund.SaleEventID": func(v string) fprom.Event { e := refund("x"); e.SaleEventID = v; return e },
	"Refund.Currency":    func(v string) fprom.Event { e := refund("x"); e.Currency = v; return e },
	"Signup.Email":       func(v string) fprom.Event { e := aSignup; e.Email = v; return e },
	"Signup.UID":         func(v string) fprom.Event { e := aSignup; e.UID = v; return e },
	"Signup.TID":         func(v string) fprom.Event { e := aSignup; e.TID = v; return e },
	"Signup.RefID":       func(v string) fprom.Event { e := aSignup; e.RefID = v; return e },
	"Signup.IP":          func(v string) fprom.Event { e := aSignup; e.IP = v; return e },
	"Cancellation.Email": func(v string) fprom.Event { return fprom.Cancellation{Email: v} },
	"Cancellation.UID":   func(v string) fprom.Event { return fprom.Cancellation{UID: v} },
}

// checkInvalid checks that e is refused, and that the field is named and its value is not shown.
func checkInvalid(t *testing.T, e fprom.Event, field, value string) {
	t.Helper()
	_, err := fprom.NewMessage(e)
	var invalid *fprom.ValidationError
	switch {
	case !errors.As(err, &invalid):
		t.Errorf("%+v with %s %q: %v", e, field, value, err)
	case invalid.Field != field || invalid.Reason == "":
		t.Errorf("%T with %s %q: names %q (%s)", e, field, value, invalid.Field, invalid.Reason)
	case !fprom.IsPermanent(err) || !strings.HasPrefix(err.Error(), "fprom: "+field+": "):
		t.Errorf("error %q, permanent: %v", err, fprom.IsPermanent(err))
	}
}

func TestTextsThatNoFieldTakes(t *testing.T) {
	t.Parallel()
	for name, set := range setters {
		_, field, _ := strings.Cut(name, ".")
		for _, value := range badTexts {
			checkInvalid(t, set(value), field, value)
		}
	}
}

func TestInvalidEvents(t *testing.T) {
	t.Parallel()
	with := func(change func(*fprom.Sale)) fprom.Sale {
		e := sale("x")
		change(&e)
		return e
	}
	refunding := func(change func(*fprom.Refund)) fprom.Refund {
		e := refund("x")
		change(&e)
		return e
	}
	signing := func(change func(*fprom.Signup)) fprom.Signup {
		e := aSignup
		change(&e)
		return e
	}
	tooMany := int64(1) << 31 // where an int has 32 bits it becomes a negative one
	tests := []struct {
		field string
		event fprom.Event
	}{
		{"EventID", with(func(e *fprom.Sale) { e.EventID = "" })},
		{"EventID", with(func(e *fprom.Sale) { e.EventID = "   " })},
		{"EventID", refunding(func(e *fprom.Refund) { e.EventID = "" })},
		{"Email", with(func(e *fprom.Sale) { e.Email = "" })},
		{"Email", refunding(func(e *fprom.Refund) { e.Email = "" })},
		{"Email", fprom.Signup{TID: "t"}},
		{"Email", fprom.Cancellation{}},
		{"UID", fprom.Cancellation{UID: "  "}},
		{"UID", with(func(e *fprom.Sale) { e.UID = " " })},
		{"Amount", with(func(e *fprom.Sale) { e.Amount = 0 })},
		{"Amount", with(func(e *fprom.Sale) { e.Amount = -1 })},
		{"Amount", with(func(e *fprom.Sale) { e.Amount = -1 << 63 })},
		{"Amount", with(func(e *fprom.Sale) { e.Amount = 1 << 53 })},
		{"Amount", refunding(func(e *fprom.Refund) { e.Amount = 0 })},
		{"Amount", refunding(func(e *fprom.Refund) { e.Amount = -5 })},
		{"Quantity", with(func(e *fprom.Sale) { e.Quantity = -1 })},
		{"Quantity", with(func(e *fprom.Sale) { e.Quantity = int(tooMany) })},
		{"Quantity", refunding(func(e *fprom.Refund) { e.Quantity = -1 })},
		{"MRR", with(func(e *fprom.Sale) { e.MRR = -1 })},
		{"MRR", with(func(e *fprom.Sale) { e.MRR = 1 << 53 })},
		{"TID", fprom.Signup{Email: "a@example.com"}},
		{"TID", fprom.Signup{Email: "a@example.com", TID: "null"}},
		{"CreatedAt", signing(func(e *fprom.Signup) { e.CreatedAt = time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC) })},
		{"CreatedAt", signing(func(e *fprom.Signup) { e.CreatedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) })},
		{"CreatedAt", signing(func(e *fprom.Signup) {
			e.CreatedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", -25*3600))
		})},
	}
	for _, ip := range []string{"x", "1.2.3", "1.2.3.4:80", "::g", " 1.2.3.4", "1.2.3.4, 5.6.7.8"} {
		tests = append(tests, struct {
			field string
			event fprom.Event
		}{"IP", signing(func(e *fprom.Signup) { e.IP = ip })})
	}
	for _, currency := range []string{"DOLLAR", "€", "000", "JPY;DROP", "US", "U$D", "uss", "XXX", "\u017fek", "@@@"} {
		tests = append(tests, struct {
			field string
			event fprom.Event
		}{"Currency", with(func(e *fprom.Sale) { e.Currency = currency })})
	}
	for _, email := range []string{
		"jane", "a@", "@b", "a b@c.d", "a@b.c,d@e.f", "Jane <a@b.c>", "<a@b.c>", "a@b.c (Jane)", "a@b@c",
		" ", " a b@c.d ", "group: a@b.c;", "undisclosed-recipients:;", "a@b.c;", "=?utf-8?q?a?=@b.c,", "mailto:a@b.c", `"a@b.c"`,
		strings.Repeat("a", 64) + "@" + strings.Repeat("b", 190) + ".c",
	} {
		tests = append(tests, struct {
			field string
			event fprom.Event
		}{"Email", with(func(e *fprom.Sale) { e.Email = email })})
	}
	for _, test := range tests {
		checkInvalid(t, test.event, test.field, "")
	}
}

// Track sends nothing that is wrong.
func TestTrackOfAnInvalidEvent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		r, err := start(t, config(f)).Track(t.Context(), fprom.Sale{EventID: "x", Email: "a@b.c"})
		if _, invalid := errors.AsType[*fprom.ValidationError](err); !invalid || r.Outcome != fprom.Undelivered || len(f.seen()) != 0 {
			t.Errorf("Track: %v, %v after %d calls", r.Outcome, err, len(f.seen()))
		}
	})
}

func TestNoEventAtAll(t *testing.T) {
	t.Parallel()
	type mine struct{ fprom.Sale }
	s, r, in, out := sale("x"), refund("x"), aSignup, aCancel
	for _, e := range []fprom.Event{
		nil, (*fprom.Sale)(nil), (*fprom.Cancellation)(nil), &s, &r, &in, &out, mine{s}, &mine{s},
	} {
		checkInvalid(t, e, "Event", "")
	}
}

func TestValidEvents(t *testing.T) {
	t.Parallel()
	var events []fprom.Event
	for _, email := range []string{
		"a@b", "Good@ELSE.test", "a..b@c.d", `"a..b"@c.d`, "ü@üml.test", "a@[127.0.0.1]", " a@b.c", "a@b.c\r\n", "o'neill+tag=x@else.test", "a!#$%&'*/?^`{|}~@b.c",
		strings.Repeat("a", 64) + "@" + strings.Repeat("b", 63) + ".test",
	} {
		events = append(events, fprom.Cancellation{Email: email})
	}
	for _, currency := range []string{"", "usd", "USD", "uSd", " USD", "KWD", "CLF", "JPY"} {
		e := sale("x")
		e.Currency = currency
		events = append(events, e)
	}
	for _, id := range []string{"évt", "e\u0301vt", " bad_trim ", "日本", strings.Repeat("x", 255), `"<>&\`, "newer than Go: \U0003ffff"} {
		e := sale("x")
		e.EventID = id
		events = append(events, e)
	}
	for _, amount := range []int64{1, 1<<53 - 1} {
		e := sale("x")
		e.Amount, e.MRR, e.Quantity = amount, amount, 1<<31-1
		events = append(events, e)
	}
	for _, ip := range []string{"", "1.2.3.4", "::1", "fe80::1%eth0", "::ffff:1.2.3.4"} {
		e := aSignup
		e.IP, e.CreatedAt = ip, time.Date(2026, 1, 1, 0, 0, 0, 1, time.FixedZone("", 14*3600))
		events = append(events, e)
	}
	for _, e := range append(events, fprom.Sale{EventID: "x", UID: "cus_1", Amount: 1}) {
		if err := e.Validate(); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
	}
}
