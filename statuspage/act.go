package statuspage

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
	"github.com/fprom-go/fprom/internal/verdict"
)

const actTimeout = 30 * time.Second

// act redrives or drops the dead letters that a form names. It then redirects to the page, so that a reload repeats nothing.
func (p *page) act(w http.ResponseWriter, r *http.Request) {
	if err := p.cross.Check(r); err != nil {
		http.Error(w, "this request comes from another site and is refused; if it comes from this page, a proxy before it changes the header Host, which it must keep", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	o, end, err := p.outbox()
	if err != nil {
		http.Error(w, "not done: "+safelog.Text(err), http.StatusInternalServerError)
		return
	}
	defer end()
	if o == nil {
		http.Error(w, "the queue in memory keeps no dead letters", http.StatusConflict)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actTimeout)
	defer cancel()
	done, n, err := do(ctx, o, r.PostForm)
	p.forget(done == "redriven" && n > 0)
	switch {
	case done == "":
		http.Error(w, "the form does not say redrive or drop, or no dead letter", http.StatusBadRequest)
	case err != nil:
		http.Error(w, verdict.Plural(n, "dead letter is", "dead letters are")+" known to be "+done+", then it failed: "+safelog.Text(err), http.StatusInternalServerError)
	default:
		w.Header().Set("Location", "?"+done+"="+strconv.Itoa(n))
		w.WriteHeader(http.StatusSeeOther)
	}
}

// do returns what was done, and to how many dead letters. done is "" if the form is not valid.
func do(ctx context.Context, o fprom.Outbox, form url.Values) (done string, n int, err error) {
	f := fprom.Filter{State: fprom.StateDead, Keys: form["key"], Kind: form.Get("kind")} // the key of a sale may be the event id of a refund
	switch what, all := form.Get("do"), form.Get("all") != ""; {
	case len(f.Keys) == 0 && !all || len(f.Keys) > 0 && all:
		return "", 0, nil
	case what == "redrive":
		n, err = o.Redrive(ctx, f)
		return "redriven", n, err
	case what == "drop" && !all: // only the command line drops all: it asks first
		n, err = o.Drop(ctx, f)
		return "dropped", n, err
	default:
		return "", 0, nil
	}
}

// notice says what was done before the redirect.
func notice(q url.Values) string {
	if n, err := strconv.Atoi(q.Get("redriven")); err == nil && n >= 0 {
		if n == 0 {
			return "0 dead letters were put back: a damaged or erased one can only be dropped; others were sent or dropped meanwhile."
		}
		return verdict.Plural(n, "dead letter was", "dead letters were") + " put back and will be sent again."
	}
	if n, err := strconv.Atoi(q.Get("dropped")); err == nil && n >= 0 {
		return verdict.Plural(n, "dead letter was", "dead letters were") + " dropped."
	}
	return ""
}
