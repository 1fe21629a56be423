// Command nethttp is the program of the README.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/nethttpadapter"
)

func main() {
	tracker, err := fprom.New(fprom.Config{}) // reads $FIRSTPROMOTER_API_KEY and $FIRSTPROMOTER_ACCOUNT_ID
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /checkout", checkout)
	handler := nethttpadapter.Middleware(tracker)(http.DefaultServeMux)
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
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

func checkout(w http.ResponseWriter, r *http.Request) {
	// Charge the card here. If it is declined, answer with an error status: then nothing is reported.
	err := fprom.Record(r.Context(), fprom.Sale{
		EventID: r.FormValue("payment"), // in your shop the provider's id of this payment (not of the customer or the subscription), never a value from a form
		Email:   r.FormValue("email"),
		Amount:  4900, Currency: "USD", // $49.00: cents, before tax
	})
	if err != nil {
		log.Printf("payment %q is not reported: %v", r.FormValue("payment"), err) // the customer has paid: that is no reason to fail
	}
	fmt.Fprintln(w, "Thank you!")
}
