package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/internal/verdict"
)

// withBackfillOutbox opens the outbox for f, which gets nil in a dry run without one. Only --deliver creates a missing file: no service
// would deliver from a wrong path.
func (a *app) withBackfillOutbox(ctx context.Context, flags backfillFlags, f func(fprom.Outbox) error) error {
	where, err := a.location()
	_, serr := os.Stat(where)
	missing := err != nil || errors.Is(serr, fs.ErrNotExist) && !strings.Contains(where, "://")
	switch {
	case err == nil && missing && hasSocket(where):
		return inWords(where, fileProblem(where))
	case missing && flags.dry:
		return f(nil)
	case err != nil:
		return err
	case !missing && flags.deliver:
		return a.withOutbox(ctx, f, boltqueue.WithoutCreate())
	case !missing:
		return a.withOutbox(ctx, f)
	case !flags.deliver || shown(where) != where: // an address makes no file
		return failed("outbox %s: there is no such file: check the path and $%s. The service makes it when it starts; where no service is to deliver the rows, --deliver makes it and delivers them here", shown(where), envOutbox)
	}
	if _, err := a.companyClient(firstpromoter.Config{}); err != nil { // before the file is made
		return err
	}
	box, err := boltqueue.OpenOrDial(where, boltqueue.WithLogger(a.logger()))
	if err != nil {
		return inWords(where, err)
	}
	return errors.Join(f(box), box.Close())
}

// deliverer delivers an outbox in this process while no other process does.
type deliverer struct {
	a       *app
	box     fprom.Outbox
	rate    int
	wanted  bool
	tracker *fprom.Tracker // nil: another process delivers, or it is not wanted
}

// deliverer starts the delivery that --deliver asks for, unless another process delivers.
func (a *app) deliverer(ctx context.Context, box fprom.Outbox, flags backfillFlags) (*deliverer, error) {
	d := &deliverer{a: a, box: box, rate: flags.rate, wanted: flags.deliver && !flags.dry}
	err := d.begin(ctx)
	if err == nil && d.wanted && d.tracker == nil {
		a.note("a service delivers this outbox: --deliver is not needed while it does")
	}
	return d, err
}

// begin starts the delivery if it is wanted and no process delivers. A database takes a killed process for alive for a quarter of
// a minute: so followBulk calls begin again.
func (d *deliverer) begin(ctx context.Context) error {
	if !d.wanted || d.tracker != nil {
		return nil
	}
	s, err := d.box.Stats(ctx)
	if err != nil || s.Delivering {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	// Run with an ended ctx delivers nothing. It only says whether this process may deliver.
	switch err := d.box.Run(ended, 1, nil); {
	case errors.Is(err, boltqueue.ErrServed) && !d.a.idle(ctx, d.box):
		return nil
	case errors.Is(err, boltqueue.ErrServed):
		return failed("another process has the outbox open and does not deliver it (another fprom?): end it, or start the service")
	}
	d.tracker, err = fprom.New(fprom.Config{Queue: d.box, RequestsPerMinute: d.rate, Logger: d.a.logger()})
	if err != nil {
		return credentialsError(err)
	}
	return nil
}

// refused returns an error while FirstPromoter refuses the credentials.
func (d *deliverer) refused() error {
	if s := d.tracker.Stats(); verdict.Refused(s.PausedUntil, s.PauseReason) {
		return fprom.ErrUnauthorized
	}
	return nil
}

// end stops the delivery. Events that are not sent stay in the outbox.
func (d *deliverer) end(ctx context.Context) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := d.tracker.Shutdown(limited); err != nil {
		d.a.note("%v", err)
	}
}

// settingNames replaces the library's name of a setting by the operator's.
var settingNames = strings.NewReplacer("Config.APIKey", "$"+envKey, "Config.AccountID", "$"+envAccount, "Config.BaseURL", "$"+envURL)

// credentialsError explains an error of New: a setting is missing or wrong.
func credentialsError(err error) error {
	if os.Getenv(envKey) == "" || os.Getenv(envAccount) == "" {
		err = fmt.Errorf("the credentials are missing: set $%s and $%s to what %s shows", envKey, envAccount, keysPage)
	}
	if wrong, ok := errors.AsType[*fprom.ValidationError](err); ok {
		err = errors.New(settingNames.Replace(wrong.Error()))
	}
	return usage("%w; fprom doctor checks all settings", err)
}
