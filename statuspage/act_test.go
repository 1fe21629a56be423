package statuspage_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/statuspage"
)

func three() *outboxtest.Outbox {
	return &outboxtest.Outbox{
		Status: fprom.QueueStats{Delivering: true},
		Events: []fprom.Entry{
			outboxtest.Event("a", fprom.StateDead, fprom.Rejected, time.Minute),
			outboxtest.Event("b", fprom.StateDead, fprom.Rejected, time.Minute),
			outboxtest.Event("c", fprom.StateDead, fprom.Rejected, time.Minute),
		},
	}
}

func TestRedriveAndDrop(t *testing.T) {
	t.Parallel()
	one, all := url.Values{"key": {"sale:a"}}, url.Values{"all": {"1"}}
	for _, tt := range []struct {
		name, do, site string
		form           url.Values
		readOnly       bool
		want           int
		dead, waiting  int
		notice         string
	}{
		{"redrive one", "redrive", "same-origin", one, false, 303, 2, 1, "1 dead letter was put back"},
		{"redrive all", "redrive", "same-origin", all, false, 303, 0, 3, "3 dead letters were put back"},
		{"drop one", "drop", "same-origin", one, false, 303, 2, 0, "1 dead letter was dropped"},
		{"from curl", "drop", "", one, false, 303, 2, 0, "1 dead letter was dropped"},
		{"unknown key", "redrive", "same-origin", url.Values{"key": {"sale:x"}}, false, 303, 3, 0, "0 dead letters were put back: a damaged or erased one can only be dropped; others were sent or dropped meanwhile."},
		{"drop all", "drop", "same-origin", all, false, 400, 3, 0, ""},
		{"one and all", "redrive", "same-origin", url.Values{"key": {"sale:a"}, "all": {"1"}}, false, 400, 3, 0, ""},
		{"too large", "redrive", "same-origin", url.Values{"key": {"sale:a"}, "more": {strings.Repeat("x", 64<<10)}}, false, 400, 3, 0, ""},
		{"nothing", "redrive", "same-origin", nil, false, 400, 3, 0, ""},
		{"something else", "refund", "same-origin", one, false, 400, 3, 0, ""},
		{"other site", "drop", "cross-site", one, false, 403, 3, 0, ""},
		{"sister site", "drop", "same-site", one, false, 403, 3, 0, ""},
		{"read-only", "drop", "same-origin", one, true, 405, 3, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := three()
			h := handler(t, nil, statuspage.Options{Public: true, Writable: !tt.readOnly, Outbox: o})
			form := url.Values{"do": {tt.do}}
			maps.Copy(form, tt.form)
			r := httptest.NewRequest(http.MethodPost, "/fprom/", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if tt.site != "" {
				r.Header.Set("Sec-Fetch-Site", tt.site)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			q, _ := o.Stats(t.Context())
			if w.Code != tt.want || q.Dead != tt.dead || q.Pending != tt.waiting {
				t.Errorf("status %d, want %d; %d dead, want %d; %d wait, want %d", w.Code, tt.want, q.Dead, tt.dead, q.Pending, tt.waiting)
			}
			if w.Code == http.StatusForbidden && !strings.Contains(w.Body.String(), "a proxy before it changes the header Host") {
				t.Errorf("says %q", w.Body) // over plain HTTP a proxy that changes Host looks like another site
			}
			if w.Code != http.StatusSeeOther {
				return
			}
			to := w.Header().Get("Location")
			if page := get(t, h, "/fprom/"+to); !strings.HasPrefix(to, "?") || !strings.Contains(page.Body.String(), tt.notice) {
				t.Errorf("redirected to %q, whose page does not say %q", to, tt.notice)
			}
		})
	}
}

// TestFormOfOneDeadLetter: the key of a sale may be the event id of a refund, which its form leaves alone.
func TestFormOfOneDeadLetter(t *testing.T) {
	t.Parallel()
	o := three()
	o.Events[1].Key, o.Events[1].Kind = "refund:sale:a", fprom.KindRefund
	h := handler(t, nil, statuspage.Options{Public: true, Writable: true, Outbox: o})
	_, form, _ := strings.Cut(get(t, h, "/").Body.String(), `aria-label="sale:a">`)
	form, _, _ = strings.Cut(form, "</form>")
	fields := url.Values{"do": {"drop"}}
	for _, input := range regexp.MustCompile(`name="(\w+)" value="([^"]*)">`).FindAllStringSubmatch(form, -1) {
		if input[1] != "do" {
			fields.Add(input[1], input[2])
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if q, _ := o.Stats(t.Context()); w.Code != http.StatusSeeOther || q.Dead != 2 || o.Events[0].Kind != fprom.KindRefund {
		t.Errorf("status %d of the form %v: %+v", w.Code, fields, o.Events)
	}
}

// TestRedriveThatFails: what was redriven before the error is not said to be not done.
func TestRedriveThatFails(t *testing.T) {
	t.Parallel()
	o := three()
	o.Err = errors.New("the service is closing")
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("do=redrive&all=1"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	handler(t, nil, statuspage.Options{Public: true, Writable: true, Outbox: o}).ServeHTTP(w, r)
	if want := "3 dead letters are known to be redriven, then it failed: the service is closing\n"; w.Code != http.StatusInternalServerError || w.Body.String() != want {
		t.Errorf("status %d: %q, want 500: %q", w.Code, w.Body, want)
	}
}

func TestReadOnlyPageHasNoForms(t *testing.T) {
	t.Parallel()
	if w := get(t, handler(t, nil, statuspage.Options{Public: true, Outbox: three()}), "/"); strings.Contains(w.Body.String(), "<form") || strings.Contains(w.Body.String(), "no sale: below") || !strings.Contains(w.Body.String(), "sale:a") {
		t.Error("the page has a form or speaks of one, or has not the dead letters")
	}
	if w := get(t, handler(t, nil, statuspage.Options{Public: true, Writable: true, Outbox: three()}), "/"); !strings.Contains(w.Body.String(), "<form") || !strings.Contains(w.Body.String(), "no sale: below") {
		t.Error("the page that may redrive has no form, or does not speak of it")
	}
}

// TestRedrivenIsNotLate: the event that was just put back is old, and that is no alarm until it has had its time.
func TestRedrivenIsNotLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &outboxtest.Outbox{Status: fprom.QueueStats{Delivering: true}, Events: []fprom.Entry{outboxtest.Event("a", fprom.StateDead, fprom.Rejected, 5*time.Hour)}}
		h := handler(t, nil, statuspage.Options{Public: true, Writable: true, Outbox: o})
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("do=redrive&all=1"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		h.ServeHTTP(httptest.NewRecorder(), r)
		if body := get(t, h, "/").Body.String(); !strings.Contains(body, "All is well. 1 event waits to be sent.") {
			t.Error("the page alarms at once")
		}
		time.Sleep(3 * time.Minute)
		if body := get(t, h, "/").Body.String(); !strings.Contains(body, "The oldest event has waited for 5 h 3 min.") {
			t.Error("the page does not alarm after three minutes")
		}
	})
}
