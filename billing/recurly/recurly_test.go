package recurly_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/recurly"
	"github.com/fprom-go/fprom/fpromtest"
)

var suite = billingtest.Suite{
	Provider: recurly.Provider(), Sign: sign, Sale: "invoice.xml", SharedSecret: true, Nothing: "<nothing/>",
	For: billingtest.ByName(recurly.Provider(), billing.Payment{}),
}

func sign(h http.Header, body []byte, secret string) {
	if err := fpromtest.SignWebhook("recurly", h, body, secret, time.Now()); err != nil {
		panic(err)
	}
}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); suite.HandlerTable(t) }
func FuzzEvents(f *testing.F)  { suite.FuzzEvents(f) }
func FuzzHandler(f *testing.F) { suite.FuzzHandler(f, "Authorization") }

func TestXML(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", " ", "x", "<a>", "<a></b>", "<a/><b/>", "<a/>x<", strings.Repeat("<a>", 1000), "<!-- no element -->", "[]"} {
		if x := recurly.Provider().Explain([]byte(bad)); !fprom.IsPermanent(x.Err) {
			t.Errorf("%.20q: %+v, want an error", bad, x)
		}
	}
	for _, good := range []string{"<a/>", "<?xml version=\"1.0\"?><a> <b/> text </a><!-- end -->\n", "<a><![CDATA[<x>]]></a>"} {
		if x := recurly.Provider().Explain([]byte(good)); x.Skipped != billing.NotMoney {
			t.Errorf("%q: %+v", good, x)
		}
	}
}
