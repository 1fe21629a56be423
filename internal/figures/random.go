package figures

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Providers are those of RandomWebhook.
var Providers = []string{"stripe", "paddle"}

// Random is a step with texts of its own, for the tests that count time series.
func Random(r *rand.Rand) fprom.Step {
	text := func() string { return "x" + strconv.Itoa(r.IntN(1_000_000)) }
	pick := func(known ...string) string {
		if i := r.IntN(len(known) + 2); i < len(known) {
			return known[i]
		}
		return text()
	}
	return fprom.Step{
		Stage: fprom.Stage(pick("enqueued", "delivered", "retry", "paused", "dead", "discarded", "lost", "conflict")),
		Message: fprom.Message{
			Key: text(), Kind: pick(Kinds...), Customer: text() + "@example.com",
			RecordedAt: time.Now().Add(-time.Duration(r.Int64N(int64(8 * 24 * time.Hour)))),
		},
		Result: fprom.Result{
			Outcome:    fprom.Outcome(pick("tracked", "not-referral", "duplicate", "rejected", "undelivered")),
			StatusCode: r.IntN(700),
		},
		Err:     errors.New(text()),
		Elapsed: time.Duration(r.IntN(3)) * time.Second,
		Waited:  time.Duration(r.IntN(100)) * time.Second,
	}
}

// RandomWebhook is an event of a webhook with texts of its own, for the same tests.
func RandomWebhook(r *rand.Rand) billing.Explanation {
	text := "x" + strconv.Itoa(r.IntN(1_000_000))
	errs := []error{nil, nil, billing.ErrSignature, billing.ErrStray, fprom.ErrConflict, fprom.ErrQueueFull, errors.New(text)}
	skipped := []billing.Reason{"", billing.NotMoney, billing.NoCustomer, billing.ByHand, billing.Reason(text)}
	return billing.Explanation{
		Provider: Providers[r.IntN(len(Providers))], Type: text, ID: text, Detail: text,
		Skipped: skipped[r.IntN(len(skipped))], Err: errs[r.IntN(len(errs))],
	}
}
