package boltqueue

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue/internal/socket"
	"github.com/fprom-go/fprom/internal/safelog"
)

// ErrServed is returned by Run of an outbox that Dial returned.
var ErrServed = socket.ErrServed

// Dial returns the outbox in the file at path, which another process has open, through the socket of that process. All methods
// work as in that process and under its rate limit, except Run, which returns ErrServed. Close only closes this Outbox. Dial
// returns an error if no process serves the file: then use Open.
func Dial(path string) (fprom.Outbox, error) { return socket.Dial(path) }

// OpenOrDial opens the file at path, or dials the process that has it open. It tries for a second, or as long as WithWait says.
// If neither works, the error wraps ErrLocked.
func OpenOrDial(path string, opts ...Option) (fprom.Outbox, error) {
	q := newQueue(path, opts)
	box := fprom.Outbox(q)
	err := q.await(max(q.wait, time.Second), func() error { // in a second the other process opens its socket, or ends
		err := q.open()
		if !errors.Is(err, ErrLocked) {
			return err
		}
		r, dialErr := Dial(path)
		if dialErr != nil {
			return errors.Join(err, dialErr)
		}
		box = r
		return nil
	})
	if err != nil {
		return nil, err
	}
	return box, nil
}

// listen serves the outbox to other processes. The outbox works without that, so an error is only logged.
func (q *Queue) listen() {
	end, err := socket.Serve(q.path, watched{q})
	if err != nil {
		q.logger.Warn("fprom: no socket beside the outbox: other processes cannot see it", slog.String("path", q.path), safelog.Error(err))
		return
	}
	q.unlisten = end
}

// watched is the outbox as other processes see it: with the pause, the breaker, the calls and the conflicts of the Tracker that
// delivers.
type watched struct{ *Queue }

func (w watched) Stats(ctx context.Context) (fprom.QueueStats, error) {
	s, err := w.Queue.Stats(ctx)
	if stats := w.tracker.Load(); stats != nil && err == nil && s.Delivering {
		t := (*stats)()
		s.PausedUntil, s.PauseReason, s.Breaker, s.LastMinute = t.PausedUntil, t.PauseReason, t.Breaker, &t.LastMinute
		s.Conflicts = max(s.Conflicts, int(t.Conflicts)) // the file gets no event that the Tracker itself refuses
	}
	return s, err
}
