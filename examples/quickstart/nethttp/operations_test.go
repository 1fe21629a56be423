package main

import (
	"context"
	"io"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/reconcile"
	"github.com/fprom-go/fprom/statuspage"
)

// The pieces of the documents for operators: it is enough that they compile.

func statusPage(tracker *fprom.Tracker, mux *http.ServeMux, engine *gin.Engine, isAdmin func(*http.Request) bool) error {
	page, err := statuspage.Handler(tracker, statuspage.Options{Auth: isAdmin, Writable: true})
	mux.Handle("/fprom/", page)                 // net/http
	engine.Any("/fprom/*path", gin.WrapH(page)) // Gin
	return err
}

type shared interface {
	Admit(ctx context.Context, perMinute int) error
}

func comparison(ctx context.Context, mux *http.ServeMux, tracker *fprom.Tracker, outbox fprom.Outbox, queue shared, isAdmin func(*http.Request) bool) error {
	client, err := firstpromoter.New(firstpromoter.Config{ // the same environment as the tracker's
		Admit: func(ctx context.Context) error { return queue.Admit(ctx, 400) }, // riverqueue: one limit for all replicas and this
	})
	if err != nil {
		return err
	}
	nightly := &reconcile.Nightly{Client: client, Outbox: outbox}
	go nightly.Run(ctx)
	page, err := statuspage.Handler(tracker, statuspage.Options{
		Auth: isAdmin,
		Compared: func() statuspage.Comparison {
			last := nightly.Last()
			return statuspage.Comparison{
				At: last.At, Err: last.Err, Days: len(last.Report.Days), Missing: len(last.Report.Missing), Do: last.Report.Advice(),
			}
		},
	})
	mux.Handle("/fprom/", page)
	return err
}

func decisions(mux *http.ServeMux, nightly *reconcile.Nightly) error {
	changes, err := firstpromoter.OpenChanges("changes.jsonl")
	if err != nil {
		return err
	}
	handler, err := firstpromoter.WebhookHandler(firstpromoter.WebhookOptions{
		Header: "X-Fprom-Secret", Value: os.Getenv("FIRSTPROMOTER_WEBHOOK_SECRET"), Changes: changes,
	})
	mux.Handle("POST /webhooks/firstpromoter", handler)
	nightly.Decided = changes.Status // before nightly.Run: a deleted commission is then no missing one
	return err
}

func pastSales(ctx context.Context, file io.Reader, outbox fprom.Outbox, show func(backfill.Outcomes)) error {
	result, err := backfill.Run(ctx, file, backfill.Options{
		Format: backfill.Format{Amount: backfill.Minor}, Outbox: outbox, RejectsPath: "rejects.csv",
	})
	if err != nil {
		return err
	}
	outcomes, err := backfill.Wait(ctx, outbox, result.Since, nil)
	show(outcomes)
	return err
}

var _ = []any{statusPage, comparison, decisions, pastSales}
