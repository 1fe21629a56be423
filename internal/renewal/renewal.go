// Package renewal warns if the event id of a sale comes again so late that it is probably a new payment. If an application uses the id
// of a subscription for each of its payments, all payments but the first earn nothing. Both durable queues use this package.
package renewal

import (
	"log/slog"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

// after is longer than providers repeat a webhook. A later repetition is probably a renewal.
const after = 6 * 24 * time.Hour

// Warn logs a warning if a repeated event is probably a renewal. age is the age of the stored event with the same key and amount. Bulk
// events are ignored: a file may be sent twice. So are transactions of Shopify: after a long absence its poller reads them again, and none has
// the id of another.
func Warn(log *slog.Logger, kind, safeKey string, bulk bool, age time.Duration) {
	if kind != fprom.KindSale || bulk || age <= after || strings.Contains(safeKey, ":gid://partners/") {
		return
	}
	log.Warn("fprom: an event id came again long after its first event, and nothing is stored: if it is another payment, that earns nothing; each payment needs an id of its own",
		slog.String("event", safeKey), slog.Duration("after", age.Round(time.Hour)))
}
