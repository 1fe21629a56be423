package statuspage

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
)

// status is status.json.
type status struct {
	fprom.QueueStats

	State    string       `json:"state"` // "ok", "warn" or "fail", as on the page
	Problems []problem    `json:"problems"`
	Ready    bool         `json:"ready"`             // as readyz
	Why      string       `json:"why,omitempty"`     // why not ready
	Service  *fprom.Stats `json:"service,omitempty"` // of the Tracker in this process, if there is one
	At       time.Time    `json:"at"`

	Comparison *comparisonJSON `json:"comparison,omitempty"` // see Options.Compared
}

func (p *page) serveStatus(w http.ResponseWriter, r *http.Request) {
	s := p.look(r.Context())
	problems := p.problems(s)
	out := status{QueueStats: s.queue, State: worst(problems), Problems: problems, Ready: true, Service: s.service, At: s.at.UTC(), Comparison: s.compare.json()}
	if out.Problems == nil {
		out.Problems = []problem{}
	}
	if err := s.ready(p.OldestAge); err != nil {
		out.Ready, out.Why = false, safelog.Text(err)
	}
	body, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		http.Error(w, "the status cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // the client has gone
}

// serveReady shows the reason only to those who may see the page.
func (p *page) serveReady(w http.ResponseWriter, r *http.Request, seen bool) {
	switch err := p.look(r.Context()).ready(p.OldestAge); {
	case err == nil:
		plain(w, http.StatusOK, "ok")
	case seen:
		plain(w, http.StatusServiceUnavailable, "not ready: "+safelog.Text(err))
	default:
		plain(w, http.StatusServiceUnavailable, "not ready")
	}
}
