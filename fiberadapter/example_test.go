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
	"github.com/gofiber/fiber/v3/middleware/adaptor"

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

// For visitors who block FirstPromoter's script: CaptureReferral and AttributionFrom are for net/http, and Fiber's adaptor
// brings them to Fiber.
func Example_captureReferral() {
	fake := fpromtest.Start(fpromtest.InMemory())
	tracker, err := fprom.New(fake.Config())
	if err != nil {
		log.Fatal(err)
	}
	app := fiber.New()
	app.Use(adaptor.HTTPMiddleware(func(next http.Handler) http.Handler { return fprom.CaptureReferral(next) }))
	app.Use(fiberadapter.Middleware(tracker, fprom.WithRefIDCookie()))
	app.Get("/", func(c fiber.Ctx) error { return c.SendString("Hello!") })
	app.Post("/signup", func(c fiber.Ctx) error {
		r, err := adaptor.ConvertRequest(c, false) // in a handler, for fprom.AttributionFrom(r)
		if err != nil {
			return err
		}
		if a := fprom.AttributionFrom(r); a.TID != "" || a.RefID != "" {
			if err := fiberadapter.Record(c, fprom.Signup{Email: c.FormValue("email")}); err != nil {
				slog.Error("sign-up is not reported", "error", err)
			}
		}
		return c.SendString("Welcome!")
	})

	// A visitor follows a promoter's link, and signs up.
	visit, err := app.Test(httptest.NewRequest(http.MethodGet, "/?fpr="+fpromtest.DefaultRefID, http.NoBody), fiber.TestConfig{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(visit.Header.Get("Set-Cookie"))
	signup := httptest.NewRequest(http.MethodPost, "/signup?email=ann@example.com", http.NoBody)
	signup.AddCookie(visit.Cookies()[0])
	if _, err := app.Test(signup, fiber.TestConfig{}); err != nil {
		log.Fatal(err)
	}
	if err := tracker.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	for _, r := range fake.Requests() {
		fmt.Println(r.Kind, r.Status)
	}
	// Output:
	// _fprom_ref=ada; Path=/; Max-Age=5184000; SameSite=Lax
	// signup 200
}
