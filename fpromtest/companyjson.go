package fpromtest

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// moment is a time as the Company API shows it.
func (s *Server) moment(t time.Time) any {
	if t.IsZero() || s.company.Millis {
		return stamp(t)
	}
	return t.UTC().Format(time.RFC3339)
}

func (s *Server) campaign() object {
	customers := 0
	for _, l := range s.account.leads {
		if !l.customer.IsZero() {
			customers++
		}
	}
	return object{
		"id": 1, "name": "Default campaign", "color": "#336699", "landing_url": "https://shop.example", "ref_token_param": "?fpr",
		"visitor_cookie_life": 60, "is_default": true, "track_ad_traffic": false,
		"stats": object{"promoters_count": len(s.account.promoters), "referrals_count": len(s.account.leads), "customers_count": customers},
	}
}

func membership(p *Promoter) object {
	return object{
		"id": p.ID + 1_000_000, "campaign_id": 1, "promoter_id": p.ID,
		"promoter": object{"id": p.ID, "email": p.Email, "name": p.Name},
		"campaign": object{"id": 1, "name": "Default campaign", "color": "#336699"},
	}
}

func (s *Server) rowJSON(r *bookRow) object {
	return object{
		"id": r.ID, "status": r.status, "commission_type": r.Kind, "sale_amount": r.SaleAmount, "original_sale_amount": r.original,
		"original_sale_currency": orNull(r.currency), "event_id": orNull(s.shownID(r)), "plan_id": orNull(r.plan), "tier": r.tier, "unit": "cash",
		"amount": r.Amount, "is_paid": false, "is_split": false, "is_self_referral": false, "fraud_check": "no_suspicion",
		"internal_note": nil, "external_note": nil, "created_by_user_email": nil, "created_at": s.moment(r.Time), "status_updated_at": nil,
		"metadata": object{}, "promoter_campaign": membership(r.promoter), "referral": referralJSON(r.lead),
		"reward": object{"id": r.tier, "name": strconv.Itoa(r.tier) + " tier"}, "split_details": nil,
	}
}

func (s *Server) referralRecord(l *lead) object {
	state, email := l.shownState(), l.email
	if state == "moved" && email != "" {
		email += " (moved)"
	}
	return object{
		"id": l.id, "email": orNull(email), "uid": orNull(l.uid), "state": state, "metadata": object{}, "entry_source": "api",
		"created_at": s.moment(l.created), "customer_since": s.moment(l.customer), "cancelled_at": s.moment(l.cancelled),
		"promoter_campaign": membership(l.promoter), "fraud_check": "no_suspicion", "split_details": nil, "is_expired": l.expired,
	}
}

func promoterRecord(p *Promoter) object {
	state, archived := "accepted", any(nil)
	if p.banned {
		state = "blocked"
	}
	if p.archived {
		archived = "2026-01-01T00:00:00Z"
	}
	return object{
		"id": p.ID, "email": p.Email, "name": p.Name, "cust_id": nil, "archived_at": archived,
		"password_setup_url": "https://promoters.example/" + PromoterSecret, "auth_token": PromoterSecret + "-token",
		"promoter_campaigns": []object{{
			"id": p.ID + 1_000_000, "campaign_id": 1, "promoter_id": p.ID, "state": state, "ref_token": p.RefID,
			"ref_link": "https://shop.example?fpr=" + p.RefID, "coupon": nil,
		}},
	}
}

var reportColumns = []string{"sales_count", "refunds_count", "revenue_amount"}

// overview answers the report of totals by day.
func (s *Server) overview(c *companyCall) reply {
	columns := c.query["columns[]"]
	if len(columns) == 0 || slices.ContainsFunc(columns, func(x string) bool { return !slices.Contains(reportColumns, x) }) {
		return invalid("columns")
	}
	if g := c.query.Get("group_by"); g != "" && g != "day" {
		return invalid("group_by") // this fake knows only days
	}
	from, ok1 := s.reportDay(c.query.Get("start_date"))
	to, ok2 := s.reportDay(c.query.Get("end_date"))
	if !ok1 || !ok2 || to.Before(from) || to.Sub(from) > 10*366*24*time.Hour {
		return invalid("end_date")
	}
	days := s.totals()
	list := []object{}
	for d := from; !d.After(to); d = d.AddDate(0, 0, 1) {
		name := d.Format(time.DateOnly)
		t := days[name]
		if t == nil && s.company.SparseReport {
			continue
		}
		if t == nil {
			t = &[3]int64{}
		}
		data := object{}
		for _, col := range columns {
			data[col] = t[slices.Index(reportColumns, col)]
		}
		if s.company.PeriodTime {
			name += "T00:00:00.000Z"
		}
		list = append(list, object{"period": name, "id": name, "data": data})
	}
	return jsonReply(http.StatusOK, list)
}

// reportDay parses a day or a date-time.
func (s *Server) reportDay(v string) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, v); err == nil && !s.company.ReportDays {
		return t.Truncate(24 * time.Hour), true
	}
	t, err := time.Parse(time.DateOnly, v)
	return t, err == nil
}

// totals returns the figures of reportColumns by day.
func (s *Server) totals() map[string]*[3]int64 {
	days := map[string]*[3]int64{}
	for _, e := range s.books.tracked {
		t := days[s.day(e.at)]
		if t == nil {
			t = &[3]int64{}
			days[s.day(e.at)] = t
		}
		column := 0
		if e.kind == "refund" {
			column = 1
		}
		t[column] += int64(e.copies)
		t[2] += int64(e.copies) * e.amount
	}
	return days
}
