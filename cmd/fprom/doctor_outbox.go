package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
)

// outbox checks the outbox, and opens it if it is sound. The caller must call the function after use.
func (d *doctor) outbox(ctx context.Context) (fprom.Outbox, func() error) {
	where, err := d.a.location()
	if err != nil {
		d.warn("outbox", "set $"+envOutbox+" to its file or address; with the default queue in memory there is none, and a restart loses what waits", "no outbox is named")
		return nil, nil
	}
	d.a.warned = func(text string) {
		d.warn("outbox", "run it as the user of the service, and let that user write the directory of the file", "%s", text)
	}
	var box fprom.Outbox
	var end func() error
	if isDatabase(where) {
		err = d.askDatabase(ctx, where)
	}
	if err == nil {
		box, end, err = d.a.openSound(ctx, where)
	}
	if err != nil {
		p := problemOf(err)
		if p == nil {
			p = &problem{what: plain(err), do: "look at the reason; docs/operations.md says more"}
		}
		d.fail("outbox", p.exit, p.do, "%s: %s", shown(where), p.what)
		return nil, nil
	}
	d.ok("outbox", "%s can be opened", shown(where))
	if !isDatabase(where) {
		d.place(where)
	}
	return box, end
}

// place warns of what may go wrong where the file is.
func (d *doctor) place(where string) {
	modes := runtime.GOOS != "windows" // where a mode says nothing of other users
	if info, err := os.Stat(where); modes && err == nil && info.Mode().Perm()&0o077 != 0 {
		d.warn("outbox", "chmod 600 "+where, "%s: other users can open it (mode %v), and it has customers' addresses", where, info.Mode().Perm())
	}
	if info, err := os.Stat(filepath.Dir(where)); modes && err == nil && info.Mode().Perm()&0o002 != 0 {
		d.warn("outbox", "move it to a directory that only the service's user can write", "%s: other users can write the directory (mode %v), and put a socket of theirs in the place of the outbox's, which gets what other processes store", where, info.Mode())
	}
	if free, ok := freeSpace(where); ok && free < 64<<20 {
		d.warn("outbox", "free some space: when the disk is full, checkouts that must be stored fail", "%s: only %d MiB of the disk are free", where, free>>20)
	}
}

// backlog checks what is in the outbox. It returns its figures.
func (d *doctor) backlog(ctx context.Context, box fprom.Outbox) fprom.QueueStats {
	s, err := box.Stats(ctx)
	level, what, do := "", "", ""
	if err == nil {
		level, what, do, err = delivery(ctx, box, s)
	}
	if err != nil {
		d.fail("delivery", exitAttention, "run fprom doctor again", "the outbox gives no figures: %s", plain(err))
		return s
	}
	d.add(checkJSON{"delivery", level, what, strings.ReplaceAll(do, "`", "")})
	if s.Dead > 0 {
		d.warn("dead_letters", "fprom dead list shows the reasons; then fprom dead redrive or drop", "%s, which FirstPromoter rejected, or which failed for a day", count(s.Dead, "dead letter"))
	} else {
		d.ok("dead_letters", "none")
	}
	if s.Conflicts > 0 {
		d.warn("conflicts", "give each payment an event id of its own: the invoice's or the charge's, not the subscription's", "%s", conflicts(s))
	} else {
		d.ok("conflicts", "none")
	}
	return s
}

// referrals checks whether any event is of a referral: an installation that reports no sign-up, and loses the cookie on the way to
// the checkout, looks well, and so does one whose handlers record nothing (any more, if the ledger in s has events).
func (d *doctor) referrals(ctx context.Context, box fprom.Outbox, s fprom.QueueStats) {
	const name, days, enough = "referrals", 30, 20
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	now := time.Now()
	history, err := box.History(ctx, now.AddDate(0, 0, -days), now, 24*time.Hour)
	if err != nil {
		d.warn(name, "run fprom doctor again", "not checked: the history could not be read: %s", plain(err))
		return
	}
	good, none := 0, 0
	for _, b := range history {
		good += b.Tracked + b.Duplicate
		none += b.NotReferral
	}
	found := fmt.Sprintf("%s arrived in the last %d days, %d of a referral", count(good+none, "event"), days, good)
	switch {
	case good == 0 && none >= enough:
		d.warn(name, "if a promoter has brought a customer: is each sign-up reported (fprom.Signup), or does the cookie _fprom_tid reach the checkout? fprom why EMAIL says it for one customer", "%s", found)
	case good+none == 0 && s.Ledger > 0:
		d.warn(name, "if the shop has sold: look for refused webhooks in the service's log and in the provider's dashboard; do its handlers still call fprom.Record, inside the middleware, and does it use this outbox?",
			"no event arrived in the last %d days, but some did before", days)
	case good+none == 0:
		d.ok(name, "no event arrived in the last %d days: if the shop has sold, its handlers do not call fprom.Record, or use another outbox", days)
	default:
		d.ok(name, "%s", found)
	}
}

// others checks whether recent commissions are ours: a second integration pays every sale twice.
func (d *doctor) others(ctx context.Context, box fprom.Outbox) {
	const days, most = 2, 100
	limited, cancel := context.WithTimeout(ctx, d.timeout) // the client waits for the end of a 429
	defer cancel()
	client, err := firstpromoter.New(firstpromoter.Config{Timeout: d.timeout, Attempts: 1})
	var ids []string
	var oldest []fprom.Entry
	since, period, of := time.Now().UTC().AddDate(0, 0, -days), fmt.Sprintf("in the last %d days", days), "in this outbox"
	if err == nil {
		oldest, err = entries(box.Entries(ctx, fprom.Filter{Limit: 1}))
	}
	if len(oldest) > 0 && oldest[0].RecordedAt.After(since) { // what was sent before came from another queue
		since, period, of = oldest[0].RecordedAt.Truncate(time.Second), "since this outbox's first event", "in it"
	}
	if err == nil {
		for c, e := range client.Commissions(limited, firstpromoter.CommissionQuery{From: since, To: time.Now().UTC().AddDate(0, 0, 1), NewestFirst: true}) {
			if err = e; err != nil || len(ids) == most || c.Created.Before(since) { // all that follow are older
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
		d.ok("others", "no commission %s names an event id", period)
	case len(foreign) == 0:
		d.ok("others", "%s %s, all of sales %s", looked, period, of)
	default:
		d.warn("others", "if Stripe, Paddle, Chargebee or another is connected inside FirstPromoter, disconnect it there or stop reporting its payments here: each earns two commissions; fprom reconcile lists them",
			"%d of %s %s are of event ids that this outbox does not know, such as %s", len(foreign), looked, period, foreign[0])
	}
}
