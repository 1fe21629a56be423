package fprom

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
)

// outageInterval is how often an outage is in the log.
const outageInterval = time.Minute

// logbook logs steps. It logs the first answers of each kind, which tell people that their installation works, and an outage at
// its begin, once a minute and at its end; what repeats is at debug level. Of short outages in a row it logs two a minute.
type logbook struct {
	saidDelivered, saidNotReferral, saidEarly atomic.Bool
	breakerOpen                               atomic.Bool // what the last line about the breaker said; half-open counts as open

	mu                         sync.Mutex
	outageSince                time.Time // zero if there is none
	outageLogged, loggedBefore time.Time // the last line about an outage, and the one before
	failures                   int       // since the end of the last outage that was logged
}

func (l *logbook) log(ctx context.Context, t *Tracker, s Step) {
	if a := s.attempt; a != nil && a.good() && a.open.Err() == nil { // else delivery paused after this call began
		l.worksAgain(ctx, t)
	}
	level, text, more := l.line(t, s)
	if !t.cfg.Logger.Enabled(ctx, level) { // the attributes cost each request an allocation
		return
	}
	attrs := []slog.Attr{slog.String("event", SafeKey(s.Message.Key))}
	if s.Result.Outcome != "" {
		attrs = append(attrs, slog.String("outcome", string(s.Result.Outcome)), slog.Int("status", s.Result.StatusCode), slog.Int("attempt", s.Message.Attempt))
	}
	if s.Err != nil && s.Stage != StageConflict { // the text of the line says it already
		attrs = append(attrs, slog.String("error", safelog.Reason(safelog.Text(s.Err), SafeKey(s.Message.Key))))
	}
	t.cfg.Logger.LogAttrs(ctx, level, "fprom: "+text, append(attrs, more...)...)
}

// line says how loudly a step is logged, and how. An event that is refused, or fails alone, is no outage.
func (l *logbook) line(t *Tracker, s Step) (level slog.Level, text string, more []slog.Attr) {
	level, text = slog.LevelDebug, string(s.Stage)
	switch a := s.attempt; s.Stage {
	case StageEnqueued:
	case StageDelivered:
		switch {
		case a.warn != "":
			level, text = slog.LevelWarn, a.warn
		case a.Outcome == NotReferral && l.saidNotReferral.CompareAndSwap(false, true):
			level, text = slog.LevelInfo, "delivered: not a referral. That is normal for a customer whom no promoter brought; further ones are logged at debug level"
		case a.Outcome == Tracked && l.saidDelivered.CompareAndSwap(false, true):
			level, text = slog.LevelInfo, "delivered the first event of this process; further ones are logged at debug level"
		}
	case StageRetry:
		if a.news {
			level = slog.LevelWarn
		}
		switch {
		case a.class == classAskAgain && a.sent && l.saidEarly.CompareAndSwap(false, true):
			level, text = slog.LevelInfo, "too early; the event is sent later. That is normal; further ones are logged at debug level"
		case a.class == classAskAgain:
			text = "too early; the event is sent later"
		case a.class == classSuspected:
			text = "this event was refused; it is kept and tried again later"
		case a.known.failure != nil && a.known.failure.alone:
			text = "this event fails while others are delivered; it is kept, and tried again less and less often"
		default:
			level, more = l.outage(slog.LevelWarn, a.news)
			text = "delivery fails; the events are kept and tried again"
		}
	case StagePaused:
		level, more = l.outage(slog.LevelError, true)
		text = "all delivery is paused; queued events are kept"
	case StageDead:
		level, text = slog.LevelError, "the event is given up; it is a dead letter: list it with \"fprom dead list\", and send it again with \"fprom dead redrive\""
		if _, volatile := t.cfg.Queue.(UndeliveredLister); volatile || !a.queued {
			text = "the event is given up and not kept; report it by hand, or enqueue it with a durable queue (boltqueue)"
		}
	case StageDiscarded:
		if text = "the handler failed: this recorded event is not sent"; s.Err != nil {
			level, text = slog.LevelWarn, "NOT TRACKED: this recorded event is discarded"
		}
	case StageLost:
		level, text = slog.LevelError, "LOST: the request succeeded, but its event could not be stored; report it by hand"
	case StageConflict:
		level, text = slog.LevelError, "NOT TRACKED: the event id is already used with another amount or currency; each payment needs an id of its own"
	}
	return level, text, more
}

// outage counts a failure. The level is debug unless a line is due. Without news (the event failed before, and others were
// delivered since) no outage begins.
func (l *logbook) outage(level slog.Level, news bool) (slog.Level, []slog.Attr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, last := time.Now(), l.outageLogged
	if news && l.outageSince.IsZero() {
		l.outageSince, last = now, l.loggedBefore
	}
	if l.failures++; l.outageSince.IsZero() || now.Sub(last) < outageInterval {
		return slog.LevelDebug, nil
	}
	l.outageLogged, l.loggedBefore = now, l.outageLogged
	return level, []slog.Attr{slog.Duration("since", now.Sub(l.outageSince).Round(time.Second)), slog.Int("failures", l.failures)}
}

// worksAgain logs the end of an outage, if there was one and it was logged.
func (l *logbook) worksAgain(ctx context.Context, t *Tracker) {
	l.mu.Lock()
	since, failures := l.outageSince, l.failures
	silent := since.IsZero() || since.After(l.outageLogged)
	if l.outageSince = (time.Time{}); !silent {
		l.failures = 0
	}
	l.mu.Unlock()
	if silent {
		return
	}
	q, _ := t.queueStats() //nolint:contextcheck // it has a time limit of its own
	t.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "fprom: delivery works again",
		slog.Duration("after", time.Since(since).Round(time.Second)), slog.Int("failures", failures), slog.Int("waiting", q.Pending+q.Bulk))
}
