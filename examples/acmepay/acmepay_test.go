package acmepay_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/examples/acmepay"
)

var suite = billingtest.Suite{Provider: acmepay.Provider(), Sign: sign, Sale: "payment.json"}

func sign(h http.Header, body []byte, secret string) {
	id, stamp := "msg_1", strconv.FormatInt(time.Now().Unix(), 10)
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", stamp)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); suite.HandlerTable(t) }
func FuzzEvents(f *testing.F)  { suite.FuzzEvents(f) }
func FuzzHandler(f *testing.F) { suite.FuzzHandler(f, "Webhook-Signature") }

// One payment is one sale, however often it is announced, and its refund takes it back.
func TestPaymentAndRefund(t *testing.T) {
	t.Parallel()
	got := suite.Deliver(t, []string{"authorized.json", "payment.json", "payment.json", "refund.json", "refund.json"})
	if len(got) != 2 {
		t.Fatalf("got %+v, want a sale and a refund", got)
	}
	sale, refund := got[0].(fprom.Sale), got[1].(fprom.Refund)
	if sale.Amount != 2000 || refund.Amount != sale.Amount || refund.SaleEventID != sale.EventID || refund.Email != sale.Email {
		t.Errorf("got %+v and %+v", sale, refund)
	}
}
