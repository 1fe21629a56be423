package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

// send buys and pays over HTTP, delivers Stripe's webhooks twice, forges one, and then prints what arrived at the fake FirstPromoter.
// The error says what went wrong.
func send(ctx context.Context, w io.Writer, shop string, provider *pretendStripe, tracker *fprom.Tracker, fake *fpromtest.Server) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	fmt.Fprintln(w)
	for _, item := range []string{"course", "pro"} {
		if err := buy(ctx, shop, `{"email":"jane@example.com","item":"`+item+`"}`); err != nil {
			return err
		}
		fmt.Fprintf(w, "Jane bought %s, and Stripe delivered its webhook\n", item)
		for _, again := range []struct {
			what, secret string
			want         int
		}{
			{"the same webhook again", provider.secret, http.StatusOK},
			{"the same webhook, signed with another secret", "whsec_guessed", http.StatusBadRequest},
		} {
			status, err := provider.again(ctx, again.secret)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "  %s: %d\n", again.what, status)
			if status != again.want {
				return fmt.Errorf("%s: status %d, want %d", again.what, status, again.want)
			}
		}
	}
	if err := tracker.Flush(ctx); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nFirstPromoter got:")
	for _, r := range fake.Requests() {
		fmt.Fprintf(w, "  POST /%s %s: %d\n", r.Kind, r.Raw, r.Status)
	}
	var amounts []int64
	for _, c := range fake.Commissions() {
		fmt.Fprintf(w, "  commission %d for promoter %q, of a sale of %d before tax\n", c.Amount, c.RefID, c.SaleAmount)
		amounts = append(amounts, c.SaleAmount)
	}
	if len(amounts) != 2 || amounts[0] != catalog["course"].Price || amounts[1] != catalog["pro"].Price {
		return errors.New("there should be one commission for each of the two sales, of its price before tax")
	}
	return nil
}

// buy checks out as a visitor whom a promoter brought, follows the redirect to the payment page, and pays.
func buy(ctx context.Context, shop, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, shop+"/checkout", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.AddCookie(&http.Cookie{Name: "_fprom_tid", Value: visitor})
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("checkout: status %d: %s", resp.StatusCode, answer)
	}
	return nil
}
