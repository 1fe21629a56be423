package statuspage

import (
	"bytes"
	"context"
	_ "embed"
	"html/template"
	"net/http"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/currency"
	"github.com/fprom-go/fprom/internal/safelog"
	"github.com/fprom-go/fprom/internal/verdict"
)

const deadShown = 15

var (
	//go:embed page.html
	pageHTML string
	//go:embed style.css
	styleCSS string
	//go:embed script.js
	scriptJS string

	pageTemplate = template.Must(template.New("page").Parse(pageHTML))
)

// icons are dots in the colours of the levels.
var icons = map[string]template.URL{
	verdict.OK:   icon("1a7f4b"),
	verdict.Warn: icon("b7791f"),
	verdict.Fail: icon("c53030"),
}

func icon(colour string) template.URL {
	return template.URL("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='%23" + colour + "'/%3E%3C/svg%3E") //nolint:gosec // made of constants
}

// view is the data of page.html.
type view struct {
	Nonce           string
	Style           template.CSS
	Script          template.JS
	Icon            template.URL
	Name            string
	Level, Headline string
	At, Notice      string
	Problems        []problem
	Tiles           []tile
	Durable         bool
	Writable        bool

	Outcomes, Minute chart
	Backlog          chart
	Limit            string
	Totals           *fprom.Stats // nil with an Outbox
	Dead             []row
	DeadCount        int
	DeadAll          string
	DeadNext         string
	Recent           []row
	Large            bool
}

// tile is one figure.
type tile struct{ Label, Value, Note, Level string }

// row is one event.
type row struct {
	Key, Kind, Money, Customer, Ago, At string
	State, Class, Reason                string
}

func (p *page) servePage(w http.ResponseWriter, r *http.Request) {
	s := p.look(r.Context())
	problems := p.problems(s)
	level := worst(problems)
	v := view{
		Nonce: policy(w.Header()),
		Style: template.CSS(styleCSS), Script: template.JS(scriptJS), //nolint:gosec // embedded files
		Icon: icons[level], Name: p.Name, Level: level, Headline: headline(s, level), Problems: problems,
		At: s.at.UTC().Format("2006-01-02 15:04:05"), Notice: notice(r.URL.Query()),
		Tiles: p.tiles(s), Durable: s.durable, Writable: p.Writable,
		Backlog: backlog(s.backlog), Limit: verdict.Grouped(p.RequestsPerMinute), DeadCount: s.queue.Dead, DeadAll: count(s.queue.Dead, "dead letter"),
	}
	if s.durable {
		v.Outcomes, v.Minute = outcomes(newest(s.day, int(day/barLength))), use(newest(s.hour, 60), p.RequestsPerMinute)
		v.Dead, v.DeadNext = p.dead(r.Context(), s, r.URL.Query().Get("dead"))
		for _, e := range s.recent {
			v.Recent = append(v.Recent, newRow(e, s.at))
		}
		v.Large = s.large
	} else {
		v.Totals = s.service
	}
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, v); err != nil {
		http.Error(w, "the page cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes()) // the client has gone
}

// dead returns the dead letters after a cursor, oldest first, and the cursor of the next page or "".
func (p *page) dead(ctx context.Context, s snapshot, after string) (rows []row, next string) {
	found := s.dead
	if after != "" {
		o, end, err := p.outbox()
		if err != nil {
			return nil, ""
		}
		defer end()
		ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
		defer cancel()
		found = readDead(ctx, o, after)
	}
	for _, e := range found[:min(len(found), deadShown)] {
		rows = append(rows, newRow(e, s.at))
	}
	if len(found) > deadShown {
		next = found[deadShown-1].Cursor
	}
	return rows, next
}

// readDead reads the dead letters after a cursor: one more than are shown, if there is one.
func readDead(ctx context.Context, o fprom.Outbox, after string) (found []fprom.Entry) {
	for e, err := range o.Entries(ctx, fprom.Filter{State: fprom.StateDead, Limit: deadShown + 1, After: after}) {
		if err != nil {
			break // problems reports an outbox that cannot be read; an old cursor shows nothing
		}
		found = append(found, e)
	}
	return found
}

func newRow(e fprom.Entry, now time.Time) row {
	r := row{
		Key: e.Key, Kind: e.Kind, Customer: e.Customer,
		State: string(e.Outcome), Class: "n", Reason: safelog.Shorten(safelog.Reason(e.Reason, e.Key), 240),
	}
	at := e.RecordedAt
	if !e.SettledAt.IsZero() {
		at = e.SettledAt
	}
	r.At, r.Ago = at.UTC().Format("2006-01-02 15:04:05")+" UTC", verdict.Age(now.Sub(at))+" ago"
	if e.Amount != 0 {
		r.Money = currency.Format(e.Amount, e.Currency)
	}
	switch {
	case e.Damaged:
		r.State, r.Class = "cannot be read", "d"
	case e.State == fprom.StateDead:
		r.State, r.Class = "dead letter", "d"
	case e.State == fprom.StateWaiting:
		r.State, r.Class = "waiting", "w"
		if d := e.NextAttempt.Sub(now); d > 0 {
			r.State = "again in " + verdict.Age(d)
		}
	case e.Outcome == fprom.Tracked:
		r.Class = "t"
	case e.Outcome == fprom.NotReferral:
		r.State = "not a referral"
	case e.Outcome == fprom.Duplicate:
		r.Class = "u"
	}
	return r
}
