package main // an outbox that fails in a certain way is no file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/internal/memoutbox"
)

// silent is an outbox that stops answering.
type silent struct {
	fprom.Outbox
	after int // calls
}

func (s *silent) Stats(ctx context.Context) (fprom.QueueStats, error) {
	if s.after--; s.after < 0 {
		return fprom.QueueStats{}, fmt.Errorf("dial the database: %w", context.DeadlineExceeded)
	}
	stats, err := s.Outbox.Stats(ctx)
	stats.Delivering = true
	return stats, err
}

// An outbox that does not answer in time is an error: it is not the end of --wait.
func TestTheOutboxStopsToAnswer(t *testing.T) {
	t.Parallel()
	box := memoutbox.New()
	m, err := fprom.NewMessage(fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 100})
	if err != nil {
		t.Fatal(err)
	}
	m.Bulk = true
	if err := box.Put(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	a := &app{errs: &errs, bars: progressNone, format: formatText}
	own := &deliverer{a: a, box: &silent{Outbox: box, after: 2}}
	_, err = a.followBulk(t.Context(), own, backfill.Result{}, backfillFlags{wait: time.Hour, rate: 400})
	if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(errs.String(), "within 1h") {
		t.Errorf("%v, %s", err, errs.String())
	}
}

// An outbox that goes away in the middle of a command is named, and what to do.
func TestTheConnectionEnds(t *testing.T) {
	t.Parallel()
	for _, err := range []error{io.ErrUnexpectedEOF, &pgconn.PgError{Code: "57P01", Message: "terminating connection due to administrator command"}} {
		got := inWords("postgres://shop@db/shop", fmt.Errorf("fprom: riverqueue: entries: %w", err))
		if want := "outbox postgres://shop@db/shop: the connection to it ended; run the command again"; got.Error() != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

// What somebody else redrove while the question stood on the terminal is shown, and not counted as ours.
func TestFollowedBySomebodyElseToo(t *testing.T) {
	t.Parallel()
	box := memoutbox.New()
	for _, key := range []string{"sale:ch_1", "sale:ch_2"} {
		box.Add(fprom.Entry{Key: key, Kind: fprom.KindSale, State: fprom.StateDead})
	}
	var out strings.Builder
	a := &app{out: &out, errs: &out, bars: progressNone, format: formatText}
	plan, err := entries(box.Entries(t.Context(), fprom.Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	f, err := a.follow(t.Context(), &silent{Outbox: box, after: 1}, plan, 1, time.Nanosecond)
	if err != nil || f.done != 0 || f.dead != 2 {
		t.Errorf("%+v %v", f, err)
	}
}
