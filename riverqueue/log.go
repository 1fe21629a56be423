package riverqueue

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
)

// reminder is the time between two lines about one outage.
const reminder = time.Minute

// outage logs failures of the database, or of River: the first one, then one a minute, and the end of all.
type outage struct {
	log   *slog.Logger
	text  string // what a line says
	mu    sync.Mutex
	fails map[string]bool // what could not be done; empty: have a connection, which whatever can be done disproves
	since time.Time       // of the first failure of an outage
	said  time.Time       // time of the last line
}

// note takes what could not be done, which the caller tries again, or, with the error nil, what could.
func (o *outage) note(what string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if len(o.fails) == 0 {
		o.since = now
	}
	switch {
	case err == nil:
		delete(o.fails, "")
		delete(o.fails, what)
		if len(o.fails) == 0 && !o.said.Before(o.since) {
			o.log.Info("fprom: riverqueue: the database works again", "after", now.Sub(o.since).Round(time.Millisecond))
		}
		return
	case disconnected(err):
		o.fails[""] = true
	default:
		o.fails[what] = true
	}
	if now.Sub(o.said) >= reminder {
		o.said = now
		o.log.Warn("fprom: riverqueue: "+o.text, slog.String("what", what), safelog.Error(err))
	}
}

// Write takes a line of River's log for a failure: only warnings come here.
func (o *outage) Write(line []byte) (int, error) {
	_, text, _ := strings.Cut(strings.TrimSpace(string(line)), " msg=") // without time and level
	o.note("River", errors.New(text))
	return len(line), nil
}
