package fprom

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// repeatEvery is how often a trouble that lasts is in the log.
const repeatEvery = time.Minute

// logbook decides which steps are worth a line in the log: the first delivery of the process, and of an outage its begin,
// a line a minute and its end.
type logbook struct {
	mu       sync.Mutex
	arrived  bool      // a delivery was in the log
	referral bool      // so was what "not a referral" means
	since    time.Time // begin of the trouble; zero if there is none
	said     time.Time // the last line about it
	failures int       // in it
}

// levels are what is logged of a step, where nothing else is said in step.
var levels = map[Stage]struct {
	level slog.Level
	text  string
}{
	StageEnqueued:  {slog.LevelDebug, "enqueued"},
	StageDelivered: {slog.LevelDebug, "delivered"},
	StageRetry:     {slog.LevelDebug, "not delivered; tried again later"},
	StagePaused:    {slog.LevelDebug, "all delivery is paused; what is queued is kept"},
	StageDead:      {slog.LevelError, "the event is given up; it is a dead letter: list it with the tool's \"fprom dead list\", and send it again with \"fprom dead redrive\""},
	StageDiscarded: {slog.LevelDebug, "the handler failed: what it recorded is not sent"},
	StageLost:      {slog.LevelError, "LOST: the request succeeded, but its event could not be stored; report it by hand"},
	StageConflict:  {slog.LevelError, "NOT TRACKED: the event id is already used with another amount; each payment needs an id of its own"},
}

func (l *logbook) step(ctx context.Context, t *Tracker, s Step) {
	level, text := levels[s.Stage].level, levels[s.Stage].text
	var more []slog.Attr
	switch s.Stage { //nolint:exhaustive // the others are logged as in levels
	case StageDelivered:
		l.worksAgain(ctx, t)
		level, text = l.delivered(s)
	case StageDead:
		l.worksAgain(ctx, t)
		if _, volatile := t.queue.(UndeliveredLister); volatile {
			text = "the event is given up; the queue in memory does not keep it: report it by hand, or use a durable queue (boltqueue)"
		}
	case StageRetry:
		switch v := s.verdict; {
		case v.class == classAskAgain:
			text = "no such referral yet; asked again later"
		case v.class == classSuspected: // which is about the account only if others are refused too: then it pauses
			if text = "FirstPromoter refused this event; it is kept and tried again later"; v.news && !v.alone {
				level = slog.LevelWarn
			}
		case v.alone && v.news:
			level, text = slog.LevelWarn, "this event fails while others are delivered; it is kept, and tried again less and less often"
		case !v.alone:
			level, more = l.trouble(slog.LevelWarn, v.news)
			text = "delivery fails; the events are kept and tried again"
		}
	case StagePaused:
		level, more = l.trouble(slog.LevelError, true)
	case StageDiscarded:
		if s.Err != nil {
			level, text = slog.LevelWarn, "NOT TRACKED: the client saw a success, but what the handler recorded is discarded"
		}
	}
	l.write(ctx, t, level, text, s, more)
}

// delivered is how a delivery is logged: the first one, and the first that is no referral, are for people who look
// whether their installation works.
func (l *logbook) delivered(s Step) (slog.Level, string) {
	if s.verdict.warn != "" {
		return slog.LevelWarn, s.verdict.warn
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case s.Result.Outcome == NotReferral && !l.referral:
		l.referral = true
		return slog.LevelInfo, "delivered: not a referral. That is normal for a customer whom no promoter brought; further ones are logged at debug level"
	case s.Result.Outcome == Tracked && !l.arrived:
		l.arrived = true
		return slog.LevelInfo, "delivered the first event of this process; further ones are logged at debug level"
	}
	return slog.LevelDebug, "delivered"
}

// trouble counts a failure. Its level is debug unless a line is due. An event that failed before begins no trouble: since
// then others were delivered.
func (l *logbook) trouble(level slog.Level, news bool) (slog.Level, []slog.Attr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.since.IsZero() && !news {
		return slog.LevelDebug, nil
	}
	l.failures++
	if l.since.IsZero() {
		l.since, l.said = now, now
		return level, nil
	}
	if now.Sub(l.said) < repeatEvery {
		return slog.LevelDebug, nil
	}
	l.said = now
	return level, []slog.Attr{slog.Duration("since", now.Sub(l.since).Round(time.Second)), slog.Int("failures", l.failures)}
}

// worksAgain says that the trouble is over.
func (l *logbook) worksAgain(ctx context.Context, t *Tracker) {
	l.mu.Lock()
	since, failures := l.since, l.failures
	l.since, l.failures = time.Time{}, 0
	l.mu.Unlock()
	if since.IsZero() {
		return
	}
	waiting := 0
	if q, err := t.queueStats(); err == nil { //nolint:contextcheck // it has a time of its own
		waiting = q.Pending + q.Bulk
	}
	t.log.LogAttrs(ctx, slog.LevelInfo, "fprom: delivery works again",
		slog.Duration("after", time.Since(since).Round(time.Second)), slog.Int("failures", failures), slog.Int("waiting", waiting))
}

func (*logbook) write(ctx context.Context, t *Tracker, level slog.Level, text string, s Step, more []slog.Attr) {
	if !t.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("event", s.Message.name())}
	if s.Result.Outcome != "" {
		attrs = append(attrs, slog.String("outcome", string(s.Result.Outcome)), slog.Int("status", s.Result.StatusCode))
	}
	if s.Message.Attempt > 0 {
		attrs = append(attrs, slog.Int("attempt", s.Message.Attempt))
	}
	if s.Err != nil {
		attrs = append(attrs, slog.String("error", withoutName(s.Err.Error(), s.Message)))
	}
	t.log.LogAttrs(ctx, level, "fprom: "+text, append(attrs, more...)...)
}

// withoutName is the text of an error without the name of its event, which stands beside it.
func withoutName(text string, m Message) string {
	text = strings.TrimPrefix(text, "fprom: ")
	return strings.TrimPrefix(strings.TrimPrefix(text, m.name()), ": ")
}
