// Package renewal knows a sale whose event id came again so late that it is rather another payment. Both durable queues warn
// of it: where the id of a subscription is used for each of its payments, all but the first earn nothing.
package renewal

import (
	"log/slog"
	"time"

	"github.com/fprom-go/fprom"
)

// after is how long providers repeat a webhook, and some days more. What comes later is rather a renewal.
const after = 6 * 24 * time.Hour

// Warn says so in the log if an event is rather a renewal. It stores nothing, since the event that has its key is of the same
// money, and older by age. Bulk events are no news: a file may be sent twice.
func Warn(log *slog.Logger, kind, safeKey string, bulk bool, age time.Duration) {
	if kind != fprom.KindSale || bulk || age <= after {
		return
	}
	log.Warn("fprom: an event id came again long after its first event, and nothing is stored: if it is another payment, that earns nothing; each payment needs an id of its own",
		slog.String("event", safeKey), slog.Duration("after", age.Round(time.Hour)))
}
