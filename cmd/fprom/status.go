package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/verdict"
)

// statusJSON is the result of status. Times are in UTC. Unknown values are null.
type statusJSON struct {
	Pending     int        `json:"pending"`
	Bulk        int        `json:"bulk"`
	Dead        int        `json:"dead"`
	Ledger      int        `json:"ledger"`
	Conflicts   int        `json:"conflicts"`
	Oldest      *time.Time `json:"oldest"`
	Delivering  bool       `json:"delivering"`
	LastSuccess *time.Time `json:"last_success"`
	PausedUntil *time.Time `json:"paused_until"`
	PauseReason *string    `json:"pause_reason"`
	Breaker     string     `json:"breaker"`
	LastMinute  *int       `json:"last_minute"`
	Verdict     string     `json:"verdict"` // "ok", "warn" or "fail"
	Detail      string     `json:"detail"`  // why
}

func (a *app) status() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Show what waits, what is dead and who delivers", Args: takes(0, 0, ""),
		Long: "Show what waits in the outbox, the oldest of it, what is dead, and who delivers. It changes nothing.",
		Example: `  fprom status
  fprom status --outbox postgres://shop@db/shop -o json`,
		RunE: command(func(ctx context.Context, _ []string) error {
			return a.withOutbox(ctx, func(box fprom.Outbox) error { return a.showStatus(ctx, box) })
		}),
	}
	a.outboxFlag(cmd)
	return cmd
}

func (a *app) showStatus(ctx context.Context, box fprom.Outbox) error {
	s, err := box.Stats(ctx)
	if err != nil {
		return err
	}
	level, what, _, err := delivery(ctx, box, s)
	if err != nil {
		return err
	}
	v := statusJSON{
		Pending: s.Pending, Bulk: s.Bulk, Dead: s.Dead, Ledger: s.Ledger, Conflicts: s.Conflicts, Oldest: utc(s.Oldest),
		Delivering: s.Delivering, LastSuccess: utc(s.LastSuccess), PausedUntil: utc(s.PausedUntil), Breaker: s.Breaker, LastMinute: s.LastMinute,
		Verdict: level, Detail: what,
	}
	if s.PauseReason != "" {
		v.PauseReason = &s.PauseReason
	}
	return a.show(v, func(w io.Writer) { statusText(w, s, what+hint(level != verdict.OK, " See fprom doctor.")) })
}

func statusText(w io.Writer, s fprom.QueueStats, judgement string) {
	row := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "%-13s %s\n", name, clean(fmt.Sprintf(format, args...)))
	}
	ago := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return stamp(t) + ", " + span(max(time.Since(t), 0)) + " ago"
	}
	row("waiting", "%d live, %d bulk", s.Pending, s.Bulk)
	row("oldest", "%s", ago(s.Oldest))
	row("dead letters", "%d%s", s.Dead, hint(s.Dead > 0, "; see fprom dead list"))
	row("ledger", "%d remembered", s.Ledger)
	row("conflicts", "%s%s", conflicts(s), hint(s.Conflicts > 0, ". The service's log names each (NOT TRACKED, or the error that EnqueueTx returned); see fprom doctor."))
	row("delivery", "%s", judgement)
	row("last success", "%s", ago(s.LastSuccess))
	if s.LastMinute != nil {
		row("last minute", "%s", count(*s.LastMinute, "call"))
	}
}

// delivery judges what waits as the status page does.
func delivery(ctx context.Context, box fprom.Outbox, s fprom.QueueStats) (level, what, do string, err error) {
	now := time.Now()
	failing, err := verdict.Failing(ctx, box, s, now)
	level, what, do = verdict.Delivery(s, now, verdict.Late(s, now, verdict.OldestAge), failing, false)
	return level, what, do, err
}

func conflicts(s fprom.QueueStats) string {
	if s.Conflicts == 0 {
		return "0"
	}
	return count(s.Conflicts, "event") + " not tracked: the event id was already used with another amount"
}

func hint(when bool, text string) string {
	if when {
		return text
	}
	return ""
}
