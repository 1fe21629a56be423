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

// TestWarn: a webhook that is repeated for some days, a file that is sent twice and a second sign-up are no news.
func TestWarn(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name, kind string
		bulk       bool
		age        time.Duration
		want       int // lines
	}{
		{"a month later", fprom.KindSale, false, 30 * day, 1},
		{"repeated for days", fprom.KindSale, false, 4 * day, 0},
		{"older than what stands", fprom.KindSale, false, -30 * day, 0},
		{"bulk", fprom.KindSale, true, 30 * day, 0},
		{"sign-up", fprom.KindSignup, false, 30 * day, 0},
		{"refund", fprom.KindRefund, false, 30 * day, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			renewal.Warn(slog.New(slog.NewTextHandler(&log, nil)), tt.kind, tt.kind+":sub_1", tt.bulk, tt.age)
			if got := strings.Count(log.String(), "level=WARN"); got != tt.want || got > 0 && !strings.Contains(log.String(), "event=sale:sub_1 after=720h") {
				t.Errorf("%d warnings, want %d:\n%s", got, tt.want, log.String())
			}
		})
	}
}
