package fprom_test

import (
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// A History has at most 10,000 intervals, also where its time is longer than a time.Duration can be.
func TestNewBuckets(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 30, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		from, to time.Time
		step     time.Duration
		want     int // 0: an error, unless the time is empty
		empty    bool
	}{
		"a day":               {from: now.Add(-24 * time.Hour), to: now, step: time.Hour, want: 25}, // the first one begins at 12:00
		"10,000":              {from: now.Add(-10_000 * time.Minute), to: now, step: time.Minute, want: 10_000},
		"10,001":              {from: now.Add(-10_001 * time.Minute), to: now, step: time.Minute},
		"since the year 1":    {to: now, step: 30 * 24 * time.Hour},
		"the other way round": {from: now, to: now.Add(-time.Hour), step: time.Minute, empty: true},
		"no step":             {from: now.Add(-time.Hour), to: now},
	} {
		got, err := fprom.NewBuckets(test.from, test.to, test.step)
		if len(got) != test.want || (err == nil) != (test.want > 0 || test.empty) {
			t.Errorf("%s: %d intervals, %v; want %d", name, len(got), err, test.want)
		}
	}
}
