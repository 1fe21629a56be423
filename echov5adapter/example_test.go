package echov5adapter_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/echov5adapter"
	"github.com/fprom-go/fprom/fpromtest"
)

// firstPromoter is a fake; in production the Config is fprom.Config{} with the credentials in the environment.
var firstPromoter = fpromtest.Start(fpromtest.InMemory(), fpromtest.WithAllLeads())

func checkout(c *echo.Context) error {
	if c.FormValue("card") == "declined" {
		return echo.NewHTTPError(http.StatusPaymentRequired, "declined")
	}
	// Here the card was charged.
	sale := fprom.Sale{EventID: "ch_1", Email: "ann@example.com", Amount: 4900, Currency: "USD"} // $49.00
	if err := echov5adapter.Record(c, sale); err != nil {
		slog.Error("payment is not reported", "payment", sale.EventID, "error", err) // the customer has paid: that is no reason to fail
	}
	return c.String(http.StatusOK, "Thank you!\n")
}

func Example() {
	tracker, err := fprom.New(firstPromoter.Config())
	if err != nil {
		log.Fatal(err)
	}
	e := echo.New()
	e.Use(echov5adapter.Middleware(tracker))
	e.POST("/checkout", checkout)

	// A customer buys.
	answer := httptest.NewRecorder()
	e.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/checkout", http.NoBody))
	fmt.Print(answer.Body)

	// At the end, what is queued is delivered.
	if err := tracker.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(firstPromoter.Commissions()), "commission")
	// Output:
	// Thank you!
	// 1 commission
}
