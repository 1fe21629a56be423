package riverqueue

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
)

// maxWait is the longest time that the ledger stores for a claim or the next attempt, see fprom_ahead.
const maxWait = time.Hour

// settleSQL stores an outcome or a failed attempt.
const settleSQL = `SELECT $schema.fprom_settle(@key, @generation, @state, @outcome, @reason, @status, @id, @commissions, @attempts, @aside, @wait)`

var (
	// errNotReady: there is nothing to do for this job. If the event still waits, another job will wake it.
	errNotReady = errors.New("the event is not ready")
	// errBehindLive: a bulk event is claimed again and again until no live event is ready.
	errBehindLive = errors.New("live events are ready")
)

// claim begins the delivery of an event; if last, only after the live events that are ready. An outcome counts only for the
// generation that claim returns.
func (q *Queue) claim(ctx context.Context, key string, last bool) (m fprom.Message, generation int, err error) {
	ctx, cancel := lasting(ctx)
	defer cancel()
	var claimed bool
	var body string
	var digest int64
	err = q.row(ctx, q.sql(`SELECT claimed, (e).generation, coalesce((e).clear_key, (e).key), (e).kind, (e).customer, coalesce((e).body, ''), (e).recorded_at, (e).attempts + 1,
		(e).digest, (e).bulk FROM $schema.fprom_claim($1, $2, $3) AS c(claimed, e)`), key, (q.cfg.Rescue*5/6).Seconds(), last).
		Scan(&claimed, &generation, &m.Key, &m.Kind, &m.Customer, &body, &m.RecordedAt, &m.Attempt, &digest, &m.Bulk)
	q.note("begin a delivery", err)
	switch {
	case err == nil && m.Key == "":
		err = errNotReady
	case err == nil && !claimed:
		err = errBehindLive
	}
	m.Body, m.Digest = []byte(body), uint64(digest)
	return m, generation, err
}

// settle stores what became of a delivery. A delivery that ctx cut short is no attempt.
func (q *Queue) settle(run, ctx context.Context, m fprom.Message, generation int, result fprom.Result, failure error) {
	e := fprom.NewEntry(m)
	e.Settle(result, failure, time.Now())
	var again time.Duration
	if failure != nil && !fprom.IsPermanent(failure) {
		e.State = fprom.StateWaiting
		again = min(fprom.RetryDelay(e.Attempts, failure), maxWait)
		if ctx.Err() != nil || fprom.IsHeld(failure) {
			e.Attempts--
		}
	}
	q.store(run, e.Key, pgx.StrictNamedArgs{
		"key": e.Key, "generation": generation, "state": string(e.State), "outcome": string(e.Outcome), "reason": storable(e.Reason), "status": e.StatusCode,
		"id": e.ID, "commissions": e.CommissionIDs, "attempts": e.Attempts, "aside": fprom.IsSetAside(failure), "wait": again.Seconds(),
	})
}

// store runs settleSQL. While the database does not answer, it tries again until Run ends, and then once more. If that fails, the event
// is delivered again, which the event id makes safe.
func (q *Queue) store(run context.Context, key string, args pgx.StrictNamedArgs) {
	for {
		ctx, cancel := lasting(run)
		err := q.row(ctx, q.sql(settleSQL), args).Scan(nil)
		cancel()
		if reason, _ := args["reason"].(string); strings.HasPrefix(sqlState(err), "22") && utf8.RuneCountInString(reason) < len(reason) {
			args["reason"] = strconv.QuoteToASCII(reason) // the database's encoding lacks a character
			continue
		}
		if q.note("store the outcome of a delivery", err); err == nil {
			return
		}
		if run.Err() != nil {
			q.cfg.Logger.Error("fprom: riverqueue: the outcome of a delivery could not be stored before the end of Run; another process delivers the event again", "event", key)
			return
		}
		_ = wait(run, q, time.After(pollTime))
	}
}

// storable removes what PostgreSQL cannot store.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
