package main // an outbox that fails in a certain way is no file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/riverqueue"
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
	box := &outboxtest.Outbox{}
	box.Add(fprom.Entry{Key: "sale:ch_1", Kind: fprom.KindSale, State: fprom.StateWaiting, Bulk: true})
	var errs strings.Builder
	a := &app{errs: &errs, bars: progressNone, format: formatText}
	own := &deliverer{a: a, box: &silent{Outbox: box, after: 2}}
	_, err := a.followBulk(t.Context(), own, backfill.Result{}, backfillFlags{wait: time.Hour, rate: 400})
	if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(errs.String(), "within 1h") {
		t.Errorf("%v, %s", err, errs.String())
	}
}

// An outbox that goes away in the middle of a command is named, and what to do.
func TestTheConnectionEnds(t *testing.T) {
	t.Parallel()
	for _, err := range []error{io.ErrUnexpectedEOF, syscall.ECONNRESET, errWindowsReset, &pgconn.PgError{Code: "57P01", Message: "terminating connection due to administrator command"}} {
		got := inWords("postgres://shop@db/shop", fmt.Errorf("fprom: riverqueue: entries: %w", err))
		if want := "outbox postgres://shop@db/shop: the connection to it ended; run the command again"; got.Error() != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

// The errors of Windows, which are not those of its package syscall.
const (
	errWindowsReset   = syscall.Errno(10054)
	errWindowsRefused = syscall.Errno(10061)
)

// doctor says the same of a refused connection on each system.
func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	for _, err := range []error{syscall.ECONNREFUSED, errWindowsRefused} {
		if got, fix := callProblem(&answer{host: "h", err: os.NewSyscallError("connect", err)}, time.Second); got != "h cannot be reached: connection refused" || !strings.HasPrefix(fix, "nothing listens there") {
			t.Errorf("%d: %s; %s", err, got, fix)
		}
	}
}

// closing is an outbox whose service ends for good after its dead letters were redriven.
type closing struct{ fprom.Outbox }

func (c *closing) Redrive(ctx context.Context, f fprom.Filter) (int, error) {
	n, err := c.Outbox.Redrive(ctx, f)
	c.Outbox = &silent{Outbox: c.Outbox, after: 1}
	return n, err
}

func (s *silent) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	if s.after < 0 {
		return func(yield func(fprom.Entry, error) bool) { yield(fprom.Entry{}, riverqueue.ErrSchema) }
	}
	s.after--
	return s.Outbox.Entries(ctx, f)
}

func on(box fprom.Outbox) opener {
	return func(f func(fprom.Outbox) error) error { return f(box) }
}

// Whoever redrives and then cannot wait for the outcomes is told how many were redriven.
func TestRedriveCannotWait(t *testing.T) {
	t.Parallel()
	box := &outboxtest.Outbox{Status: fprom.QueueStats{Delivering: true}}
	box.Add(fprom.Entry{Key: "sale:ch_1", Kind: fprom.KindSale, State: fprom.StateDead})
	var errs strings.Builder
	a := &app{errs: &errs, bars: progressNone, format: formatText}
	err := a.changeDead(t.Context(), on(&closing{box}), redriving, fprom.Filter{State: fprom.StateDead}, changeFlags{all: true, yes: true, wait: time.Minute})
	if !errors.Is(err, riverqueue.ErrSchema) || !strings.Contains(errs.String(), "1 dead letter redriven") {
		t.Errorf("%v, %q", err, errs.String())
	}
}

// A refund whose event id is the key of the chosen sale stays as it is.
func TestDropOnlyTheChosen(t *testing.T) {
	t.Parallel()
	box := &outboxtest.Outbox{}
	box.Add(fprom.Entry{Key: "sale:ch_1", Kind: fprom.KindSale, State: fprom.StateDead, Reason: "test mode"})
	box.Add(fprom.Entry{Key: "refund:sale:ch_1", Kind: fprom.KindRefund, State: fprom.StateDead})
	a := &app{out: io.Discard, errs: io.Discard, bars: progressNone, format: formatText}
	err := a.changeDead(t.Context(), on(box), dropping, fprom.Filter{State: fprom.StateDead, Reason: "test mode"}, changeFlags{yes: true})
	if err != nil || len(box.Events) != 1 || box.Events[0].Kind != fprom.KindRefund {
		t.Errorf("%v, left %+v", err, box.Events)
	}
}

// A dead letter that cannot be read stays where it is, and needs a person.
func TestRedriveLeavesDamaged(t *testing.T) {
	t.Parallel()
	box := &outboxtest.Outbox{}
	box.Add(fprom.Entry{Key: "sale:ch_1", Kind: fprom.KindSale, State: fprom.StateDead})
	box.Add(fprom.Entry{Key: "sale:ch_2", Kind: fprom.KindSale, State: fprom.StateDead, Damaged: true})
	var out strings.Builder
	a := &app{out: &out, errs: &out, bars: progressNone, format: formatText}
	err := a.changeDead(t.Context(), on(box), redriving, fprom.Filter{State: fprom.StateDead}, changeFlags{all: true, yes: true})
	if exitCode(err) != exitAttention || !strings.Contains(out.String(), "1 dead letter redriven") || !strings.Contains(out.String(), "1 dead letter not redriven") {
		t.Errorf("%v, %q", err, out.String())
	}
}

// What somebody else redrove while the question stood on the terminal is shown, and not counted as ours.
func TestFollowedBySomebodyElseToo(t *testing.T) {
	t.Parallel()
	box := &outboxtest.Outbox{}
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
