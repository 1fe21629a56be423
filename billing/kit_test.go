package billing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
)

// with runs f on a payload and returns what became of it.
func with(payload string, f func(*billing.Payload), opts ...billing.Option) billing.Explanation {
	return billing.Provider{Name: "test", Convert: f}.Explain([]byte(payload), opts...)
}

func TestPayloadMustBeOneObject(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", " ", "{", "null", "[]", `"x"`, "1", "{}{}", "{} x", "\xff", `{"a":1,}`} {
		if x := with(s, func(*billing.Payload) {}); !fprom.IsPermanent(x.Err) {
			t.Errorf("%q: %v, want a permanent error", s, x.Err)
		}
	}
	if x := with(" {}\n", func(*billing.Payload) {}); x.Err != nil || x.Skipped != billing.NotMoney {
		t.Errorf("an empty object: %+v", x)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	const payload = `{"a":{"s":"x","n":12.50,"e":"","z":null,"b":true,"o":{}},"l":["y",{"s":"z"}],"a.s":"dotted"}`
	for _, tt := range []struct {
		paths      []string
		text, from string
	}{
		{[]string{"a.s"}, "x", "a.s"},
		{[]string{"a.n"}, "12.50", "a.n"},
		{[]string{"a.e", "a.z", "a.b", "a.o", "a.missing", "l", "l.0"}, "y", "l[0]"},
		{[]string{"l.1.s"}, "z", "l[1].s"},
		{[]string{"l.2", "l.-1", "l.x", "a.s.deeper", "missing.deeper.still"}, "", ""},
	} {
		with(payload, func(p *billing.Payload) {
			if got := p.Root.Text(tt.paths...); got.S != tt.text || got.From != tt.from {
				t.Errorf("%v: %+v, want %q from %q", tt.paths, got, tt.text, tt.from)
			}
		})
	}
	with(payload, func(p *billing.Payload) {
		if !p.Root.Exists("a.z") || p.Root.Has("a.z") || p.Root.Exists("a.q") || !p.Root.Exists("l") || p.Root.Exists("x.y.z") {
			t.Error("Exists or Has is wrong about null")
		}
	})
}

func TestInt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		json string
		want int64
		ok   bool
		err  bool
	}{
		{json: "12", want: 12, ok: true},
		{json: `"12"`, want: 12, ok: true},
		{json: "-12", want: -12, ok: true},
		{json: "12.00", want: 12, ok: true},
		{json: "9007199254740991", want: 1<<53 - 1, ok: true},
		{json: "null"},
		{json: `""`},
		{json: "12.5", err: true},
		{json: "1e3", err: true},
		{json: `"1,000"`, err: true},
		{json: "9007199254740992", err: true},
		{json: "-9007199254740992", err: true},
		{json: "99999999999999999999", err: true},
		{json: "true", err: true},
		{json: "{}", err: true},
		{json: "[1]", err: true},
	} {
		x := with(`{"n":`+tt.json+`}`, func(p *billing.Payload) {
			if got := p.Root.Int("n"); got.N != tt.want || got.OK != tt.ok || tt.ok && got.From != "n" {
				t.Errorf("%s: %+v, want %d, %v", tt.json, got, tt.want, tt.ok)
			}
		})
		if (x.Err != nil) != tt.err {
			t.Errorf("%s: %v, want an error: %v", tt.json, x.Err, tt.err)
		}
	}
}

func TestDecimal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		json   string
		digits int
		want   int64
		ok     bool
		err    bool
	}{
		{json: "19.99", digits: 2, want: 1999, ok: true},
		{json: `"-19.99"`, digits: 2, want: -1999, ok: true},
		{json: "0.125", digits: 2, want: 12, ok: true},
		{json: "0.375", digits: 2, want: 38, ok: true},
		{json: "0.1250000001", digits: 2, want: 13, ok: true},
		{json: "29.990000000000002", digits: 2, want: 2999, ok: true},
		{json: "-5.5", digits: 0, want: -6, ok: true},
		{json: "1.5e3", digits: 0, want: 1500, ok: true},
		{json: "1e-64", digits: 2, ok: true},
		{json: "90071992547409.91", digits: 2, want: 1<<53 - 1, ok: true},
		{json: "null", digits: 2},
		{json: `""`, digits: 2},
		{json: "7", digits: -1, ok: true}, // with WithExponents
		{json: "7", digits: 19, ok: true},
		{json: "0.000000000000000007", digits: 18, want: 7, ok: true},
		{json: "0." + strings.Repeat("1", 62), digits: 0, ok: true},
		{json: "0." + strings.Repeat("1", 63), digits: 0, err: true},
		{json: "90071992547409.92", digits: 2, err: true},
		{json: "1e65", digits: 0, err: true},
		{json: "0e64", digits: 0, ok: true},
		{json: "1e-65", digits: 0, err: true},
		{json: `"1e"`, digits: 0, err: true},
		{json: `"."`, digits: 0, err: true},
		{json: "{}", digits: 0, err: true},
		{json: `"1e2.5"`, digits: 0, err: true},
		{json: `"1/3"`, digits: 0, err: true},
		{json: `"1_000"`, digits: 0, err: true},
		{json: `"0x10"`, digits: 0, err: true},
		{json: `"1,5"`, digits: 0, err: true},
		{json: `"--1"`, digits: 0, err: true},
		{json: "true", digits: 0, err: true},
	} {
		x := with(`{"n":`+tt.json+`}`, func(p *billing.Payload) {
			if got := p.Root.Decimal("n", tt.digits); got.N != tt.want || got.OK != tt.ok || tt.ok && got.From != "n" {
				t.Errorf("%s: %+v, want %d, %v", tt.json, got, tt.want, tt.ok)
			}
		})
		if (x.Err != nil) != tt.err {
			t.Errorf("%s: %v, want an error: %v", tt.json, x.Err, tt.err)
		}
	}
}

func TestIntArithmetic(t *testing.T) {
	t.Parallel()
	n := func(n int64, from string) billing.Int { return billing.Int{N: n, From: from, OK: true} }
	none := billing.Int{}
	for name, tt := range map[string]struct{ got, want billing.Int }{
		"minus":            {n(5, "a").Minus(n(2, "b − c")), n(3, "a − (b − c)")},
		"minus none":       {n(5, "a").Minus(none), n(5, "a")},
		"none minus":       {none.Minus(n(2, "b")), none},
		"plus":             {n(5, "a").Plus(n(2, "b")), n(7, "a + b")},
		"plus none":        {none.Plus(n(2, "b")), n(2, "b")},
		"or":               {none.Or(n(2, "b")), n(2, "b")},
		"abs":              {n(-5, "a").Abs(), n(5, "a")},
		"saturates up":     {n(math.MaxInt64, "a").Plus(n(1, "b")), n(math.MaxInt64, "a + b")},
		"saturates down":   {n(-math.MaxInt64, "a").Minus(n(5, "b")), n(-math.MaxInt64, "a − b")},
		"before tax":       {billing.BeforeTax(n(121, "p"), n(242, "t"), n(42, "x")), n(100, "p × (t − x) / t")},
		"tax unknown":      {billing.BeforeTax(n(121, "p"), n(242, "t"), none), n(121, "p")},
		"paid unknown":     {billing.BeforeTax(none, n(242, "t"), n(42, "x")), none},
		"share":            {billing.Share(n(121, "p"), n(200, "e"), n(242, "t")), n(100, "p × e / t")},
		"share of zero":    {billing.Share(n(0, "p"), n(0, "e"), n(0, "t")), n(0, "p × e / t")},
		"share unknown":    {billing.Share(n(121, "p"), none, n(242, "t")), none},
		"credit invoice":   {billing.Share(n(0, "p"), n(-500, "e"), n(-605, "t")), n(0, "p × e / t")},
		"rounds half even": {billing.Share(n(5, "p"), n(1, "e"), n(2, "t")), n(2, "p × e / t")},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, tt.got, tt.want)
		}
	}
}

func TestSum(t *testing.T) {
	t.Parallel()
	with(`{"taxes":[{"amount":3},{"amount":4},{}],"no":null}`, func(p *billing.Payload) {
		if got := p.Root.Sum("taxes", "amount"); got.N != 7 || !got.OK || got.From != "taxes[].amount" {
			t.Errorf("%+v", got)
		}
		if p.Root.Sum("no", "amount").OK || p.Root.Sum("missing", "amount").OK {
			t.Error("a sum of nothing")
		}
	})
}

func sale(p *billing.Payload) {
	d := p.Sale()
	d.ID(p.Root.Text("id"))
	d.Metadata(p.Root.At("first"), p.Root.At("second"))
	d.Email(p.Root.Text("email"))
	d.Customer(p.Root.Text("customer"))
	d.Amount(p.Root.Int("amount"), p.Root.Text("currency"), 2)
	d.Quantity(p.Root.At("quantity"))
	d.Add()
}

// A quantity that FirstPromoter cannot take, such as that of a metered price, does not cost the sale.
func TestQuantity(t *testing.T) {
	t.Parallel()
	for json, want := range map[string]int{
		"3": 3, `"3"`: 3, "3.0": 3, "0": 0, "-1": 0, "2.5": 0, `"2.5"`: 0, "1e3": 0, `"many"`: 0, "null": 0, "true": 0, "{}": 0, "[3]": 0,
		"2147483647": math.MaxInt32, "2147483648": 0, "99999999999999999999": 0,
	} {
		x := with(`{"id":"1","amount":5,"currency":"eur","email":"a@example.com","quantity":`+json+`}`, sale)
		if x.Err != nil || len(x.Tracked) != 1 || x.Tracked[0].Event.(fprom.Sale).Quantity != want {
			t.Errorf("%s: %+v, want quantity %d", json, x, want)
		}
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	x := with(`{"id":"1","amount":5,"currency":"EUR","email":"ada@example.com",
		"first":{"fp_tid":"t1","fp_email":"not an address"},"second":{"fp_tid":"t2","fp_ref":"r2","fp_uid":" ","fp_plan":7}}`, sale)
	want := fprom.Sale{EventID: "1", Amount: 5, Currency: "EUR", Email: "ada@example.com", TID: "t1", RefID: "r2", Plan: "7"}
	if x.Err != nil || len(x.Tracked) != 1 || x.Tracked[0].Event != want {
		t.Errorf("%+v", x)
	}
	x = with(`{"id":"1","amount":5,"currency":"EUR","email":"ada@example.com","first":{"":"x","fp_tid":"t"}}`, sale,
		billing.WithKeys(billing.Keys{}))
	if want := (fprom.Sale{EventID: "1", Amount: 5, Currency: "EUR", Email: "ada@example.com"}); x.Tracked[0].Event != want {
		t.Errorf("without keys: %+v", x)
	}
}

// Broken scripts write words where there is no id. All their customers would share it, and it would hide an id that comes later.
func TestNoID(t *testing.T) {
	t.Parallel()
	const names = `"email":"ada@example.com","first":{"fp_tid":"undefined","fp_ref":"None","fp_uid":"null"}`
	x := with(`{"id":"1","amount":5,"currency":"eur",`+names+`,"second":{"fp_tid":"t2","fp_uid":"u2"}}`, sale)
	want := fprom.Sale{EventID: "1", Amount: 5, Currency: "eur", Email: "ada@example.com", UID: "u2", TID: "t2"}
	if len(x.Tracked) != 1 || x.Tracked[0].Event != want {
		t.Errorf("%+v, want %+v", x, want)
	}
	for _, payload := range []string{`{` + names + `}`, `{"email":"ada@example.com","first":{"fp_tid":"` + strings.Repeat("x", 300) + `","fp_ref":"a\nb"}}`} {
		x = with(payload, func(p *billing.Payload) {
			d := p.Signup()
			d.Metadata(p.Root.At("first"))
			d.Email(p.Root.Text("email"))
			d.Add()
		})
		if x.Err != nil || x.Skipped != billing.NothingPaid {
			t.Errorf("a sign-up without an id: %+v", x)
		}
	}
}

// What is wrong with a value that the sale can do without costs the value; what it needs costs the payload.
func TestInvalidValues(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		name, payload string
		skipped       billing.Reason
		field         string // of the *ValidationError
	}{
		{name: "tid and ref_id", payload: `{"id":"1","amount":5,"currency":"eur","email":"a@example.com","first":{"fp_tid":"` + long + `","fp_ref":"a\nb","fp_plan":"` + long + `","fp_promo_code":"\u0000"}}`},
		{name: "uid", payload: `{"id":"1","amount":5,"currency":"eur","email":"a@example.com","first":{"fp_uid":"` + long + `"}}`},
		{name: "no id", payload: `{"amount":5,"currency":"eur","email":"a@example.com"}`, field: "EventID"},
		{name: "no amount", payload: `{"id":"1","currency":"eur","email":"a@example.com"}`, field: "amount"},
		{name: "negative", payload: `{"id":"1","amount":-5,"currency":"eur","email":"a@example.com"}`, skipped: billing.NothingPaid},
		{name: "no currency", payload: `{"id":"1","amount":5,"email":"a@example.com"}`, field: "currency"},
		{name: "no such currency", payload: `{"id":"1","amount":5,"currency":"xx1","email":"a@example.com"}`, field: "currency"},
		{name: "no address", payload: `{"id":"1","amount":5,"currency":"eur","email":"a b"}`, skipped: billing.NoCustomer},
		{name: "fails first", payload: `{"id":"1","amount":"x","currency":"xx1"}`, field: "amount"},
	} {
		x := with(tt.payload, sale)
		var wrong *fprom.ValidationError
		if errors.As(x.Err, &wrong); tt.field != "" {
			if wrong == nil || wrong.Field != tt.field {
				t.Errorf("%s: %v, want an error of %s", tt.name, x.Err, tt.field)
			}
			continue
		}
		if x.Err != nil || x.Skipped != tt.skipped || (tt.skipped == "") != (len(x.Tracked) == 1) || strings.Contains(x.String(), long) {
			t.Errorf("%s: %+v", tt.name, x)
		}
	}
}

func TestCustomerIsAskedOnlyIfUnknown(t *testing.T) {
	t.Parallel()
	asked := 0
	option := billing.WithCustomer(func(context.Context, string) (billing.Customer, error) {
		asked++
		return billing.Customer{}, nil
	})
	x := with(`{"id":"1","amount":5,"currency":"eur","email":"a@example.com","customer":"c1","first":{"fp_tid":"t"}}`, sale, option)
	if asked != 0 || len(x.Tracked) != 1 {
		t.Errorf("asked %d times: %+v", asked, x)
	}
	x = with(`{"id":"1","amount":5,"currency":"eur","customer":"c1"}`, sale, option)
	if asked != 1 || x.Skipped != billing.NoCustomer {
		t.Errorf("asked %d times: %+v", asked, x)
	}
	// Without attribution it may be in what the application knows of the customer; the address of the payload stays.
	known := billing.WithCustomer(func(context.Context, string) (billing.Customer, error) {
		return billing.Customer{Email: "b@example.com", UID: "u", TID: "t", RefID: "r"}, nil
	})
	x = with(`{"id":"1","amount":5,"currency":"eur","email":"a@example.com","customer":"c1"}`, sale, known)
	want := fprom.Sale{EventID: "1", Amount: 5, Currency: "eur", Email: "a@example.com", TID: "t", RefID: "r"}
	if len(x.Tracked) != 1 || x.Tracked[0].Event != want {
		t.Errorf("%+v, want %+v", x, want)
	}
}

// A lookup that fails is no error of the webhook: the provider sends it again, whatever the application returned.
func TestLookupFails(t *testing.T) {
	t.Parallel()
	down := errors.New("the database is down")
	for _, cause := range []error{down, &fprom.ValidationError{Field: "x", Reason: "is wrong"}} {
		for _, o := range []billing.Option{
			billing.WithCustomer(func(context.Context, string) (billing.Customer, error) { return billing.Customer{UID: "u"}, cause }),
			billing.WithPayment(func(context.Context, string) (billing.Payment, error) { return billing.Payment{UID: "u"}, cause }),
		} {
			x := with(`{"id":"1","amount":5,"currency":"eur","customer":"c1"}`, func(p *billing.Payload) {
				d := p.Refund()
				d.ID(p.Root.Text("id"))
				d.Payment(p.Root.Text("customer"))
				d.Customer(p.Root.Text("customer"))
				d.Amount(p.Root.Int("amount"), p.Root.Text("currency"), 2)
				d.Add()
			}, o)
			if x.Err == nil || fprom.IsPermanent(x.Err) || !strings.Contains(x.Err.Error(), cause.Error()) || len(x.Tracked) > 0 {
				t.Errorf("%+v", x)
			}
			if errors.Is(cause, down) && !errors.Is(x.Err, down) {
				t.Errorf("the cause is lost: %v", x.Err)
			}
		}
	}
}

// What the payload says about the promoter is not mixed with what the application knows; a sign-up may know neither.
func TestCustomerAndPayment(t *testing.T) {
	t.Parallel()
	customer := billing.WithCustomer(func(context.Context, string) (billing.Customer, error) {
		return billing.Customer{UID: "u", TID: "t", RefID: "r"}, nil
	})
	x := with(`{"id":"1","amount":5,"currency":"eur","customer":"c1","first":{"fp_tid":"payload"}}`, sale, customer)
	want := fprom.Event(fprom.Sale{EventID: "1", Amount: 5, Currency: "eur", UID: "u", TID: "payload"})
	if len(x.Tracked) != 1 || x.Tracked[0].Event != want {
		t.Errorf("%+v, want %+v", x, want)
	}
	x = with(`{"customer":"c1","email":"a@example.com"}`, func(p *billing.Payload) {
		d := p.Signup()
		d.Email(p.Root.Text("email"))
		d.Customer(p.Root.Text("customer"))
		d.Add()
	}, customer)
	want = fprom.Signup{Email: "a@example.com", TID: "t", RefID: "r"}
	if len(x.Tracked) != 1 || x.Tracked[0].Event != want {
		t.Errorf("%+v, want %+v", x, want)
	}
	x = with(`{"id":"1","amount":5,"currency":"eur"}`, func(p *billing.Payload) {
		d := p.Refund()
		d.ID(p.Root.Text("id"))
		if total, tax := d.Payment(p.Root.Text("id")); total.OK || tax.OK {
			t.Errorf("a total of nothing: %+v, %+v", total, tax)
		}
		d.Amount(p.Root.Int("amount"), p.Root.Text("currency"), 2)
		d.Add()
	}, billing.WithPayment(func(context.Context, string) (billing.Payment, error) {
		return billing.Payment{UID: "u", SaleEventID: "s"}, nil
	}))
	want = fprom.Refund{EventID: "1", Amount: 5, Currency: "eur", UID: "u", SaleEventID: "s"}
	if len(x.Tracked) != 1 || x.Tracked[0].Event != want {
		t.Errorf("%+v, want %+v", x, want)
	}
}

// An error of the check that says nothing about the signature must not look like a forgery.
func TestCannotVerify(t *testing.T) {
	t.Parallel()
	v := billing.Provider{Name: "test", Refused: http.StatusUnauthorized, Convert: sale, Verify: func(context.Context, billing.Delivery) error {
		return errors.New("the certificate cannot be fetched")
	}}
	if err := v.Check(http.Header{}, []byte("{}"), "s"); err == nil || errors.Is(err, billing.ErrSignature) {
		t.Errorf("%v", err)
	}
	var observed error
	var log bytes.Buffer
	h := billing.Handler(&billingtest.Sink{}, v, "s", billing.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		billing.WithObserver(func(_ context.Context, x billing.Explanation) { observed = x.Err }))
	for range 2 { // anybody can cause it
		if got := billingtest.Post(h, []byte("{}"), nil); got != http.StatusServiceUnavailable || observed == nil || strings.Count(log.String(), "level=WARN") != 1 {
			t.Errorf("status %d, observed %v, logged %q; want 503, the error and one warning", got, observed, log.String())
		}
	}
}

// A Provider that is not finished refuses, and lets the webhook be sent again.
func TestUnfinishedProvider(t *testing.T) {
	t.Parallel()
	h := billing.Handler(&billingtest.Sink{}, billing.Provider{Name: "test", Convert: sale}, "s", billingtest.Quiet())
	if got := billingtest.Post(h, []byte("{}"), nil); got != http.StatusUnauthorized {
		t.Errorf("without Verify: status %d, want 401", got)
	}
	open := func(context.Context, billing.Delivery) error { return nil }
	h = billing.Handler(&billingtest.Sink{}, billing.Provider{Name: "test", Verify: open}, "s", billingtest.Quiet())
	if got := billingtest.Post(h, []byte("{}"), nil); got != http.StatusServiceUnavailable {
		t.Errorf("without Convert: status %d, want 503", got)
	}
}
