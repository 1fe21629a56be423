package main_test

import (
	"strings"
	"testing"

	root "github.com/fprom-go/fprom"
)

// forget erases a person from the dead letters at once, and from what waits at the outcome. It needs a confirmation.
func TestForget(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		_, e := filled(t, p)
		names := func(customer string) (n int) {
			for _, err := range p.open(t).Entries(t.Context(), root.Filter{Customer: customer, State: root.StateDead}) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			return n
		}
		if r := fprom(t, e, "forget", " BOB@example.com\r", "--dry-run").want(t, 0); !strings.Contains(r.out, "1 dead letter at once and 0 waiting events") {
			t.Error(r)
		}
		if r := fprom(t, e, "forget", "bob@example.com").want(t, 2); !strings.Contains(r.err, "--yes") {
			t.Errorf("no confirmation was asked for: %s", r)
		}
		var v struct {
			Forgotten, Dead, Waiting int
			DryRun                   bool `json:"dry_run"`
		}
		fprom(t, e, "forget", "bob@example.com", "--yes", "-o", "json").want(t, 0).object(t, &v)
		if v.Forgotten != 1 || v.Dead != 1 || v.Waiting != 0 || v.DryRun {
			t.Errorf("%+v", v)
		}
		if r := fprom(t, e, "forget", "kim@example.com", "--yes").want(t, 0); !strings.Contains(r.out, "2 waiting events will be erased") {
			t.Error(r)
		}
		if r := fprom(t, e, "forget", "bob@example.com", "--yes").want(t, 0); !strings.Contains(r.out, "no event of the outbox names this customer") {
			t.Error(r)
		}
		// The outbox knows an event by its address, if it has one, and by its uid as it is.
		box := p.open(t)
		for _, e := range []root.Event{root.Sale{EventID: "both", Email: "ida@example.com", UID: "ida", Amount: 1}, root.Cancellation{UID: "ned"}} {
			m, err := root.NewMessage(e)
			if err != nil {
				t.Fatal(err)
			}
			if err := box.Put(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		if err := box.Close(); err != nil {
			t.Fatal(err)
		}
		if r := fprom(t, e, "forget", "ida", "--yes").want(t, 0); !strings.Contains(r.out, "the address") || strings.Contains(r.out, "or the uid that the events") {
			t.Error(r)
		}
		if r := fprom(t, e, "forget", " ned", "--yes").want(t, 0); !strings.Contains(r.out, "no event") {
			t.Errorf("another customer was erased: %s", r)
		}
		if r := fprom(t, e, "forget", "ned", "--yes", "-o", "jsonl").want(t, 0); !strings.Contains(r.out, `"type":"result"`) || !strings.Contains(r.out, `"waiting":1`) {
			t.Error(r)
		}
		fprom(t, e, "forget", "", "--yes").want(t, 2) // in a Filter nobody means everybody
		if n := names("jane@example.com"); n != 1 {
			t.Errorf("%d dead letters of another customer, want 1", n)
		}
	})
}
