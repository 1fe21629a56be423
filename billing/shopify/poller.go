package shopify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/internal/safelog"
)

// Config says which transactions to report. A Config that is printed or logged does not show the token.
type Config struct {
	Organization string // the number in partners.shopify.com/<number>. Required
	AccessToken  string `json:"-"` // of a Partner API client that may view financials. Required
	AppID        string // such as gid://partners/App/1; empty: all apps of the organization
	// Outbox is the boltqueue or riverqueue of the Tracker. The first poll of Run begins where an earlier process ended, so that nothing
	// is missed. Without it the first poll goes back by Window.
	Outbox   billing.Ledger
	Window   time.Duration // how far each poll goes back before the last successful one; default 72 h
	Interval time.Duration // between two polls of Run; default 10 minutes
	Client   *http.Client  // default: a client with a time-out of 30 s. It follows no redirect
	Logger   *slog.Logger  // default slog.Default()
	BaseURL  string        // default https://partners.shopify.com
	Version  string        // of the Partner API; default 2026-01. If Shopify has removed that one, Shopify uses its oldest
}

// Format prints the Config without the token, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) {
	type printable Config // without this method
	if c.AccessToken != "" {
		c.AccessToken = "[redacted]"
	}
	_, _ = fmt.Fprintf(f, "%+v", printable(c))
}

// LogValue is what is logged, also as JSON.
func (c Config) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// Poller reads transactions from the Partner API and reports them. It is safe for concurrent use.
type Poller struct {
	config Config
	opts   []billing.Option
	t      fprom.Enqueuer
	log    *slog.Logger
	url    string
	logged sync.Map // ids of transactions that were logged: each is read many times
}

// New makes a Poller. Of the options only billing.WithCustomer and billing.WithExponents have an effect. If t is nil, transactions are
// dropped. The error says which field of the Config is missing.
func New(t fprom.Enqueuer, c Config, opts ...billing.Option) (*Poller, error) {
	switch {
	case c.Organization == "":
		return nil, &fprom.ValidationError{Field: "Organization", Reason: "is missing: it is the number in partners.shopify.com/<number>"}
	case c.AccessToken == "":
		return nil, &fprom.ValidationError{Field: "AccessToken", Reason: "is missing: make a Partner API client in the Partner Dashboard"}
	}
	if c.Window <= 0 {
		c.Window = 72 * time.Hour
	}
	if c.Interval <= 0 {
		c.Interval = 10 * time.Minute
	}
	client := http.Client{Timeout: 30 * time.Second}
	if c.Client != nil {
		client = *c.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // net/http would send the token to any host
	c.Client = &client
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.BaseURL == "" {
		c.BaseURL = "https://partners.shopify.com"
	}
	if c.Version == "" {
		c.Version = "2026-01"
	}
	return &Poller{
		config: c, opts: opts, t: t, log: safelog.New(c.Logger).With(slog.String("provider", "shopify")),
		url: c.BaseURL + "/" + c.Organization + "/api/" + c.Version + "/graphql.json",
	}, nil
}

// Format prints the address and nothing else, whatever the verb.
func (p *Poller) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "shopify.Poller("+p.url+")") }

// Run polls at once and then every Interval, until ctx ends. A poll that fails is logged; the next poll reads its transactions again. A
// poll begins Window before the last successful poll; the first one begins Window before the newest transaction in Config.Outbox, or before
// the absence that a poll of the last days has made up for, since it may have been cut off.
func (p *Poller) Run(ctx context.Context) {
	last := p.newest(ctx)
	for {
		now := time.Now()
		if err := p.Poll(ctx, last.Add(-p.config.Window)); err == nil {
			last = now
		} else if ctx.Err() == nil {
			p.log.WarnContext(ctx, "fprom: the transactions of Shopify could not be reported; they are read again at the next poll", safelog.Error(err))
		}
		if pause(ctx, p.config.Interval) != nil {
			return
		}
	}
}

// newest returns when the newest transaction in the outbox was recorded, of those up to which nothing is missing. Without an outbox or a
// transaction it returns now.
func (p *Poller) newest(ctx context.Context) time.Time {
	now := time.Now()
	newest, err := p.newestBefore(ctx, now)
	switch {
	case err != nil:
		p.log.WarnContext(ctx, "fprom: the outbox does not say where the last poll ended; transactions older than the window may be missing: call Poll with an earlier moment", safelog.Error(err))
		return now
	case newest.IsZero():
		return now
	}
	return newest
}

func (p *Poller) newestBefore(ctx context.Context, now time.Time) (newest time.Time, err error) {
	defer p.recovered(&err, "a panic of the outbox: ")
	if p.config.Outbox == nil {
		return newest, nil
	}
	var at []time.Time
	for e, err := range p.config.Outbox.Entries(ctx, fprom.Filter{}) {
		if err != nil {
			return newest, err
		}
		if strings.Contains(e.Key, transactionID) && e.RecordedAt.Before(now) {
			at = append(at, e.RecordedAt)
		}
	}
	if len(at) == 0 {
		return newest, nil
	}
	slices.SortFunc(at, time.Time.Compare)
	newest = at[len(at)-1]
	// A poll after a longer absence may have been cut off: what it has recorded says nothing of the rest.
	for i := len(at) - 1; i > 0 && newest.Sub(at[i]) <= p.config.Window; i-- {
		if at[i].Sub(at[i-1]) > p.config.Window {
			return at[i-1], nil
		}
	}
	return newest, nil
}

// recovered, deferred, makes an error of a panic of foreign code.
func (p *Poller) recovered(err *error, what string) {
	if r := recover(); r != nil {
		*err = errors.New(what + safelog.Foreign(fmt.Sprint(r), p.config.AccessToken))
	}
}

// transactionID is in the Key of every transaction: the prefix of their ids.
const transactionID = ":gid://partners/"

// Poll reports every transaction since then, the oldest first. Transactions that were reported before are recognized by their event
// ids. A transaction that cannot be read is logged and does not stop the others. The error says that Shopify or the queue failed.
func (p *Poller) Poll(ctx context.Context, since time.Time) (err error) {
	defer p.recovered(&err, "fprom: shopify: a panic in the poll: ") // of the Client, the Enqueuer or an option
	edges, err := p.transactions(ctx, since)
	if err != nil {
		return fmt.Errorf("fprom: shopify: %w", err)
	}
	for len(edges) > 0 {
		n := min(len(edges), pageSize)
		if err := p.report(ctx, edges[:n]); err != nil {
			return fmt.Errorf("fprom: shopify: %w", err)
		}
		edges = edges[n:]
	}
	return nil
}

// report enqueues the events of these transactions in one call.
func (p *Poller) report(ctx context.Context, edges []edge) error {
	body, err := json.Marshal(map[string]any{"data": map[string]any{"transactions": map[string]any{"edges": edges}}})
	if err != nil {
		return err
	}
	x := provider.ExplainContext(ctx, body, p.opts...)
	p.explain(ctx, x)
	for _, m := range x.More {
		p.explain(ctx, m)
	}
	events := x.Events()
	if len(events) == 0 || p.t == nil {
		return nil
	}
	err = p.t.Enqueue(ctx, events...)
	switch {
	case errors.Is(err, fprom.ErrNoTracker):
		return nil
	case errors.Is(err, fprom.ErrConflict): // the other events are stored
		if p.first(err.Error()) {
			p.log.ErrorContext(ctx, "fprom: a transaction is not tracked, since its id was used before with another amount or currency", safelog.Error(err))
		}
		return nil
	}
	return err
}

// first reports whether nothing was logged about a transaction yet.
func (p *Poller) first(id string) bool {
	_, before := p.logged.LoadOrStore(id, true)
	return !before
}

// explain logs, once, why a transaction is not reported.
func (p *Poller) explain(ctx context.Context, x billing.Explanation) {
	log := p.log.With(slog.String("type", x.Type), slog.String("id", x.ID))
	wrong := len(x.Tracked) == 0 && x.Skipped == "" // x.Err may be that of another transaction
	lost := x.Skipped.MayLose()
	if !wrong && !lost || !p.first(x.ID) {
		return
	}
	if wrong {
		log.ErrorContext(ctx, "fprom: a transaction of Shopify cannot be read", safelog.Error(x.Err))
	} else {
		log.WarnContext(ctx, "fprom: nothing tracked: a commission may be lost", slog.String("reason", string(x.Skipped)), slog.String("detail", x.Detail))
	}
}
