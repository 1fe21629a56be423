package backfill

import (
	"strconv"
	"time"
)

var timeLayouts = []string{
	time.RFC3339Nano, time.DateTime, "2006-01-02 15:04", time.DateOnly, "2006-01-02T15:04:05", "2006-01-02 15:04:05 UTC", "2006-01-02 15:04:05 GMT",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07", "2006-01-02 15:04:05 -0700", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04",
}

// parseTime reads a date. Without a zone it is in UTC. A zone must be a number, UTC or GMT: other names are ambiguous. The result
// is zero if s is no date.
func parseTime(s string) time.Time {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	n, _ := strconv.ParseInt(s, 10, 64) // 0 if s is no number
	switch {
	case 1e9 <= n && n < 1e10: // after 2001
		return time.Unix(n, 0).UTC() // Stripe's API
	case 1e12 <= n && n < 1e13:
		return time.UnixMilli(n).UTC() // JavaScript
	default: // no date, or one without marks, such as 202603101200
		return time.Time{}
	}
}
