package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fprom-go/fprom/fpromtest"
)

// TestShop is how a shop tests what it reports: its own handlers, and a fake FirstPromoter to assert on.
func TestShop(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t)
	fake.AddVisitor("visitor-1")
	tracker := fpromtest.NewTracker(t, fake)
	shop := newShop(tracker, operations{http.NotFoundHandler(), http.NotFoundHandler()})
	post := func(path, cookie, body string, want int) map[string]any {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		if cookie != "" {
			r.Header.Set("Cookie", "_fprom_tid="+cookie)
		}
		w := httptest.NewRecorder()
		shop.ServeHTTP(w, r)
		got, _ := io.ReadAll(w.Body)
		if w.Code != want {
			t.Fatalf("POST %s %s: status %d, want %d: %s", path, body, w.Code, want, got)
		}
		answer := map[string]any{}
		if err := json.Unmarshal(got, &answer); err != nil {
			t.Fatalf("POST %s %s: %v: %s", path, body, err, got)
		}
		return answer
	}

	post("/signup", "visitor-1", `{"email":"jane@example.com"}`, http.StatusCreated)
	post("/signup", "", `{"email":"joe@example.com"}`, http.StatusCreated) // nobody brought Joe
	charge, _ := post("/checkout", "", `{"email":"jane@example.com","item":"shirt"}`, http.StatusOK)["charge"].(string)
	post("/checkout", "", `{"email":"joe@example.com","item":"shirt"}`, http.StatusOK)
	post("/checkout", "", `{"email":"jane@example.com","item":"shirt","card":"declined"}`, http.StatusPaymentRequired)
	post("/checkout", "", `{"email":"jane@example.com","item":"yacht"}`, http.StatusNotFound)
	post("/checkout", "", `{"email":"jane","item":"shirt"}`, http.StatusBadRequest)
	post("/checkout", "", `{"email":`, http.StatusBadRequest)
	post("/refund", "", `{"charge":"`+charge+`"}`, http.StatusOK)
	post("/refund", "", `{"charge":"`+charge+`"}`, http.StatusNotFound)

	if err := tracker.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := [...]int{fake.Count("signup", ""), fake.Count("sale", ""), fake.Count("refund", "")}; got != [...]int{1, 2, 1} {
		t.Errorf("calls for sign-ups, sales, refunds: %v, want 1, 2, 1", got)
	}
	got := fake.Commissions()
	if len(got) != 2 {
		t.Fatalf("%d commissions, want that of Jane's sale and that of her refund: %+v", len(got), got)
	}
	if got[0].EventID != charge || got[0].SaleAmount != 2500 || got[1].SaleAmount != -2500 {
		t.Errorf("commissions %+v, want the price before tax of charge %s, and it back", got, charge)
	}
}
