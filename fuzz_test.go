package fprom_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/money"
)

// FuzzMessageRoundTrip: what NewMessage takes is written as encoding/json writes it, and comes back as the same event.
func FuzzMessageRoundTrip(f *testing.F) {
	f.Add("ch_1", "Jane@Example.com", "cus_1", int64(1999), " usd", 2, "pro", int64(999), "t", "r", int64(1), true)
	f.Add(`"<&>\é`, "", "日本", int64(1), "", 0, "\u2028", int64(0), "", "", int64(0), false)
	f.Fuzz(func(t *testing.T, id, email, uid string, amount int64, currency string, quantity int, plan string, mrr int64, tid, ref string, created int64, skip bool) {
		checkRoundTrip(t, fprom.Sale{
			EventID: id, Email: email, UID: uid, Amount: amount, Currency: currency, Quantity: quantity, Plan: plan, MRR: mrr,
			PromoCode: plan, TID: tid, RefID: ref, SkipEmailNotification: skip,
		})
		checkRoundTrip(t, fprom.Refund{
			EventID: id, Email: email, UID: uid, Amount: amount, Currency: currency, Quantity: quantity, SaleEventID: ref, SkipEmailNotification: skip,
		})
		zone := time.FixedZone("", int(mrr%(20*60))*60)
		checkRoundTrip(t, fprom.Signup{
			Email: email, UID: uid, TID: tid, RefID: ref, IP: plan, CreatedAt: time.Unix(0, created).In(zone), SkipEmailNotification: skip,
		})
		checkRoundTrip(t, fprom.Cancellation{Email: email, UID: uid})
	})
}

// FuzzParseAmount: what is taken is exactly the decimal number, in minor units.
func FuzzParseAmount(f *testing.F) {
	for _, s := range []string{"19.99", "-0.5", "1e3", "", "0001.2300", "9223372036854775807", "1.235"} {
		for _, code := range []string{"USD", "JPY", "KWD", "CLF", "", "zzz"} {
			f.Add(s, code)
		}
	}
	f.Fuzz(func(t *testing.T, s, code string) {
		got, err := fprom.ParseAmount(s, code)
		if err != nil {
			if got != 0 {
				t.Fatalf("%q %q: %d with error %v", s, code, got, err)
			}
			return
		}
		want, ok := new(big.Rat).SetString(s)
		exp, known := money.Exponent(code)
		if !ok || !known || strings.Trim(s, "-.0123456789") != "" {
			t.Fatalf("%q %q was taken: %d", s, code, got)
		}
		want.Mul(want, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(exp)), nil)))
		if iso, _ := money.ISOExponent(code); iso <= exp {
			if !want.IsInt() || want.Num().Cmp(big.NewInt(got)) != 0 {
				t.Fatalf("%q %q: %d, want %s", s, code, got, want)
			}
			return
		}
		checkHalfToEven(t, want, got)
	})
}

// checkHalfToEven checks that got is want, rounded half to even.
func checkHalfToEven(t *testing.T, want *big.Rat, got int64) {
	t.Helper()
	diff := new(big.Rat).Sub(want, new(big.Rat).SetInt64(got))
	switch diff.Abs(diff).Cmp(big.NewRat(1, 2)) {
	case 1:
		t.Fatalf("%d, want %s", got, want.FloatString(3))
	case 0:
		if got%2 != 0 {
			t.Fatalf("%d, want %s rounded to even", got, want.FloatString(3))
		}
	}
}

// FuzzBeforeTax compares with integers of any size.
func FuzzBeforeTax(f *testing.F) {
	f.Add(int64(1190), int64(2380), int64(380))
	f.Add(int64(1)<<62, int64(3), int64(1))
	f.Add(int64(-1)<<63, int64(-1)<<63, int64(1)<<62)
	f.Fuzz(func(t *testing.T, paid, total, tax int64) {
		got := fprom.BeforeTax(paid, total, tax)
		switch {
		case paid <= 0:
			if got != 0 {
				t.Fatalf("of nothing paid: %d", got)
			}
		case total <= 0 || tax <= 0:
			if got != paid {
				t.Fatalf("without tax: %d of %d", got, paid)
			}
		default:
			net := new(big.Int).Sub(big.NewInt(total), big.NewInt(min(tax, total)))
			want := new(big.Rat).SetFrac(net.Mul(net, big.NewInt(paid)), big.NewInt(total))
			if want.Cmp(new(big.Rat).SetInt64(1<<63-1)) > 0 {
				want.SetInt64(1<<63 - 1)
			}
			checkHalfToEven(t, want, got)
		}
	})
}

// FuzzAnswer: no answer panics, and none that is not a JSON object ends an event, except those that need no body.
func FuzzAnswer(f *testing.F) {
	for _, v := range verdicts() {
		if len(v.reply.body) < 1000 {
			f.Add(v.reply.status, []byte(v.reply.body), v.reply.header.Get("Retry-After"), byte(0))
		}
	}
	events := []fprom.Event{evt1, aRefund, aSignup, aCancel}
	var response *http.Response
	cfg := config(transportFunc(func(*http.Request) (*http.Response, error) { return response, nil }))
	cfg.Queue = sink{}
	f.Fuzz(func(t *testing.T, status int, body []byte, retryAfter string, kind byte) {
		response = &http.Response{StatusCode: status, Header: header("Retry-After", retryAfter), Body: io.NopCloser(bytes.NewReader(body))}
		tracker := start(t, cfg)
		r, err := tracker.Track(t.Context(), events[int(kind)%len(events)])
		var object map[string]json.RawMessage
		isObject := json.Unmarshal(body, &object) == nil && object != nil
		switch r.Outcome {
		case fprom.Tracked:
			if status != 200 && status != 201 || !isObject || err != nil {
				t.Fatalf("tracked: %d %q, %v", status, body, err)
			}
		case fprom.NotReferral:
			if status != 204 && (status != 404 || !isObject) || err != nil {
				t.Fatalf("not a referral: %d %q, %v", status, body, err)
			}
		case fprom.Duplicate:
			if status != 422 && (status != 409 || !isObject && len(body) > 0) || err != nil {
				t.Fatalf("duplicate: %d %q, %v", status, body, err)
			}
		case fprom.Rejected:
			if status < 400 || status > 499 || !isObject || !fprom.IsPermanent(err) {
				t.Fatalf("rejected: %d %q, %v", status, body, err)
			}
		case fprom.Undelivered:
			if err == nil || fprom.IsPermanent(err) {
				t.Fatalf("undelivered: %d %q, %v", status, body, err)
			}
		default:
			t.Fatalf("outcome %q", r.Outcome)
		}
		if d := time.Until(tracker.Stats().PausedUntil); d > 15*time.Minute {
			t.Fatalf("a pause of %v", d)
		}
	})
}
