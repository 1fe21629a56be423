package fpromtest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/fprom-go/fprom/internal/currency"
)

// TestWebhookSecret is the default signing secret of test webhooks. Every provider's handler takes its form.
const TestWebhookSecret = "whsec_ZnByb210ZXN0IHdlYmhvb2s=" //nolint:gosec // of tests, and public

// WebhookSample names a webhook that Webhook can make.
type WebhookSample struct {
	Provider string // name of the package below billing, such as "stripe"
	Event    string // the provider's name for it, such as "invoice.paid"
	Variant  string // another form of the event, such as that of an older API version; empty: the usual form
}

// String returns a text such as "stripe invoice.paid", or with a variant "stripe invoice.paid@2024-06-20".
func (s WebhookSample) String() string {
	if s.Variant == "" {
		return s.Provider + " " + s.Event
	}
	return s.Provider + " " + s.Event + "@" + s.Variant
}

// WebhookConfig is the content of a webhook. The zero value is a payment of $24.00 by jane@example.com, including $4.00 tax.
type WebhookConfig struct {
	URL    string // of the endpoint; default http://localhost/webhooks/<provider>
	Secret string // of the endpoint; default TestWebhookSecret
	// ID is part of the ids of payment, refund and customer. A refund belongs to the sale with the same ID. It has letters and digits.
	// By default it is random, so that each webhook is a new payment.
	ID              string
	Email           string    // default jane@example.com
	UID, TID, RefID string    // in the provider's metadata as fp_uid, fp_tid and fp_ref; empty: left out
	Plan            string    // the provider's plan, price or product; default plan_pro
	Amount, Tax     int64     // before taxes, and the taxes on it, in hundredths; default 2000 and 400
	Currency        string    // one with hundredths; default usd
	TestMode        bool      // of the provider's test mode, if its payloads contain that
	At              time.Time // of the signature; default now
}

// Webhook returns a webhook of a billing provider, signed as the provider does it, to test an endpoint:
//
//	r, err := fpromtest.Webhook("stripe", "invoice.paid", fpromtest.WebhookConfig{Secret: secret, TID: "b1a2"})
//	…
//	handler.ServeHTTP(recorder, r)
//
// Webhooks lists the samples. event may contain a variant: "invoice.paid@2024-06-20". A sample has the fields that the packages below
// billing read, not all fields of the provider. To send it over the network, set URL. For PayPal see PayPalCertificates.
func Webhook(provider, event string, c WebhookConfig) (*http.Request, error) {
	body, err := WebhookBody(provider, event, c)
	if err != nil {
		return nil, err
	}
	address := cmp.Or(c.URL, "http://localhost/webhooks/"+provider)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("fprom: %w", err)
	}
	_, format, _ := webhookFile(provider, event) // WebhookBody has found it
	r.Header.Set("Content-Type", "application/"+format)
	if c.At.IsZero() {
		c.At = time.Now()
	}
	return r, SignWebhook(provider, r.Header, body, cmp.Or(c.Secret, TestWebhookSecret), c.At)
}

//go:embed webhooks
var webhookFiles embed.FS

// Webhooks lists the samples, sorted by provider and event.
func Webhooks() []WebhookSample {
	files, _ := fs.Glob(webhookFiles, "webhooks/*/*") // the pattern is right
	var out []WebhookSample
	for _, file := range files { // webhooks/<provider>/<event>[@<variant>].<format>.tmpl
		name := strings.TrimSuffix(path.Base(file), ".tmpl")
		event, variant, _ := strings.Cut(strings.TrimSuffix(name, path.Ext(name)), "@")
		out = append(out, WebhookSample{path.Base(path.Dir(file)), event, variant})
	}
	return out
}

// webhookFile returns the template of a sample, and its format.
func webhookFile(provider, event string) (source []byte, format string, err error) {
	for _, format = range []string{"json", "xml"} {
		if source, err = webhookFiles.ReadFile("webhooks/" + provider + "/" + event + "." + format + ".tmpl"); err == nil {
			return source, format, nil
		}
	}
	return nil, "", fmt.Errorf("fprom: no sample of a webhook %q of %q: Webhooks lists what there is", event, provider)
}

// webhookFuncs are the functions of the templates.
var webhookFuncs = template.FuncMap{
	"json": func(v any) (string, error) {
		b, err := json.Marshal(v)
		return string(b), err
	},
	"decimal": webhookDecimal,
	"xml": func(s string) (string, error) {
		var b strings.Builder
		err := xml.EscapeText(&b, []byte(s))
		return b.String(), err
	},
	"lower": strings.ToLower,
	"upper": strings.ToUpper,
}

// WebhookBody returns the body of Webhook.
func WebhookBody(provider, event string, c WebhookConfig) ([]byte, error) {
	if d, known := currency.Lookup(cmp.Or(c.Currency, "usd")); !known || d.Digits != 2 || d.ISO != 2 {
		return nil, fmt.Errorf("fprom: the sample's currency %q is unknown or has no hundredths: take one such as usd or eur, and change the amounts in the body", c.Currency)
	}
	source, _, err := webhookFile(provider, event)
	if err != nil {
		return nil, err
	}
	t, err := template.New(event).Funcs(webhookFuncs).Parse(string(source))
	if err != nil {
		return nil, fmt.Errorf("fprom: the sample of the webhook: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, webhookValues(c)); err != nil {
		return nil, fmt.Errorf("fprom: the sample of the webhook: %w", err)
	}
	return b.Bytes(), nil
}

// webhookData is the data of the templates.
type webhookData struct {
	WebhookConfig
	Total    int64
	Metadata map[string]string // fp_uid, fp_tid, fp_ref
	Contact  map[string]string // Metadata with fp_email, for payloads without an address
	Custom   string            // Contact and the tax, as PayPal's custom_id
	TaxShare float64           // of Total
	Unix     string
	Time     string
}

func webhookValues(c WebhookConfig) webhookData {
	if c.At.IsZero() {
		c.At = time.Now()
	}
	c.ID = cmp.Or(c.ID, rand.Text()[:16])
	c.Email, c.Plan, c.Currency = cmp.Or(c.Email, "jane@example.com"), cmp.Or(c.Plan, "plan_pro"), cmp.Or(c.Currency, "usd")
	if c.Amount == 0 {
		c.Amount, c.Tax = 2000, cmp.Or(c.Tax, 400)
	}
	d := webhookData{
		WebhookConfig: c, Total: c.Amount + c.Tax, Metadata: map[string]string{}, Contact: map[string]string{"fp_email": c.Email},
		Unix: strconv.FormatInt(c.At.Unix(), 10), Time: c.At.UTC().Format("2006-01-02T15:04:05Z"),
	}
	for name, value := range map[string]string{"fp_uid": c.UID, "fp_tid": c.TID, "fp_ref": c.RefID} {
		if value != "" {
			d.Metadata[name], d.Contact[name] = value, value
		}
	}
	custom := url.Values{"fp_total": {webhookDecimal(d.Total)}, "fp_tax": {webhookDecimal(d.Tax)}}
	for name, value := range d.Contact {
		custom.Set(name, value)
	}
	d.Custom, d.TaxShare = custom.Encode(), float64(d.Tax)/float64(d.Total)
	return d
}

func webhookDecimal(hundredths int64) string {
	return fmt.Sprintf("%d.%02d", hundredths/100, hundredths%100)
}
