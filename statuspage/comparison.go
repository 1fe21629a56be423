package statuspage

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
	"github.com/fprom-go/fprom/internal/verdict"
)

// Comparison is the last comparison with FirstPromoter (see package reconcile). With reconcile.Nightly:
//
//	Compared: func() statuspage.Comparison {
//		last := nightly.Last()
//		return statuspage.Comparison{
//			At: last.At, Err: last.Err, Days: len(last.Report.Days), Missing: len(last.Report.Missing), Do: last.Report.Advice(),
//		}
//	}
//
// The page warns if it is older than 26 h.
type Comparison struct {
	At      time.Time // when it ended; zero: there was none yet
	Err     error     // why it failed
	Days    int       // number of days compared
	Missing int       // commissions that were in FirstPromoter's answers and are not there now
	Do      []string  // how to mend the differences, a sentence each; empty: there are none
}

// comparisonJSON is a Comparison in status.json.
type comparisonJSON struct {
	At      time.Time `json:"at,omitzero"`
	Days    int       `json:"days"`
	Missing int       `json:"missing"`
	Do      []string  `json:"do"`
	Error   string    `json:"error,omitempty"`
}

func (c *Comparison) json() *comparisonJSON {
	if c == nil {
		return nil
	}
	j := &comparisonJSON{At: c.At.UTC(), Days: c.Days, Missing: c.Missing, Do: append([]string{}, c.Do...)}
	if c.Err != nil {
		j.Error = safelog.Text(c.Err)
	}
	return j
}

// comparedWithin is how old the last comparison may be: the same as in the alarm FpromNotCompared.
const comparedWithin = 26 * time.Hour

// problem returns what is wrong, if anything.
func (c *Comparison) problem(now time.Time) (p problem, is bool) {
	if c == nil || c.At.IsZero() {
		return problem{}, false
	}
	when := verdict.Age(now.Sub(c.At)) + " ago"
	found := verdict.Plural(c.Days, "day was", "days were") + " compared with FirstPromoter " + when
	do := strings.Join(append([]string{"`fprom reconcile` lists what differs"}, c.Do...), ". ") + "."
	switch {
	case c.Err != nil:
		return problem{verdict.Warn, fmt.Sprintf("The comparison with FirstPromoter failed %s: %s.", when, strings.TrimRight(safelog.Text(c.Err), ". ")), "It runs again by itself; `fprom reconcile` runs it now."}, true
	case c.Missing > 0:
		return problem{verdict.Fail, found + ": " + verdict.Plural(c.Missing, "commission is", "commissions are") + " missing.", do}, true
	case len(c.Do) > 0:
		return problem{verdict.Warn, found + ": they differ.", do}, true
	case now.Sub(c.At) > comparedWithin:
		return problem{verdict.Warn, "The last comparison with FirstPromoter was " + when + ".", "The service makes one every night (`reconcile.Nightly`): see its log. `fprom reconcile` compares now."}, true
	default:
		return problem{}, false
	}
}

func (c *Comparison) tile(now time.Time) tile {
	const label = "Compared with FirstPromoter"
	note := count(c.Days, "day") + ", " + verdict.Age(now.Sub(c.At)) + " ago"
	switch p, _ := c.problem(now); {
	case c.At.IsZero():
		return tile{label, "–", "not yet", ""}
	case c.Err != nil:
		return tile{label, "failed", verdict.Age(now.Sub(c.At)) + " ago", p.Level}
	case c.Missing == 0 && len(c.Do) > 0:
		return tile{label, "differs", note, p.Level}
	default:
		return tile{label, verdict.Grouped(c.Missing) + " missing", note, cmp.Or(p.Level, verdict.OK)}
	}
}
