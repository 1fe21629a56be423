package fprom_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
)

// documented says which of the verdicts each row of the table in the package documentation is about. The verdicts
// themselves are measured by TestVerdict….
var documented = map[string][]string{
	"200 with FirstPromoter's JSON object":           {"200 documented", "201", "200 of a refund"},
	"200 with anything else":                         {"200 page", "200 empty", "200 of another event"},
	"404 with FirstPromoter's JSON; 204 on a refund": {"404 documented", "404 of a sign-up", "204 of a refund"},
	"204 on a sale":                                  {"204"},
	"409 with JSON; 422 on a sign-up that exists":    {"409 documented", "409 about another id", "422 of a second sign-up"},
	"400, 413, 415, 422 with JSON":                   {"400 documented", "413 JSON", "415 JSON", "422 of a sale"},
	"401":                                            {"401 empty", "401 page"},
	"403; 404 otherwise; 3xx; other 4xx with JSON":   {"403 empty", "403 JSON", "404 page", "404 other JSON", "304", "300", "402 JSON", "405 JSON", "410 JSON", "423 JSON", "426 JSON", "451 JSON"},
	"429; 503 with Retry-After":                      {"429", "503 with Retry-After"},
	"408, 421, 425, 5xx; time-out, reset, DNS, TLS;": {"408", "421", "425", "500 page", "504", "time-out", "reset", "405 page", "410 page"},
}

// TestDocumentedAnswers holds the table in the package documentation against what the tests measure.
func TestDocumentedAnswers(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	measured := map[string]verdict{}
	for _, v := range verdicts() {
		measured[v.name] = v
	}
	rows := regexp.MustCompile(`(?m)^//\t(\S.*?)\s{2,}(\S+) +(success|failure|–) +(\S.*)$`).FindAllStringSubmatch(string(doc), -1)
	if len(rows) != len(documented) {
		t.Errorf("%d rows in the documentation, %d known here", len(rows), len(documented))
	}
	for _, row := range rows {
		outcome, breaker := row[2], strings.Replace(row[3], "–", "neither", 1)
		if outcome == "–" {
			outcome = "Undelivered"
		}
		if len(documented[row[1]]) == 0 {
			t.Errorf("the row %q is not known here", row[1])
		}
		for _, name := range documented[row[1]] {
			v, ok := measured[name]
			if !ok || fprom.Outcome(strings.ReplaceAll(string(v.outcome), "-", "")) != fprom.Outcome(strings.ToLower(outcome)) || v.breaker != breaker {
				t.Errorf("%q: %+v, documented as %s, %s", name, v, outcome, breaker)
			}
		}
	}
}
