// Command gin is the program of the README, with Gin.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/ginadapter"
)

func main() {
	tracker, err := fprom.New(fprom.Config{}) // reads $FIRSTPROMOTER_API_KEY and $FIRSTPROMOTER_ACCOUNT_ID
	if err != nil {
		log.Fatal(err)
	}
	engine := gin.Default()
	engine.Use(ginadapter.Middleware(tracker))
	engine.POST("/checkout", checkout)
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: engine, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	<-stopped.Done()
	stop() // a second Ctrl-C ends the process at once
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := errors.Join(server.Shutdown(ctx), tracker.Shutdown(ctx)); err != nil { // first the handlers, which record sales
		log.Print(err) // it names the events that are left; a durable queue keeps them
	}
}

func checkout(c *gin.Context) {
	// Charge the card here. If it is declined, answer with an error status: then nothing is reported.
	sale := fprom.Sale{
		EventID: c.PostForm("payment"), // in your shop the provider's id of this payment (not of the customer or the subscription), never a value from a form
		Email:   c.PostForm("email"),
		Amount:  4900, Currency: "USD", // $49.00: cents, before tax
	}
	if err := ginadapter.Record(c, sale); err != nil {
		log.Printf("payment %q is not reported: %v", sale.EventID, err) // the customer has paid: that is no reason to fail
	}
	c.String(http.StatusOK, "Thank you!\n")
}
