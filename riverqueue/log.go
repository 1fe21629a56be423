package riverqueue

import (
	"cmp"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
)

// reminder is the time between two lines about one outage.
const reminder = time.Minute

// outage logs failures of the database, or of River: the first one, then one a minute, and the end.
type outage struct {
	log   *slog.Logger
	text  string // what a line says
	mu    sync.Mutex
	since time.Time // zero: the database works
	said  time.Time // time of the last line
}

// failed notes that something could not be done. The caller tries again.
func (o *outage) failed(what string, err any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.since = cmp.Or(o.since, now)
	if now.Sub(o.said) >= reminder {
		o.said = now
		o.log.Warn("fprom: riverqueue: "+o.text, slog.String("what", what), safelog.Error(err))
	}
}

// over notes that the database works.
func (o *outage) over() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() && !o.said.Before(o.since) {
		o.log.Info("fprom: riverqueue: the database works again", "after", time.Since(o.since).Round(time.Millisecond))
	}
	o.since = time.Time{}
}

// Write takes a line of River's log for a failure: only warnings come here.
func (o *outage) Write(line []byte) (int, error) {
	_, text, _ := strings.Cut(strings.TrimSpace(string(line)), " msg=") // without time and level
	o.failed("River", text)
	return len(line), nil
}
