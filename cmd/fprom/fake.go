package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

const fakeAddr = "127.0.0.1:8812"

type fakeFlags struct {
	addr     string
	allLeads bool
	leads    []string
	visitors []string
	limit    int
	faults   []string
}

// arrivalJSON is a request that reached the fake.
type arrivalJSON struct {
	Time     *time.Time `json:"time"`
	Kind     string     `json:"kind"`
	EventID  string     `json:"event_id"`
	Customer string     `json:"customer"`
	Amount   int64      `json:"amount"`
	Currency string     `json:"currency"`
	Status   int        `json:"status"`
	Accepted bool       `json:"accepted"`
	Fault    string     `json:"fault"`
}

func (a *app) fake() *cobra.Command {
	var flags fakeFlags
	cmd := &cobra.Command{
		Use: "fake", Short: "Run a fake FirstPromoter, for development", Args: takes(0, 0, ""),
		Long: `Run a fake FirstPromoter (tracking and Company API) and show what reaches it. It keeps everything in memory and ends with Ctrl-C.
At its start it prints what to set in the environment of a service, or of fprom itself. It has one promoter, whose links carry ?fpr=ada.

A --fault is a kind and its conditions, separated by commas: status=500, status=429, hang, delay=2s, reset, html404, redirect, garbage;
times=3, for=1m, kind=sale (or refund, signup, cancellation, company), event=ID, chance=0.1, retry-after=30, processed (after the
event was accepted).`,
		Example: `  fprom fake --all-leads
  fprom fake --visitor visitor-1
  fprom fake --lead ann@example.com --fault status=500,times=3
  fprom fake --fault status=429,retry-after=30,for=1m -o jsonl`,
		RunE: command(func(ctx context.Context, _ []string) error { return a.runFake(ctx, flags) }),
	}
	f := cmd.Flags()
	f.StringVar(&flags.addr, "addr", fakeAddr, "address to listen on")
	f.BoolVar(&flags.allLeads, "all-leads", false, "make every customer a lead, so that every sale earns a commission")
	f.StringArrayVar(&flags.leads, "lead", nil, "e-mail address or uid of a lead; may be repeated")
	f.StringArrayVar(&flags.visitors, "visitor", nil, "value of the cookie _fprom_tid of a visitor whom a promoter brought; may be repeated")
	f.IntVar(&flags.limit, "limit", fpromtest.DefaultRateLimit, "calls a minute before the answer is 429; 0: no limit")
	f.StringArrayVar(&flags.faults, "fault", nil, "what goes wrong; may be repeated")
	a.personalFlag(cmd)
	return cmd
}

func (a *app) runFake(ctx context.Context, flags fakeFlags) error {
	if a.format == formatJSON {
		return usage("--output json: the fake has no single result; use jsonl")
	}
	if flags.limit < 0 {
		return usage("--limit %d: is negative", flags.limit)
	}
	opts := []fpromtest.Option{fpromtest.InMemory(), fpromtest.WithRateLimit(flags.limit)}
	if flags.allLeads {
		opts = append(opts, fpromtest.WithAllLeads())
	}
	s := fpromtest.Start(opts...)
	defer s.Close()
	for _, l := range flags.leads {
		s.AddLead(l)
	}
	for _, v := range flags.visitors {
		s.AddVisitor(v)
	}
	for _, spec := range flags.faults {
		f, err := readFault(spec)
		if err != nil {
			return err
		}
		s.Inject(f)
	}
	open, end := context.WithCancel(context.WithoutCancel(ctx))
	var journal sync.WaitGroup
	defer func() { // after the last answer
		end()
		journal.Wait()
	}()
	return a.serve(ctx, flags.addr, s, func(url string) {
		a.note("a fake FirstPromoter is at %s; in the service's shell:", url)
		for _, v := range [][2]string{{envURL, url + "/api/v2/track"}, {envKey, s.APIKey}, {envAccount, s.AccountID}} {
			a.note("  export %s=%s", v[0], v[1])
		}
		a.note("its promoter's links carry ?fpr=%s. Ctrl-C ends it.", fpromtest.DefaultRefID)
		journal.Go(func() { a.journal(open, s) })
	})
}

// serve runs h until ctx ends, which is no error.
func (a *app) serve(ctx context.Context, addr string, h http.Handler, ready func(url string)) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return failed("%w; choose another address with --addr", err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	ready("http://" + l.Addr().String())
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// journal shows the requests in the order of their arrival, each when it is answered, and at the end of ctx all that are left.
func (a *app) journal(ctx context.Context, s *fpromtest.Server) {
	const unanswered = 2 * time.Second // after which a request is shown without an answer
	for seen := 0; ; {
		over := s.Wait(ctx, func(s *fpromtest.Server) bool { return s.Count("", "") > seen }) != nil
		for _, r := range s.Requests()[seen:] {
			if r.Status == 0 && time.Since(r.Time) < unanswered && !over {
				break
			}
			seen++
			a.arrival(r)
		}
		if over {
			return
		}
		pause(ctx, 50*time.Millisecond)
	}
}

func (a *app) arrival(r fpromtest.Request) {
	v := arrivalJSON{
		Time: utc(r.Time), Kind: r.Kind, EventID: r.EventID, Customer: cmp.Or(r.Body.Email, r.Body.UID), Amount: r.Body.Amount, Currency: strings.ToLower(r.Body.Currency),
		Status: r.Status, Accepted: r.Accepted, Fault: r.Fault,
	}
	if v.Kind == "" {
		v.Kind = r.Method + " " + r.Path
	}
	if !a.personal {
		v.EventID, v.Customer = fprom.MaskEmail(v.EventID), fprom.MaskEmail(v.Customer)
	}
	if a.format == formatJSONL {
		_ = a.line("result", v)
		return
	}
	e := fprom.Entry{Kind: v.Kind, Amount: v.Amount, Currency: v.Currency}
	_, _ = fmt.Fprintln(a.out, clean(fmt.Sprintf("%s %d %-12s %-28s %-16s %s %s", r.Time.UTC().Format("15:04:05Z"), v.Status, v.Kind, v.EventID, v.Customer, amount(e), v.Fault)))
}
