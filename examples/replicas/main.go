// Command replicas is a shop that runs as three processes with one PostgreSQL. Buyers pay, and the provider sends each webhook to two
// replicas at once. Meanwhile one replica is killed, and FirstPromoter fails now and then. At the end the program prints a table of
// the sales. It exits with 0 only if each sale earned exactly one commission.
//
// It uses the database of $DATABASE_URL or $FPROM_TEST_POSTGRES, or starts its own PostgreSQL. FirstPromoter is a fake; nothing leaves
// this machine. It takes about half a minute and ends everything that it started.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/postgres"
)

const (
	buyers    = 20
	purchases = 5 // of each buyer
)

func main() {
	if os.Getenv("SHOP_SCHEMA") != "" {
		exit(shopMain(os.Stdin, os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout)
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "replicas:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	dbURL := cmp.Or(os.Getenv("DATABASE_URL"), os.Getenv("FPROM_TEST_POSTGRES"))
	if dbURL == "" {
		server, err := postgres.Start(ctx)
		if errors.Is(err, postgres.ErrMissing) {
			return errors.New("no PostgreSQL server found: install one (Debian: apt-get install -y postgresql), or name a running one in $DATABASE_URL as a URL")
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "started a PostgreSQL")
		defer func() { err = errors.Join(err, server.Stop()) }()
		dbURL = server.URL
	}
	pool, err := pgxpool.New(ctx, dbURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	schema := "fprom_example_" + strconv.Itoa(os.Getpid())
	if _, err := pool.Exec(ctx, `CREATE SCHEMA `+schema+`; CREATE TABLE `+schema+`.shop_order (id text PRIMARY KEY)`); err != nil {
		return err
	}
	defer func() {
		_, e := pool.Exec(context.WithoutCancel(ctx), `DROP SCHEMA `+schema+` CASCADE`)
		err = errors.Join(err, e)
	}()
	fake := fpromtest.Start(fpromtest.WithAllLeads())
	defer fake.Close()
	f := &fleet{env: []string{
		"DATABASE_URL=" + dbURL, "SHOP_SCHEMA=" + schema, "FIRSTPROMOTER_API_URL=" + fake.URL,
		"FIRSTPROMOTER_API_KEY=" + fake.APIKey, "FIRSTPROMOTER_ACCOUNT_ID=" + fake.AccountID,
	}}
	defer func() { err = errors.Join(err, f.stop()) }()
	for i := range f.replicas {
		if err := f.start(i); err != nil {
			return err
		}
	}
	day := &day{f: f, fake: fake, pool: pool, schema: schema, out: out}
	if err := day.sell(ctx); err != nil {
		return err
	}
	return day.report(ctx)
}

// day is a day of business.
type day struct {
	f        *fleet
	fake     *fpromtest.Server
	pool     *pgxpool.Pool
	schema   string
	out      io.Writer
	webhooks atomic.Int64
}

// sell runs the buyers and the faults, and waits until every sale has its outcome.
func (d *day) sell(ctx context.Context) error {
	d.fake.Inject(
		fpromtest.Status(500).AfterProcessing().Chance(0.05), // the sale is registered, but the answer is lost
		fpromtest.Reset().Chance(0.05),
		fpromtest.Status(429).RetryAfter("2").OnEvent("order-7-2").Times(1), // another program uses the account, too
	)
	fmt.Fprintf(d.out, "%d buyers pay %d times each; every webhook goes to two of three replicas at once …\n", buyers, purchases)
	fmt.Fprintln(d.out, "FirstPromoter will fail now and then, and once say 429: the ERROR line about it belongs to the show")
	var bought sync.WaitGroup
	for b := range buyers {
		bought.Go(func() { d.buy(ctx, b) })
	}
	if err := sleep(ctx, 4*time.Second); err != nil {
		return err
	}
	fmt.Fprintln(d.out, "replica 2 is killed …")
	d.f.kill(1)
	if err := sleep(ctx, time.Second); err != nil {
		return err
	}
	if err := d.f.start(1); err != nil {
		return err
	}
	fmt.Fprintln(d.out, "… and started again")
	bought.Wait()
	for {
		var open int
		if err := d.pool.QueryRow(ctx, `SELECT count(*) FROM `+d.schema+`.fprom_ledger WHERE settled_at IS NULL`).Scan(&open); err != nil {
			return err
		}
		if open == 0 {
			return nil
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("%d sales have no outcome: %w", open, err)
		}
	}
}

func orderID(buyer, n int) string { return fmt.Sprintf("order-%d-%d", buyer, n) }

func (d *day) buy(ctx context.Context, buyer int) {
	for n := range purchases {
		form := url.Values{
			"order": {orderID(buyer, n)}, "email": {fmt.Sprintf("buyer%d@example.com", buyer)}, "amount": {"4900"},
			"fp_tid": {fmt.Sprintf("visitor-%d", buyer)},
		}
		var both sync.WaitGroup
		for k := range 2 {
			both.Go(func() { d.webhooks.Add(int64(d.f.send(ctx, buyer+n+k, form))) })
		}
		both.Wait()
		if sleep(ctx, 300*time.Millisecond) != nil {
			return
		}
	}
}

// report prints the table. It returns an error if the table shows a fault.
func (d *day) report(ctx context.Context) error {
	commissions := map[string]int{}
	for _, c := range d.fake.Commissions() {
		commissions[c.EventID]++
	}
	lost, doubled := 0, 0
	for b := range buyers {
		for n := range purchases {
			switch commissions[orderID(b, n)] {
			case 0:
				lost++
			case 1:
			default:
				doubled++
			}
		}
	}
	var orders, dead int
	err := d.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM `+d.schema+`.shop_order), (SELECT count(*) FROM `+d.schema+`.fprom_ledger WHERE state = 'dead')`).Scan(&orders, &dead)
	if err != nil {
		return err
	}
	most := d.fake.MaxInWindow(time.Minute)
	w := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range []struct {
		what string
		n    any
	}{
		{"orders paid", orders},
		{"webhooks sent", d.webhooks.Load()},
		{"calls to FirstPromoter", len(d.fake.Requests())},
		{"most calls in a minute (400 allowed)", most},
		{"commissions", len(d.fake.Commissions())},
		{"dead letters", dead},
		{"sales lost", lost},
		{"sales doubled", doubled},
	} {
		fmt.Fprintf(w, "%s\t%v\t\n", row.what, row.n)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if lost > 0 || doubled > 0 || dead > 0 || orders != buyers*purchases || most > fpromtest.DefaultRateLimit {
		return errors.New("something is wrong: see the table")
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
