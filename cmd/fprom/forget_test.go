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
		if r := fprom(t, e, "forget", "BOB@example.com", "--dry-run").want(t, 0); !strings.Contains(r.out, "1 dead letter at once and 0 waiting events") {
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
		if n := names("jane@example.com"); n != 1 {
			t.Errorf("%d dead letters of another customer, want 1", n)
		}
	})
}
