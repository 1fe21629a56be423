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
	tracker, err := fprom.New(fprom.Config{}) // $FIRSTPROMOTER_API_KEY, $FIRSTPROMOTER_ACCOUNT_ID
	if errors.Is(err, fprom.ErrNoCredentials) {
		log.Print("nothing is reported: ", err) // as in development: tracker is nil, and drops everything
	} else if err != nil {
		log.Fatal(err)
	}
	engine := gin.Default()
	engine.Use(ginadapter.Middleware(tracker))
	engine.POST("/checkout", checkout)
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: engine, ReadHeaderTimeout: 5 * time.Second}

	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go func() { log.Print(server.ListenAndServe()); stop() }()
	<-stopped.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := errors.Join(server.Shutdown(ctx), tracker.Shutdown(ctx)); err != nil {
		log.Fatal(err)
	}
}

func checkout(c *gin.Context) {
	// Charge the card here.
	sale := fprom.Sale{EventID: c.PostForm("payment"), Email: c.PostForm("email"), Amount: 4900, Currency: "USD"}
	if err := ginadapter.Record(c, sale); err != nil {
		log.Print("sale not reported: ", err) // the customer has paid: that is no reason to fail
	}
	c.String(http.StatusOK, "Thank you!\n")
}
