package stripe_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/fprom-go/fprom/billing/internal/hooktest"
	"github.com/fprom-go/fprom/billing/stripe"
)

var suite = hooktest.Suite{
	Handler: stripe.Handler, Events: stripe.Events, Explain: stripe.Explain, Sign: sign,
	Refused: http.StatusBadRequest, Sale: "invoice_basil_subscription.json",
}

func sign(h http.Header, body []byte, secret string) {
	t := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	h.Set("Stripe-Signature", "t="+t+",v1="+hex.EncodeToString(mac.Sum(nil)))
}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); suite.HandlerTable(t) }
func FuzzEvents(f *testing.F)  { suite.FuzzEvents(f) }
func FuzzHandler(f *testing.F) { suite.FuzzHandler(f, "Stripe-Signature") }
