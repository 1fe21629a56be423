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
	tracker, err := fprom.New(fprom.Config{}) // $FIRSTPROMOTER_API_KEY, $FIRSTPROMOTER_ACCOUNT_ID
	if errors.Is(err, fprom.ErrNoCredentials) {
		log.Print("nothing is reported: ", err) // as in development: tracker is nil, and drops everything
	} else if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /signup", signup)
	mux.HandleFunc("POST /checkout", checkout)
	handler := nethttpadapter.Middleware(tracker)(mux)
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}

	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go func() { log.Print(server.ListenAndServe()); stop() }()
	<-stopped.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	// First the handlers end, which record sales. Then what they recorded is delivered.
	if err := errors.Join(server.Shutdown(ctx), tracker.Shutdown(ctx)); err != nil {
		log.Fatal(err)
	}
}

func checkout(w http.ResponseWriter, r *http.Request) {
	// Charge the card here. If it is declined, answer with an error status: then nothing is reported.
	sale := fprom.Sale{
		EventID:  r.FormValue("payment"), // the id of this payment: never of the customer or the subscription
		Email:    r.FormValue("email"),   // as in the sign-up
		Amount:   4900,                   // $49.00: cents, before tax
		Currency: "USD",
	}
	if err := fprom.Record(r.Context(), sale); err != nil {
		log.Print("sale not reported: ", err) // the customer has paid: that is no reason to fail
	}
	fmt.Fprintln(w, "Thank you!")
}

func signup(w http.ResponseWriter, r *http.Request) {
	// Create the account here.
	if fprom.AttributionFrom(r).TID != "" { // a promoter brought this visitor: the cookie says so
		customer := fprom.Signup{Email: r.FormValue("email")} // the middleware fills in the TID
		if err := fprom.Record(r.Context(), customer); err != nil {
			log.Print("sign-up not reported: ", err)
		}
	}
	fmt.Fprintln(w, "Welcome!")
}
