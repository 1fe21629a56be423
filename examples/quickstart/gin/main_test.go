package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/ginadapter"
)

func TestCheckout(t *testing.T) {
	fake := fpromtest.NewServer(t)
	fake.AddLead("ann@example.com")
	tracker := fpromtest.NewTracker(t, fake)
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	engine.Use(ginadapter.Middleware(tracker))
	engine.POST("/checkout", checkout)

	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/checkout", strings.NewReader("payment=ch_1&email=ann@example.com"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	engine.ServeHTTP(w, r)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a sale with an unknown TID is tried for an hour
	defer cancel()
	if err := tracker.Flush(ctx); err != nil || w.Code != http.StatusOK {
		t.Fatal(w.Code, err)
	}
	if got := fake.Commissions(); len(got) != 1 || got[0].SaleAmount != 4900 {
		t.Errorf("commissions: %+v", got)
	}
}
