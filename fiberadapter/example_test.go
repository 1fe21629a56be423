package fiberadapter_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/gofiber/fiber/v3"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fiberadapter"
	"github.com/fprom-go/fprom/fpromtest"
)

// firstPromoter is a fake; in production the Config is fprom.Config{} with the credentials in the environment.
var firstPromoter = fpromtest.Start(fpromtest.InMemory(), fpromtest.WithAllLeads())

func checkout(c fiber.Ctx) error {
	if c.FormValue("card") == "declined" {
		return fiber.NewError(fiber.StatusPaymentRequired, "declined")
	}
	// Here the card was charged.
	sale := fprom.Sale{EventID: "ch_1", Email: "ann@example.com", Amount: 4900, Currency: "USD"} // $49.00
	if err := fiberadapter.Record(c, sale); err != nil {
		slog.Error("payment is not reported", "payment", sale.EventID, "error", err) // the customer has paid: that is no reason to fail
	}
	return c.SendString("Thank you!")
}

func Example() {
	tracker, err := fprom.New(firstPromoter.Config())
	if err != nil {
		log.Fatal(err)
	}
	app := fiber.New()
	app.Use(fiberadapter.Middleware(tracker))
	app.Post("/checkout", checkout)

	// A customer buys.
	answer, err := app.Test(httptest.NewRequest(http.MethodPost, "/checkout", http.NoBody), fiber.TestConfig{}) // without a time limit
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(body))

	// At the end, what is queued is delivered.
	if err := tracker.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(firstPromoter.Commissions()), "commission")
	// Output:
	// Thank you!
	// 1 commission
}
