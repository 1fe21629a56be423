package fpromtest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const companyPath = "/api/v2/company/"

// PromoterSecret is part of every credential of a promoter: in the Company API's answers, and in those to a refund and a cancellation.
// (FirstPromoter's answers contain credentials, too.) A program must never write it to a log, a file or its output.
const PromoterSecret = "fake-promoter-secret" //nolint:gosec // it opens nothing

// Company sets how the fake's Company API (GET /api/v2/company/…) behaves where FirstPromoter's documentation is silent or contradicts
// itself. The zero value is the simplest reading.
type Company struct {
	DayZone      time.Duration    // offset from UTC of the days in filters and reports; east is positive
	ToExclusive  bool             // filters[…][to] is not included
	SparseReport bool             // a report leaves out days without events
	PeriodTime   bool             // a report's period is a date-time
	ReportDays   bool             // a report answers a date-time with 422; it takes only days
	Millis       bool             // created_at has milliseconds
	NullEventIDs bool             // commissions have no event_id
	ExactSearch  bool             // q finds only whole event ids, addresses and uids
	LinkHeader   bool             // lists have a Link header while there is a next page
	MaxPerPage   int              // largest number of rows of a page. 0: 100
	IgnorePage   bool             // every page is the first one
	Order        Order            // of rows
	RefundRows   RefundRows       // what a refund's commission looks like
	Rates        map[string]int64 // by currency: the worth of 100 units in the account's currency. Missing: 100
}

// Order says how stable the order of a list is.
type Order int

// Orders of a list.
const (
	OrderStable   Order = iota // always the same
	OrderTies                  // rows of the same second are shuffled with every call
	OrderShuffled              // like OrderTies; lists without sorting are shuffled as a whole
)

// RefundRows says what the commission of a refund looks like.
type RefundRows int

// Forms of a refund's commission.
const (
	RefundRowOwn  RefundRows = iota // the refund's event id, negative amounts
	RefundRowSale                   // the sale's event id, negative amounts
	RefundRowNone                   // there is none
)

// WithCompany sets how the Company API behaves.
func WithCompany(c Company) Option { return func(s *Server) { s.company = c } }

// companyCall is a request for the Company API.
type companyCall struct {
	resource, value string // such as "referrals" and an address
	query           url.Values
}

// companyOf parses a request for the Company API. It returns nil if r is another request.
func companyOf(r *http.Request) *companyCall {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), companyPath)
	if !ok || r.Method != http.MethodGet {
		return nil
	}
	resource, value, _ := strings.Cut(rest, "/")
	if resource == "reports" {
		resource, value = rest, ""
	}
	value, err := url.PathUnescape(value)
	if err != nil {
		return nil
	}
	return &companyCall{resource, value, r.URL.Query()}
}

func invalid(field string) reply {
	return jsonReply(http.StatusUnprocessableEntity, object{
		"message": "Invalid parameters", "code": "invalid_parameters", "errors": object{field: []string{"is invalid"}},
	})
}

func noRecord() reply { return coded(http.StatusNotFound, "not_found", "Record not found") }

// parameters are those that this fake knows, by resource. It answers 422 to others: a list that ignores one would be another list.
var parameters = map[string][]string{
	"campaigns": {"page", "per_page"},
	"commissions": {
		"page", "per_page", "q", "ids[]", "filters[status]", "filters[created_at][from]", "filters[created_at][to]", "sorting[created_at]",
	},
	"referrals":        {"page", "per_page", "q", "find_by"},
	"promoters":        {"find_by"},
	"reports/overview": {"columns[]", "group_by", "start_date", "end_date"},
}

// finders are the values of find_by that this fake knows; without one it is the id.
var finders = map[string][]string{
	"referrals": {"", "email", "uid"},
	"promoters": {"", "email", "ref_token", "promo_code"},
}

// processCompany answers a request for the Company API. Server.mu is held.
func (s *Server) processCompany(e *entry) reply {
	c := e.company
	for name := range c.query {
		if known, ok := parameters[c.resource]; ok && !slices.Contains(known, name) {
			return invalid(name)
		}
	}
	if known, ok := finders[c.resource]; ok && !slices.Contains(known, c.query.Get("find_by")) {
		return invalid("find_by")
	}
	switch {
	case c.resource == "campaigns" && c.value == "":
		return s.page(c, 1, func(int) object { return s.campaign() })
	case c.resource == "commissions" && c.value == "": // a single commission cannot be read
		return s.listCommissions(c)
	case c.resource == "referrals" && c.value == "":
		return s.listReferrals(c)
	case c.resource == "referrals":
		return s.oneReferral(c)
	case c.resource == "promoters" && c.value != "":
		return s.onePromoter(c)
	case c.resource == "reports/overview":
		return s.overview(c)
	}
	return s.noEndpoint(e.req)
}
