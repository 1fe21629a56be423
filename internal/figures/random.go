package figures

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/fprom-go/fprom"
)

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
