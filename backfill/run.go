package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

// Options configures Run.
type Options struct {
	Format
	// Outbox gets the rows. It knows the rows of earlier runs. Required, except with DryRun: without it all rows count as new.
	Outbox fprom.Outbox
	// DryRun stores nothing, and counts what a run would store.
	DryRun bool
	// RejectsPath names the file for the rows that need a person: rows that make no event, rows whose event id is in the outbox
	// with another amount, and Repeated rows. Run overwrites the file, but only if there is such a row. Default none.
	RejectsPath string
	// RequestsPerMinute is the account's limit, for Progress.Left. Default 400, which is FirstPromoter's limit.
	RequestsPerMinute int
	// Columns, if set, is called once with the columns and their fields; not for JSONL.
	Columns func([]Column)
	// Progress, if set, is called after every batch, with the counts so far.
	Progress func(Progress)
	// Refused, if set, is called for each row that needs a person, with the reason.
	Refused func(line int, reason error)
	// Warn, if set, is called for rows that look like one payment under two event ids.
	Warn func(Warning)
}

// Result counts what became of the rows. It is what fprom backfill prints as JSON.
type Result struct {
	Rows        int    `json:"rows"`
	Queued      int    `json:"queued"`    // rows that were stored, or would be without DryRun
	Known       int    `json:"known"`     // rows that the outbox has already, with the same amount; Repeated ones are of these
	Repeated    int    `json:"repeated"`  // sales or refunds with the event id and amount of an earlier row: one that this Run stored (or another one meanwhile), or one shortly before
	Conflicts   int    `json:"conflicts"` // rows that the outbox has with another amount: not stored
	Invalid     int    `json:"invalid"`   // rows that make no event
	Zero        int    `json:"zero"`      // rows with the amount zero: free trials and empty invoices, which are no sales and need nobody
	Unpaid      int    `json:"unpaid"`    // rows of failed payments (see ErrUnpaid), which need nobody either
	RejectsFile string `json:"rejects_file"`
	Warnings    int    `json:"warnings"`
	// Sums are the amounts of the queued sales or refunds, in minor units, by currency; "" is the account's. A file that is read in
	// the wrong unit shows here. A sum that would be larger stays at math.MaxInt64. Not in Progress.
	Sums      map[string]int64 `json:"sums"`
	*Outcomes                  // what Wait returned, if the caller sets it

	// Since is when the oldest of these rows that had no outcome yet was put into the outbox, but not after the start. It is for Wait.
	Since time.Time `json:"-"`
}

// Progress says how far Run has come.
type Progress struct {
	Result
	Left time.Duration // until all waiting events of the outbox are delivered, at the account's limit
}

// batch is how many rows are looked up and put at once. Each batch delays live events by milliseconds.
const batch = 1000

// Run reads sales from r and puts them into the outbox, behind live events. The error is a *HeaderError, a
// *fprom.ValidationError of an option, or an error of ctx, r or the outbox. The Result says how far Run came; call it again to
// go on. A row that cannot be used is no error: it is counted, and written to the rejects file.
func Run(ctx context.Context, r io.Reader, o Options) (Result, error) {
	in, err := NewReader(r, o.Format)
	if err != nil {
		return Result{}, err
	}
	if o.Columns != nil && in.csv != nil {
		o.Columns(in.Columns())
	}
	if o.RequestsPerMinute <= 0 {
		o.RequestsPerMinute = 400
	}
	w, err := newRejects(o.RejectsPath, r, in)
	if err != nil {
		return Result{}, err
	}
	l := &loader{Options: o, rejects: w, twins: newTwins(), start: time.Now(), kind: in.format.Kind, index: newIndex(), own: newIndex(), sums: map[string]int64{}}
	l.result.Since = l.start
	err = l.load(ctx, in)
	if cerr := w.close(); err == nil {
		err = cerr
	}
	l.result.Sums = l.sums
	if w.file != nil {
		l.result.RejectsFile = o.RejectsPath
	}
	return l.result, err
}

// loader is one Run.
type loader struct {
	Options
	result  Result
	rejects *rejects
	twins   *twins
	start   time.Time
	pending []pending // the batch
	kind    string
	index   *index // of the outbox, see sift
	own     *index // of what this Run stored, see sift
	looked  bool   // the whole outbox is in index
	sums    map[string]int64
}

// pending is a row of the batch.
type pending struct {
	row Row
	msg fprom.Message
}

func (l *loader) load(ctx context.Context, in *Reader) error {
	for row, err := range in.Rows() {
		if err != nil {
			return errors.Join(l.store(ctx), err)
		}
		l.result.Rows++
		if err := l.add(row); err != nil {
			return err
		}
		if len(l.pending) == batch {
			if err := l.store(ctx); err != nil {
				return err
			}
		}
	}
	return l.store(ctx)
}

// add adds a row to the batch, leaves it out, or refuses it.
func (l *loader) add(row Row) error {
	msg, err := fprom.Message{}, row.Err
	if err == nil {
		msg, err = fprom.NewMessage(row.Event)
	}
	switch {
	case errors.Is(err, ErrZeroAmount):
		l.result.Zero++
		return nil
	case errors.Is(err, ErrUnpaid):
		l.result.Unpaid++
		return nil
	case err != nil:
		l.result.Invalid++
		return l.refuse(row, err)
	}
	msg.Bulk = true
	l.warn(row, msg)
	if l.rejects.path == "" {
		row.Record, row.JSON = nil, nil
	}
	l.pending = append(l.pending, pending{row.copied(), msg})
	return nil
}

func (l *loader) warn(row Row, msg fprom.Message) {
	sale, ok := row.Event.(fprom.Sale)
	if !ok {
		return
	}
	other, found := l.twins.payment(row.Line, row.At, sale.EventID, msg.Customer, moneyOf(sale))
	if !found {
		return
	}
	l.result.Warnings++
	if l.Warn != nil {
		l.Warn(Warning{row.Line, other})
	}
}

// store puts the batch into the outbox.
func (l *loader) store(ctx context.Context) error {
	defer func() { l.pending = l.pending[:0] }()
	if err := ctx.Err(); err != nil {
		return err
	}
	fresh, err := l.sift(ctx)
	if err != nil {
		return err
	}
	if l.DryRun {
		for _, p := range fresh {
			l.queued(p)
		}
	} else if err := l.put(ctx, fresh); err != nil {
		return err
	}
	if err := l.rejects.flush(); err != nil {
		return err
	}
	if l.Progress != nil {
		l.Progress(l.progress(ctx))
	}
	return nil
}

func (l *loader) put(ctx context.Context, fresh []pending) error {
	ms := make([]fprom.Message, len(fresh))
	for i, p := range fresh {
		ms[i] = p.msg
	}
	err := l.Outbox.Put(ctx, ms...)
	refused := map[string]bool{}
	if c, ok := errors.AsType[*fprom.ConflictError](err); ok { // another process put them after sift
		for _, k := range c.Keys {
			refused[k] = true
		}
	} else if err != nil {
		return fmt.Errorf("fprom: put rows into the outbox: %w", err)
	}
	for _, p := range fresh {
		if !refused[p.msg.Key] {
			l.queued(p)
		} else if err := l.conflict(p); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) queued(p pending) {
	l.result.Queued++
	if m := moneyOf(p.row.Event); m.amount != 0 {
		code := strings.ToUpper(m.currency)
		l.sums[code] = min(l.sums[code], math.MaxInt64-m.amount) + m.amount
	}
}

func (l *loader) conflict(p pending) error {
	l.result.Conflicts++
	return l.refuse(p.row, fprom.ErrConflict)
}

func (l *loader) refuse(row Row, reason error) error {
	if l.Refused != nil {
		l.Refused(row.Line, reason)
	}
	return l.rejects.add(row, reason)
}

func (l *loader) progress(ctx context.Context) Progress {
	p := Progress{Result: l.result}
	waiting := 0
	if l.Outbox != nil {
		if stats, err := l.Outbox.Stats(ctx); err == nil {
			waiting = stats.Pending + stats.Bulk
		}
	}
	if l.DryRun {
		waiting += l.result.Queued
	}
	p.Left = TimeLeft(waiting, l.RequestsPerMinute)
	return p
}

// TimeLeft is how long n events take under a limit of perMinute calls a minute, with the Tracker's default burst: it makes the rest of
// the calls in 62 s, so that no 60 seconds take more. Below 20 calls a minute riverqueue is faster.
func TimeLeft(n, perMinute int) time.Duration {
	burst := max(min(20, perMinute/20), 1)
	return time.Duration(n) * (62 * time.Second) / time.Duration(max(perMinute-burst, 1))
}
