package statuspage_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/statuspage"
)

// TestComparison is what the page and status.json say of the last comparison with FirstPromoter.
func TestComparison(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().Add(-5 * time.Hour)
		for _, tt := range []struct {
			name  string
			c     *statuspage.Comparison
			level string
			tile  string // its figure
			note  string
			what  string // of the problem
			do    string
		}{
			{"none is made", nil, "ok", "", "", "", ""},
			{"not yet", &statuspage.Comparison{}, "ok", "–", "not yet", "", ""},
			{"clean", &statuspage.Comparison{At: at, Days: 7}, "ok", "0 missing", "7 days, 5 h ago", "", ""},
			{"26 h ago", &statuspage.Comparison{At: at.Add(-21 * time.Hour), Days: 7}, "ok", "0 missing", "7 days, 1 d 2 h ago", "", ""},
			{
				"more than 26 h ago", &statuspage.Comparison{At: at.Add(-21*time.Hour - time.Second), Days: 7}, "warn", "0 missing", "7 days, 1 d 2 h ago",
				"The last comparison with FirstPromoter was 1 d 2 h ago.", "`fprom reconcile` compares now.",
			},
			{
				"none for two nights", &statuspage.Comparison{At: at.Add(-48 * time.Hour), Days: 7}, "warn", "0 missing", "7 days, 2 d 5 h ago",
				"The last comparison with FirstPromoter was 2 d 5 h ago.", "`fprom reconcile` compares now.",
			},
			{
				"missing", &statuspage.Comparison{At: at, Days: 7, Missing: 2, Do: []string{"2 missing: send them again"}}, "fail", "2 missing", "7 days, 5 h ago",
				"7 days were compared with FirstPromoter 5 h ago: 2 commissions are missing.", "`fprom reconcile` lists what differs. 2 missing: send them again.",
			},
			{
				"one day", &statuspage.Comparison{At: at, Days: 1, Missing: 1, Do: []string{"1 missing: send it again"}}, "fail", "1 missing", "1 day, 5 h ago",
				"1 day was compared with FirstPromoter 5 h ago: 1 commission is missing.", "send it again.",
			},
			{
				"differs", &statuspage.Comparison{At: at, Days: 7, Do: []string{"1 doubled: deny one", "1 foreign: disconnect it"}}, "warn", "differs", "7 days, 5 h ago",
				"7 days were compared with FirstPromoter 5 h ago: they differ.", "1 doubled: deny one. 1 foreign: disconnect it.",
			},
			{
				"failed", &statuspage.Comparison{At: at, Days: 3, Err: errors.New("fprom: GET /company/commissions: no answer")}, "warn", "failed", "5 h ago",
				"The comparison with FirstPromoter failed 5 h ago: GET /company/commissions: no answer.", "It runs again by itself; `fprom reconcile` runs it now.",
			},
		} {
			o := statuspage.Options{Public: true, Outbox: &outboxtest.Outbox{Status: fprom.QueueStats{Delivering: true, Breaker: "closed"}}}
			if tt.c != nil {
				o.Compared = func() statuspage.Comparison { return *tt.c }
			}
			h := handler(t, nil, o)
			var got struct {
				State      string
				Problems   []struct{ What, Do string }
				Comparison *struct {
					At            *time.Time
					Days, Missing int
					Do            []string
					Error         string
				}
			}
			if err := json.Unmarshal(get(t, h, "/status.json").Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if got.State != tt.level || len(got.Problems) > 0 != (tt.what != "") || tt.what != "" && (got.Problems[0].What != tt.what || !strings.HasSuffix(got.Problems[0].Do, tt.do)) {
				t.Errorf("%s: %q, %q", tt.name, got.State, got.Problems)
			}
			if c := got.Comparison; (c == nil) != (tt.c == nil) || c != nil && (c.Days != tt.c.Days || c.Missing != tt.c.Missing || c.Do == nil || len(c.Do) != len(tt.c.Do) || (c.Error != "") != (tt.c.Err != nil) || (c.At == nil) != tt.c.At.IsZero()) {
				t.Errorf("%s: %+v", tt.name, c)
			}
			body := get(t, h, "/").Body.String()
			if want := "<h2>Compared with FirstPromoter</h2><p>" + tt.tile + "</p><small>" + tt.note + "</small>"; strings.Contains(body, want) != (tt.c != nil) {
				t.Errorf("%s: the page has no %s", tt.name, want)
			}
			if !strings.Contains(body, tt.what) || !strings.Contains(body, `"banner `+tt.level+`"`) {
				t.Errorf("%s: the page does not say %q", tt.name, tt.what)
			}
		}
	})
}
