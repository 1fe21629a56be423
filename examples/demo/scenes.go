package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
)

// scene is one part of the demo. check is called after all scenes.
type scene struct {
	name, expected string
	play           func(ctx context.Context) error
	check          func() (happened string, ok bool)
}

const visitor = "visitor-1" // the cookie of a visitor whom a promoter brought

func (d *demo) scenes() []scene {
	d.fake.AddVisitor(visitor)
	return []scene{
		d.referralSale(),
		d.ordinarySale(),
		d.webhookTwice(),
		d.badWebhooks(),
		d.crashScene(),
		d.declinedScene(),
		d.throttledScene(),
		d.outageScene(),
		d.burstScene(),
		d.killScene(),
		d.refundScene(),
		d.closing(),
	}
}

// janes is the order that is paid in the first scene and refunded in the last.
var janes = order{ID: "order-1", Email: "jane@example.com", Price: 4900, Tax: 980}

func (d *demo) referralSale() scene {
	d.sold = append(d.sold, janes.ID)
	return scene{
		"referral sale", "1 commission, 20% before tax",
		func(ctx context.Context) error {
			d.say("Jane, whom promoter %q brought, pays %s, of which %s is tax", fpromtest.DefaultRefID, dollars(janes.Price+janes.Tax), dollars(janes.Tax))
			return errors.Join(d.expect(ctx, http.StatusOK, "/checkout", janes, visitor), d.await(ctx, "sale", janes.ID))
		},
		func() (string, bool) {
			t := d.tally("sale", janes.ID)
			return fmt.Sprintf("%d commission, %s", t.once, dollars(t.earned)), t.eachOnce() && t.earned == janes.Price/5
		},
	}
}

func (d *demo) ordinarySale() scene {
	o := order{ID: "order-2", Email: "joe@example.com", Price: 4900}
	return scene{
		"sale without a promoter", "asked, no commission",
		func(ctx context.Context) error {
			d.say("Joe, whom nobody brought, buys; it is FirstPromoter that knows this, so it is asked")
			return errors.Join(
				d.expect(ctx, http.StatusOK, "/checkout", o, ""),
				d.awaitAnswer(ctx, "sale", o.ID, http.StatusNotFound),
			)
		},
		func() (string, bool) {
			t := d.tally("sale", o.ID)
			return fmt.Sprintf("%d call, %d commissions", t.calls, t.once+t.doubled), t.missing == 1
		},
	}
}

func (d *demo) webhookTwice() scene {
	d.sold = append(d.sold, webhookPayment)
	return scene{
		"webhook delivered twice", "1 commission, 20% before tax",
		func(ctx context.Context) error {
			for range 2 {
				status, err := d.deliver(ctx, secret, time.Now())
				d.say("Stripe delivers checkout.session.completed over $121.00, of which $21.00 is tax: %d", status)
				if err != nil || status != http.StatusOK {
					return errors.Join(err, fmt.Errorf("the webhook was answered with %d", status))
				}
			}
			return d.await(ctx, "sale", webhookPayment)
		},
		func() (string, bool) {
			t := d.tally("sale", webhookPayment)
			return fmt.Sprintf("%d commission, %s", t.once, dollars(t.earned)), t.eachOnce() && t.earned == 2000
		},
	}
}

func (d *demo) badWebhooks() scene {
	var forged, stale int
	return scene{
		"forged and stale webhook", "400 and 400",
		func(ctx context.Context) (err error) {
			if forged, err = d.deliver(ctx, "whsec_guessed", time.Now()); err != nil {
				return err
			}
			d.say("somebody who does not know the secret signs a webhook: %d", forged)
			stale, err = d.deliver(ctx, secret, time.Now().Add(-time.Hour))
			d.say("somebody replays one of an hour ago: %d", stale)
			return err
		},
		func() (string, bool) {
			return fmt.Sprintf("%d and %d", forged, stale), forged == http.StatusBadRequest && stale == http.StatusBadRequest
		},
	}
}

func (d *demo) crashScene() scene {
	o := order{ID: "order-3", Email: "max@example.com", Price: 1000, Card: "crash"}
	return scene{
		"handler that panics", "nothing is sent",
		func(ctx context.Context) error {
			if status, err := d.send(ctx, "/checkout", o, visitor); err == nil {
				return fmt.Errorf("the shop answered %d, and should have panicked", status)
			}
			d.say("the handler records a sale and panics; the shop lives on")
			return nil
		},
		d.nothingSent(o),
	}
}

func (d *demo) declinedScene() scene {
	o := order{ID: "order-4", Email: "max@example.com", Price: 1000, Card: "declined"}
	return scene{
		"card declined", "nothing is sent",
		func(ctx context.Context) error {
			d.say("the shop answers 402")
			return d.expect(ctx, http.StatusPaymentRequired, "/checkout", o, visitor)
		},
		d.nothingSent(o),
	}
}

func (d *demo) nothingSent(o order) func() (string, bool) {
	return func() (string, bool) {
		n := d.fake.Count("sale", o.ID)
		return fmt.Sprintf("%d calls", n), n == 0
	}
}

func (d *demo) throttledScene() scene {
	o := order{ID: "order-5", Email: "eve@example.com", Price: 3000}
	d.sold = append(d.sold, o.ID)
	return scene{
		"429 with Retry-After: 1", "again after 1 s, 1 commission",
		func(ctx context.Context) error {
			d.say("another program used up the account's limit: FirstPromoter answers 429 to the next sale")
			d.fake.Inject(fpromtest.Status(http.StatusTooManyRequests).RetryAfter("1").Times(1))
			return errors.Join(d.expect(ctx, http.StatusOK, "/checkout", o, visitor), d.await(ctx, "sale", o.ID))
		},
		func() (string, bool) {
			t, calls := d.tally("sale", o.ID), d.requests("sale", o.ID)
			if len(calls) < 2 {
				return t.String(), false
			}
			gap := calls[1].Time.Sub(calls[0].Time)
			return fmt.Sprintf("again after %.1f s, %d commission", gap.Seconds(), t.once), t.eachOnce() && gap >= time.Second
		},
	}
}

func (d *demo) outageScene() scene {
	ids, orders := d.manyOrders("outage", 10)
	var slowest time.Duration
	var over time.Time
	return scene{
		fmt.Sprintf("outage of %v, 10 sales", d.outage), "each once, no checkout waits",
		func(ctx context.Context) error {
			d.say("FirstPromoter hangs, then answers 503, for %v; 10 buyers come", d.outage)
			end := time.After(d.outage)
			d.fake.Inject(fpromtest.Hang().For(d.outage / 2))
			down := d.fake.Inject(fpromtest.Status(http.StatusServiceUnavailable))
			defer down.Remove()
			for _, o := range orders {
				asked := time.Now()
				if err := d.expect(ctx, http.StatusOK, "/checkout", o, visitor); err != nil {
					return err
				}
				slowest = max(slowest, time.Since(asked))
			}
			d.say("all have paid, the slowest waited %d ms; FirstPromoter has %d of the sales", slowest.Milliseconds(), d.tally("sale", ids...).once)
			select {
			case <-end:
			case <-ctx.Done():
				return ctx.Err()
			}
			over = time.Now()
			down.Remove()
			if err := d.await(ctx, "sale", ids...); err != nil {
				return err
			}
			d.say("FirstPromoter works again, and has %d of the sales", d.tally("sale", ids...).once)
			return nil
		},
		func() (string, bool) {
			t := d.tally("sale", ids...)
			during := slices.ContainsFunc(d.fake.Commissions(), func(c fpromtest.Commission) bool {
				return slices.Contains(ids, c.EventID) && c.Time.Before(over)
			})
			return fmt.Sprintf("%v; slowest %d ms", t, slowest.Milliseconds()), t.eachOnce() && !during
		},
	}
}

// perSecond is the largest number of calls within a second: the burst, the calls of one second, and delayed attempts of the shop's
// four workers, before and after it is killed.
const perSecond = atOnce + perMinute/60 + 2*4

func (d *demo) burstScene() scene {
	ids, orders := d.manyOrders("burst", d.burst)
	return scene{
		fmt.Sprintf("burst of %d sales", d.burst), fmt.Sprintf("each once, max %d calls/s, no 429", perSecond),
		func(ctx context.Context) error {
			d.say("%d buyers come at once; the limit lets %d calls go at once, and then %d a second", d.burst, atOnce, perMinute/60)
			start := time.Now()
			if err := d.buyAll(ctx, orders, func() {}); err != nil {
				return err
			}
			d.say("all have paid, within %d ms; FirstPromoter has %d of the sales", time.Since(start).Milliseconds(), d.tally("sale", ids...).once)
			if err := d.await(ctx, "sale", ids...); err != nil {
				return err
			}
			d.say("FirstPromoter has %d of the sales", d.tally("sale", ids...).once)
			return nil
		},
		func() (string, bool) {
			t, most, refused := d.tally("sale", ids...), d.fake.MaxInWindow(time.Second), d.refused()
			return fmt.Sprintf("%v; max %d/s, %d x 429", t, most, refused), t.eachOnce() && most <= perSecond && refused == 0
		},
	}
}

func (d *demo) killScene() scene {
	ids, orders := d.manyOrders("kill", d.killed)
	return scene{
		fmt.Sprintf("shop killed amid %d sales", d.killed), "each once",
		func(ctx context.Context) error {
			d.say("%d buyers come; and FirstPromoter processes some calls, but its answers are lost", d.killed)
			d.fake.Inject(
				fpromtest.Reset().AfterProcessing().Times(2),
				fpromtest.Status(http.StatusInternalServerError).AfterProcessing().Times(2),
			)
			killed := make(chan error, 1)
			var paid atomic.Int32
			err := d.buyAll(ctx, orders, func() {
				if int(paid.Add(1)) == d.killed/2 {
					go func() { killed <- d.killShop(ctx, ids) }()
				}
			})
			if err != nil {
				return err
			}
			if err := errors.Join(<-killed, d.await(ctx, "sale", ids...)); err != nil {
				return err
			}
			d.say("all have paid, some after asking again; FirstPromoter has %d of the sales", d.tally("sale", ids...).once)
			return nil
		},
		func() (string, bool) {
			t := d.tally("sale", ids...)
			return fmt.Sprintf("%v, in %d calls", t, t.calls), t.eachOnce()
		},
	}
}

// killShop kills the shop and starts it again on the same outbox.
func (d *demo) killShop(ctx context.Context, ids []string) error {
	p := d.takeShop()
	if err := p.kill(); err != nil {
		return fmt.Errorf("kill the shop: %w", err)
	}
	info, err := d.figures(ctx)
	if err != nil {
		return err
	}
	d.say("process %d is killed (SIGKILL); FirstPromoter has %d of the sales, %d wait in the outbox", p.pid(), d.tally("sale", ids...).once, info.Pending)
	if err := d.startShop(ctx); err != nil {
		return err
	}
	d.say("the shop is started again, on the same outbox")
	return nil
}

// figures looks into the outbox of a shop that has ended.
func (d *demo) figures(ctx context.Context) (fprom.QueueStats, error) {
	box, err := boltqueue.OpenOrDial(d.outbox, boltqueue.WithoutRun())
	if err != nil {
		return fprom.QueueStats{}, err
	}
	info, err := box.Stats(ctx)
	return info, errors.Join(err, box.Close())
}

func (d *demo) refundScene() scene {
	id := "refund-of-" + janes.ID
	d.sold = append(d.sold, id)
	return scene{
		"refund of the first sale", "commission taken back",
		func(ctx context.Context) error {
			d.say("Jane gets her money back")
			return errors.Join(d.expect(ctx, http.StatusOK, "/refund", janes, ""), d.await(ctx, "refund", id))
		},
		func() (string, bool) {
			t, sum := d.tally("refund", id), d.tally("sale", janes.ID).earned
			return fmt.Sprintf("%s, which leaves %s", dollars(t.earned), dollars(sum+t.earned)), t.eachOnce() && sum+t.earned == 0
		},
	}
}

// closing shuts the shop down and checks all requests and the outbox.
func (d *demo) closing() scene {
	var info fprom.QueueStats
	return scene{
		"all of it", fmt.Sprintf("%d commissions, max %d calls/min", len(d.sold), perMinute),
		func(ctx context.Context) (err error) {
			d.transport.CloseIdleConnections() // otherwise the shop waits for requests on them
			if err := d.takeShop().stop(); err != nil {
				return fmt.Errorf("end the shop: %w", err)
			}
			if info, err = d.figures(ctx); err == nil {
				d.say("the shop has ended; its outbox remembers %d event ids, and %d events wait in it", info.Ledger, info.Pending)
			}
			return err
		},
		func() (string, bool) {
			n, most := len(d.fake.Commissions()), d.fake.MaxInWindow(time.Minute)
			return fmt.Sprintf("%d commissions, max %d/min; %d left", n, most, info.Pending+info.Dead),
				n == len(d.sold) && most <= perMinute && info.Pending+info.Dead == 0
		},
	}
}

// manyOrders returns n orders of n customers.
func (d *demo) manyOrders(name string, n int) (ids []string, orders []order) {
	for i := range n {
		id := fmt.Sprintf("%s-%d", name, i+1)
		ids = append(ids, id)
		orders = append(orders, order{ID: id, Email: id + "@example.com", Price: 1000 + int64(i)})
	}
	d.sold = append(d.sold, ids...)
	return ids, orders
}

// buyAll buys the orders with eight buyers at a time. Each tries until the shop accepts its order. paid is called after each order.
func (d *demo) buyAll(ctx context.Context, orders []order, paid func()) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	queue := make(chan order)
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			for o := range queue {
				if err := d.insist(ctx, o, visitor); err != nil {
					errs[i] = err
				} else {
					paid()
				}
			}
		})
	}
	for _, o := range orders {
		queue <- o
	}
	close(queue)
	wg.Wait()
	return errors.Join(errs...)
}
