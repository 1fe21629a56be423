package main // the time of a request is that of the fake

import (
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
)

// The fake shows times in UTC, as every command does.
func TestArrivalInUTC(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	a := &app{out: &out, format: formatText}
	a.arrival(fpromtest.Request{Time: time.Date(2026, 3, 10, 1, 30, 0, 0, time.FixedZone("", 9*60*60)), Kind: "sale"})
	if !strings.HasPrefix(out.String(), "16:30:00Z ") {
		t.Error(out.String())
	}
}
