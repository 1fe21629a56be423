package main_test

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	root "github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		_, e := filled(t, p)
		calls := regexp.MustCompile(`last minute +6 calls\n`) // riverqueue counts them without a service too: TestCallsOfTheLastMinute
		text := fprom(t, e, "status").want(t, 0)
		text.out = calls.ReplaceAllString(text.out, "")
		text.golden(t, "status.txt")
		object := fprom(t, e, "status", "-o", "json").want(t, 0)
		object.out = strings.Replace(object.out, `"last_minute": 6`, `"last_minute": null`, 1)
		object.golden(t, "status.json")
	})
}

// Who paused the queue in River learns that this is why nothing is delivered, and is not told to start a service that runs.
func TestPausedInRiver(t *testing.T) {
	t.Parallel()
	p := inDatabase(t)
	fake, e, stop := sold(t, p, sale("ch_1", "jane@example.com", 1999, "USD"))
	stop()
	execIn(t, p, `UPDATE $s.river_queue SET paused_at = now()`)
	put(t, p, nil, sale("ch_2", "jane@example.com", 1999, "USD"))
	serve(t, p, fake)
	for _, command := range []string{"status", "doctor"} {
		if r := fprom(t, e, command); !strings.Contains(r.out, "paused in River") || strings.Contains(r.out, "tart the service") {
			t.Errorf("%s", r)
		}
	}
}

// A pause of the account that all replicas share outlives them, and a pause in River: neither is hidden by it.
func TestNobodyDeliversInAPause(t *testing.T) {
	t.Parallel()
	p := inDatabase(t)
	put(t, p, nil, sale("ch_1", "jane@example.com", 1999, "USD"))
	box := p.open(t)
	if err := box.(root.Limiter).Pause(t.Context(), 10*time.Minute, errors.New("sale:ch_1: 429 Too Many Requests")); err != nil {
		t.Fatal(err)
	}
	if err := box.Close(); err != nil {
		t.Fatal(err)
	}
	e := account(fpromtest.NewServer(t)).with(env{"FPROM_OUTBOX": p.where})
	fprom(t, e, "doctor", "-o", "json").want(t, 3).names(t, "delivery", `No process delivers\. 1 event waits.*Start the service`)
	execIn(t, p, `INSERT INTO $s.river_queue (name, created_at, updated_at, paused_at) VALUES ('fprom', now(), now(), now())`)
	fprom(t, e, "doctor", "-o", "json").want(t, 3).names(t, "delivery", `Nothing is delivered: the queue fprom is paused in River.*Mend what the reason names`)
}

// An event id that the service itself knows with another amount is shown, although the outbox never got the second event.
func TestConflictsOfTheService(t *testing.T) {
	t.Parallel()
	p := inFile(t)
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	tracker, stop := serve(t, p, fake)
	enqueue(t, tracker, sale("ch_1", "jane@example.com", 1999, "USD"))
	flush(t, tracker)
	if err := tracker.Enqueue(t.Context(), sale("ch_1", "jane@example.com", 1500, "USD")); !errors.Is(err, root.ErrConflict) {
		t.Fatal(err)
	}
	e := account(fake).with(env{"FPROM_OUTBOX": p.where})
	if r := fprom(t, e, "status").want(t, 0); !regexp.MustCompile(`conflicts     1 event not tracked: .*NOT TRACKED.*fprom doctor`).MatchString(r.out) {
		t.Error(r)
	}
	fprom(t, e, "doctor", "-o", "json").want(t, 0).names(t, "conflicts", `1 event not tracked.*invoice's`)
	stop()
	if r := fprom(t, e, "status").want(t, 0); !strings.Contains(r.out, "conflicts     0\n") { // the file has none
		t.Error(r)
	}
}

// execIn runs a statement in the schema of a place in a database.
func execIn(t *testing.T, p place, sql string) {
	t.Helper()
	u, err := url.Parse(p.where)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	schema := query.Get("schema")
	query.Del("schema")
	u.RawQuery = query.Encode()
	c, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(t.Context())) }()
	if _, err := c.Exec(t.Context(), strings.ReplaceAll(sql, "$s", schema)); err != nil {
		t.Fatal(err)
	}
}

// While a service sends, the calls of the last minute are what it made, or are left out: never 0.
func TestCallsOfTheLastMinute(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		_, e, _ := sold(t, p, sale("ch_1", "jane@example.com", 1999, "USD"))
		if r := fprom(t, e, "status").want(t, 0); strings.Contains(r.out, "last minute") && !strings.Contains(r.out, "last minute   1 call\n") {
			t.Error(r)
		}
		if r := fprom(t, e, "status", "-o", "json").want(t, 0); !strings.Contains(r.out, `"last_minute": 1`) && !strings.Contains(r.out, `"last_minute": null`) {
			t.Error(r)
		}
	})
}
