package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fprom-go/fprom"
)

// Options configures Run.
type Options struct {
	Format
	// Outbox is where the rows go, and what knows the ones that were there before. Required.
	Outbox fprom.Outbox
	// DryRun stores nothing, and counts what would happen.
	DryRun bool
	// RejectsPath names the file for the rows that need a person: those that make no event, and those whose event id is in
	// the outbox with another amount. It is written over, and not made without such a row. Default none.
	RejectsPath string
	// RequestsPerMinute is the account's limit, for Progress.Left. Default 400, which is FirstPromoter's limit.
	RequestsPerMinute int
	// Columns, if set, is called once with what the columns were taken for; not for JSONL.
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
	Queued      int    `json:"queued"`    // stored; in a dry run what would be
	Known       int    `json:"known"`     // were in the outbox before, with the same amount
	Conflicts   int    `json:"conflicts"` // were there with another amount: not stored
	Invalid     int    `json:"invalid"`   // make no event
	RejectsFile string `json:"rejects_file"`
	Warnings    int    `json:"warnings"`
	*Outcomes          // after Wait

	// Since is when the oldest of these rows was put into the outbox: for Wait.
	Since time.Time `json:"-"`
}

// Progress is where Run is.
type Progress struct {
	Result
	PerSecond float64       // rows read
	Left      time.Duration // until everything that waits in the outbox is delivered, at the account's limit
}

// batch is how many rows are looked up in the outbox at once, and put: that holds up live events, if only for milliseconds.
const batch = 1000

// Run reads sales from r and puts them into the outbox, behind live events. An error is a *HeaderError, a
// *fprom.ValidationError of an option, ctx's, r's or the outbox's; the Result says how far it came. Rows that cannot be
// used are no error: they are counted, and in the rejects file. Run it again to go on.
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
	l := &loader{Options: o, rejects: w, twins: newTwins(), start: time.Now(), kind: in.format.Kind, index: newIndex()}
	l.result.Since = l.start
	err = l.load(ctx, in)
	if cerr := w.close(); err == nil {
		err = cerr
	}
	if w.file != nil {
		l.result.RejectsFile = o.RejectsPath
	}
	return l.result, err
}

// loader takes rows to the outbox.
type loader struct {
	Options
	result  Result
	rejects *rejects
	twins   *twins
	start   time.Time
	pending []pending // the batch
	kind    string
	index   *index // see sift
	looked  bool   // through the outbox
}

// pending is a row on its way.
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

// add takes a row into the batch, or refuses it.
func (l *loader) add(row Row) error {
	if row.Err != nil {
		l.result.Invalid++
		return l.refuse(row, row.Err)
	}
	msg, err := fprom.NewMessage(row.Event)
	if err != nil {
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
	other, found := l.twins.see(row.Line, row.At, sale.EventID, msg.Customer, moneyOf(sale))
	if !found {
		return
	}
	l.result.Warnings++
	if l.Warn != nil {
		l.Warn(Warning{row.Line, other})
	}
}

// store ends a batch.
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
		l.result.Queued += len(fresh)
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
	if c, ok := errors.AsType[*fprom.ConflictError](err); ok { // put by somebody else since sift looked
		for _, k := range c.Keys {
			refused[k] = true
		}
	} else if err != nil {
		return fmt.Errorf("fprom: put rows into the outbox: %w", err)
	}
	for _, p := range fresh {
		if !refused[p.msg.Key] {
			l.result.Queued++
		} else if err := l.conflict(p); err != nil {
			return err
		}
	}
	return nil
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
	if d := time.Since(l.start).Seconds(); d > 0 {
		p.PerSecond = float64(l.result.Rows) / d
	}
	waiting := 0
	if stats, err := l.Outbox.Stats(ctx); err == nil {
		waiting = stats.Pending + stats.Bulk
	}
	if l.DryRun {
		waiting += l.result.Queued
	}
	p.Left = TimeLeft(waiting, l.RequestsPerMinute)
	return p
}

// TimeLeft is how long n events take at a limit of calls a minute.
func TimeLeft(n, perMinute int) time.Duration {
	return time.Duration(n) * time.Minute / time.Duration(max(perMinute, 1))
}
