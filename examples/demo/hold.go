package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/fprom-go/fprom/fpromtest"
)

// holdPage starts the shop again with one sale that FirstPromoter refuses, and keeps its status page open until ctx ends.
func (d *demo) holdPage(ctx context.Context) error {
	if err := d.startShop(context.WithoutCancel(ctx)); err != nil { // it is stopped below
		return err
	}
	o := order{ID: "order-6", Email: "kim@example.com", Price: 4200}
	d.fake.Inject(fpromtest.Status(http.StatusBadRequest).Times(1))
	err := errors.Join(d.expect(ctx, http.StatusOK, "/checkout", o, visitor), d.awaitAnswer(ctx, "sale", o.ID, http.StatusBadRequest))
	if err == nil {
		fmt.Fprintf(d.out, "\nThe shop is open again, and FirstPromoter refused one sale. Its status page, where you can redrive it:\n\n  %s/fprom/\n\nCtrl-C ends.\n", d.url())
		<-ctx.Done()
	}
	d.transport.CloseIdleConnections()
	return errors.Join(err, d.takeShop().stop())
}

func (d *demo) url() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shop.url
}
