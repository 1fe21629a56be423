package renewal_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/renewal"
)

// TestWarn: a webhook that is repeated for some days, a file that is sent twice, a second sign-up and a transaction that Shopify's poller
// reads again are no news.
func TestWarn(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name, kind, id string
		bulk           bool
		age            time.Duration
		want           int // lines
	}{
		{"a month later", fprom.KindSale, "sub_1", false, 30 * day, 1},
		{"repeated for days", fprom.KindSale, "sub_1", false, 4 * day, 0},
		{"older than what stands", fprom.KindSale, "sub_1", false, -30 * day, 0},
		{"bulk", fprom.KindSale, "sub_1", true, 30 * day, 0},
		{"sign-up", fprom.KindSignup, "sub_1", false, 30 * day, 0},
		{"refund", fprom.KindRefund, "sub_1", false, 30 * day, 0},
		{"Shopify, after a long absence", fprom.KindSale, "gid://partners/AppUsageSale/1", false, 30 * day, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			renewal.Warn(slog.New(slog.NewTextHandler(&log, nil)), tt.kind, tt.kind+":"+tt.id, tt.bulk, tt.age)
			if got := strings.Count(log.String(), "level=WARN"); got != tt.want || got > 0 && !strings.Contains(log.String(), "event=sale:sub_1 after=720h") {
				t.Errorf("%d warnings, want %d:\n%s", got, tt.want, log.String())
			}
		})
	}
}
