package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/internal/safelog"
	"github.com/fprom-go/fprom/riverqueue"
)

// outbox checks the outbox, and opens it if it is sound. The caller must call the function after use.
func (d *doctor) outbox(ctx context.Context) (fprom.Outbox, func() error) {
	where, err := d.a.location()
	if err != nil {
		d.warn("outbox", "set $"+envOutbox+" to its file or address; with the default queue in memory there is none, and a restart loses what waits", "no outbox is named")
		return nil, nil
	}
	box, end, fix, problem := d.sound(ctx, where)
	if problem != "" {
		d.fail("outbox", exitAttention, fix, "%s: %s", shown(where), problem)
		return nil, nil
	}
	d.ok("outbox", "%s can be opened", shown(where))
	if !isDatabase(where) {
		d.place(where)
	}
	return box, end
}

// sound opens the outbox if nothing is wrong with it.
func (d *doctor) sound(ctx context.Context, where string) (box fprom.Outbox, end func() error, fix, problem string) {
	if isDatabase(where) {
		fix, problem = outboxProblem(d.askDatabase(ctx, where))
	} else {
		fix, problem = fileProblem(where)
	}
	if problem != "" {
		return nil, nil, fix, problem
	}
	box, end, err := d.a.open(ctx, where)
	if err == nil {
		if _, err = box.Stats(ctx); err != nil {
			err = errors.Join(err, end())
		}
	}
	fix, problem = outboxProblem(err)
	return box, end, fix, problem
}

// place warns of what may go wrong where the file is.
func (d *doctor) place(where string) {
	if info, err := os.Stat(where); err == nil && info.Mode().Perm()&0o077 != 0 {
		d.warn("outbox", "chmod 600 "+where, "%s: other users can open it (mode %v), and it has customers' addresses", where, info.Mode().Perm())
	}
	if free, ok := freeSpace(where); ok && free < 64<<20 {
		d.warn("outbox", "free some space: when the disk is full, checkouts that must be stored fail", "%s: only %d MiB of the disk are free", where, free>>20)
	}
}

// outboxProblem says in a line what is wrong, and what to do.
func outboxProblem(err error) (fix, problem string) {
	if fix, problem = knownProblem(err); problem == "" && err != nil {
		fix, problem = "look at the reason; docs/operations.md says more", plain(err)
	}
	return fix, problem
}

const runAgain = "run the command again"

// The problems of a database for which exitCode has an exit status of its own.
const (
	databaseRefuses = "PostgreSQL refuses the user or the password"
	databaseAway    = "PostgreSQL cannot be reached"
)

// restarting reports whether err is that of an outbox whose service or database may be restarting.
func restarting(err error) bool {
	fix, problem := knownProblem(err)
	return fix == runAgain || problem == databaseAway
}

// knownProblem is outboxProblem for known errors of an outbox, else empty.
func knownProblem(err error) (fix, problem string) {
	socket, isSocket := errors.AsType[*url.Error](err)
	pg, isPg := errors.AsType[*pgconn.PgError](err)
	_, noConnection := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case errors.Is(err, boltqueue.ErrForeign):
		return "name the outbox's file: this one is something else, and was not changed", "is no outbox of fprom"
	case errors.Is(err, boltqueue.ErrOldFormat):
		return "let the older release deliver what waits, then start with a new file", "was written by an older release, whose format this one does not read"
	case errors.Is(err, boltqueue.ErrNewerFormat):
		return "use the fprom of the service's release, or a newer one", "was written by a newer release"
	case errors.Is(err, boltqueue.ErrDamaged):
		return "keep a copy, then restore a backup or start with a new file; fprom reconcile --sales finds what is missing", "is damaged"
	case errors.Is(err, boltqueue.ErrLocked):
		return "start the service without boltqueue.WithoutSocket, let this user open the socket (FILE.sock), or stop the service meanwhile", "another process has the file open and does not answer on the socket beside it"
	case errors.Is(err, syscall.EROFS):
		return "mount the volume writable (Kubernetes: readOnly, Docker: :ro)", "read-only file system"
	case errors.Is(err, fs.ErrPermission):
		return "run it as the user of the service, and let that user write the file and its folder", "permission denied"
	case errors.Is(err, riverqueue.ErrSchema):
		return "call riverqueue's Queue.Migrate when the service starts; check ?schema=", "the tables are missing or of another version"
	case errors.Is(err, errReplica):
		return "name the primary server in the address", errReplica.Error()
	case errors.Is(err, errNoRights), isPg && pg.Code == "42501":
		return "grant the user of the address what the service's user may do", "PostgreSQL: permission denied"
	case isPg && strings.HasPrefix(pg.Code, "28"):
		return "check user and password in the address", databaseRefuses
	case isPg && pg.Code == "3D000":
		return "check the database's name in the address", "PostgreSQL has no such database"
	case noConnection:
		return "check host and port in the address, and that PostgreSQL runs and lets this machine in", databaseAway
	case isSocket && strings.HasPrefix(socket.URL, "http://outbox/"):
		return runAgain, "the service that has it open ended, or does not answer"
	case errors.Is(err, io.ErrUnexpectedEOF), isPg && strings.HasPrefix(pg.Code, "57P"):
		return runAgain, "the connection to it ended"
	default:
		return "", ""
	}
}

// How old the oldest event may be. An hour is normal for a customer whom FirstPromoter does not know yet.
const (
	oldWarn = 2 * time.Hour
	oldFail = 6 * time.Hour
)

// backlog checks what is in the outbox.
func (d *doctor) backlog(ctx context.Context, box fprom.Outbox) {
	s, err := box.Stats(ctx)
	if err != nil {
		d.fail("delivery", exitAttention, "run fprom doctor again", "the outbox gives no figures: %s", plain(err))
		return
	}
	d.delivery(s)
	if s.Dead > 0 {
		d.warn("dead_letters", "fprom dead list shows the reasons; then fprom dead redrive or drop", "%s, which FirstPromoter refused for good", count(s.Dead, "dead letter"))
	} else {
		d.ok("dead_letters", "none")
	}
	if s.Conflicts > 0 {
		d.warn("conflicts", "give each payment an event id of its own: the invoice's or the charge's, not the subscription's", "%s", conflicts(s))
	} else {
		d.ok("conflicts", "none")
	}
}

func (d *doctor) delivery(s fprom.QueueStats) {
	waiting := s.Pending + s.Bulk
	age := time.Duration(0)
	if !s.Oldest.IsZero() {
		age = time.Since(s.Oldest)
	}
	late := func(limit time.Duration) bool { // events of a bulk load wait for hours: then the last success counts
		return age > limit && (s.Bulk == 0 || time.Since(s.LastSuccess) > limit)
	}
	switch {
	case !s.PausedUntil.IsZero() && s.PausedUntil.After(time.Now()):
		d.fail("delivery", exitAttention, "the reason says what to mend; nothing is lost meanwhile", "delivery is paused until %s: %s", stamp(s.PausedUntil), safelog.WithoutName(s.PauseReason))
	case s.Breaker == "open":
		d.warn("delivery", "FirstPromoter fails again and again: delivery goes on by itself when it answers", "the circuit breaker is open; %s", events(waiting))
	case !s.Delivering && s.PauseReason != "":
		d.fail("delivery", exitAttention, "the reason says what to mend; nothing is lost meanwhile", "%s", safelog.WithoutName(s.PauseReason))
	case !s.Delivering && waiting > 0:
		d.fail("delivery", exitAttention, "start the service that delivers from this outbox", "nobody delivers, and %s, the oldest for %s", events(waiting), span(age))
	case !s.Delivering:
		d.warn("delivery", "normal while the service is stopped; else check that it uses this outbox", "nobody delivers from this outbox now")
	case late(oldFail):
		d.fail("delivery", exitAttention, "fprom events --state waiting --limit 5 shows why the oldest waits", "the oldest of %d waits for %s", waiting, span(age))
	case late(oldWarn):
		d.warn("delivery", "fprom events --state waiting --limit 5 shows why the oldest waits", "the oldest of %d waits for %s", waiting, span(age))
	default:
		d.ok("delivery", "a service delivers; %s", events(waiting))
	}
}

func events(n int) string {
	if n == 1 {
		return "1 event waits"
	}
	return fmt.Sprintf("%d events wait", n)
}

// others checks whether recent commissions are ours: a second integration pays every sale twice.
func (d *doctor) others(ctx context.Context, box fprom.Outbox) {
	const days, most = 2, 100
	limited, cancel := context.WithTimeout(ctx, d.timeout) // the client waits for the end of a 429
	defer cancel()
	client, err := firstpromoter.New(firstpromoter.Config{Timeout: d.timeout, Attempts: 1})
	var ids []string
	if err == nil {
		since := time.Now().UTC().AddDate(0, 0, -days)
		for c, e := range client.Commissions(limited, firstpromoter.CommissionQuery{From: since, To: time.Now().UTC().AddDate(0, 0, 1), NewestFirst: true}) {
			if err = e; err != nil || len(ids) == most {
				break
			}
			if c.EventID != "" {
				ids = append(ids, c.EventID)
			}
		}
	}
	var known []fprom.Entry
	if err == nil && len(ids) > 0 {
		known, err = entries(box.Entries(ctx, fprom.Filter{Keys: ids}))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s", d.timeout)
	}
	if err != nil {
		d.warn("others", "run fprom doctor again; fprom reconcile compares all", "not checked: recent commissions could not be read: %s", plain(err))
		return
	}
	foreign := unseen(ids, known)
	looked := count(len(ids), "commission")
	if len(ids) == most {
		looked = "the newest " + looked
	}
	switch {
	case len(ids) == 0:
		d.ok("others", "no commission of the last %d days names an event id", days)
	case len(foreign) == 0:
		d.ok("others", "%s in the last %d days, all of sales in this outbox", looked, days)
	default:
		d.warn("others", "if Stripe, Paddle, Chargebee or another is connected inside FirstPromoter, disconnect it there or stop reporting its payments here: each earns two commissions; fprom reconcile lists them",
			"%d of %s in the last %d days are of event ids that this outbox does not know, such as %s", len(foreign), looked, days, foreign[0])
	}
}
