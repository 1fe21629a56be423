package fprom_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
)

// documented says which of the verdicts each row of the tables in the package documentation and in docs/answers.md is about.
// The verdicts themselves are measured by TestVerdict….
var documented = map[string][]string{
	"200 with FirstPromoter's JSON object":           {"200 documented", "201", "200 of a refund"},
	"200 with anything else":                         {"200 page", "200 empty", "200 of another event"},
	"404 with FirstPromoter's JSON; 204 on a refund": {"404 documented", "404 of a sign-up", "204 of a refund"},
	"204 on a sale":                                  {"204"},
	"409 with JSON; 422 on a sign-up that exists":    {"409 documented", "409 about another id", "422 of a second sign-up"},
	"400, 413, 415, 422 with JSON":                   {"400 documented", "413 JSON", "415 JSON", "422 of a sale"},
	"other 4xx without JSON":                         {"405 page", "407 page", "410 page", "414 empty", "426 empty", "451 page", "409 page", "400 page", "422 page"},
	"401":                                            {"401 empty", "401 page"},
	"403; 404 otherwise; 3xx; other 4xx with JSON":   {"403 empty", "403 JSON", "404 page", "404 other JSON", "304", "300", "402 JSON", "405 JSON", "410 JSON", "423 JSON", "426 JSON", "451 JSON"},
	"503 with Retry-After":                           {"503 with Retry-After"},
	"429":                                            {"429"},
	"403; 402, 405, 410, 423, 426, 451 and other 4xx with JSON; 404 without FirstPromoter's JSON; 3xx": {"403 empty", "403 JSON", "404 page", "404 other JSON", "304", "300", "402 JSON", "405 JSON", "407 JSON", "410 JSON", "423 JSON", "426 JSON", "451 JSON"},
	"408, 421, 425, 5xx; time-out, reset, DNS, TLS":                                                    {"408", "421", "425", "500 page", "504", "time-out", "reset"},
	"408, 421, 425, 5xx; time-out, reset, DNS, TLS;":                                                   {"408", "421", "425", "500 page", "504", "time-out", "reset", "405 page", "410 page"},
}

// TestDocumentedAnswers holds the two tables against what the tests measure.
func TestDocumentedAnswers(t *testing.T) {
	t.Parallel()
	measured := map[string]verdict{}
	for _, v := range verdicts() {
		measured[v.name] = v
	}
	for file, row := range map[string]string{
		"doc.go":          `(?m)^//\t(\S.*?)\s{2,}(\S+) +(success|failure|–) +\S.*$`,
		"docs/answers.md": `(?m)^\| (.+?) \| ([\w ]+) \| (success|failure|neither) \|.*$`,
	} {
		doc, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rows := regexp.MustCompile(row).FindAllStringSubmatch(string(doc), -1)
		if len(rows) < 10 {
			t.Errorf("%d rows in %s", len(rows), file)
		}
		none := strings.NewReplacer("none yet", "Undelivered", "none", "Undelivered", "–", "Undelivered")
		for _, row := range rows {
			outcome, breaker := none.Replace(row[2]), strings.Replace(row[3], "–", "neither", 1)
			if len(documented[row[1]]) == 0 {
				t.Errorf("%s: the row %q is not known here", file, row[1])
			}
			for _, name := range documented[row[1]] {
				v, ok := measured[name]
				if !ok || fprom.Outcome(strings.ReplaceAll(string(v.outcome), "-", "")) != fprom.Outcome(strings.ToLower(outcome)) || v.breaker != breaker {
					t.Errorf("%s: %q: %+v, documented as %s, %s", file, name, v, outcome, breaker)
				}
			}
		}
	}
}
