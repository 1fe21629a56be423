package fpromtest

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// page answers one page of a list of n rows. The query has page and per_page (default 20, at most 100).
func (s *Server) page(c *companyCall, n int, row func(i int) object) reply {
	number, size, ok := pageOf(c.query)
	if !ok {
		return invalid("page")
	}
	size = min(size, cmp.Or(s.company.MaxPerPage, 100))
	if s.company.IgnorePage {
		number = 1
	}
	from := min((number-1)*size, n)
	to := min(from+size, n)
	list := []object{}
	for i := from; i < to; i++ {
		list = append(list, row(i))
	}
	rep := jsonReply(200, list)
	if s.company.LinkHeader && to < n {
		q := url.Values{"page": {strconv.Itoa(number + 1)}}
		setHeader(&rep, "Link", "<https://firstpromoter.test"+companyPath+c.resource+"?"+q.Encode()+`>; rel="next"`)
	}
	return rep
}

func pageOf(q url.Values) (number, size int, ok bool) {
	number, size = 1, 20
	for name, to := range map[string]*int{"page": &number, "per_page": &size} {
		if v := q.Get(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > 1e6 {
				return 0, 0, false
			}
			*to = n
		}
	}
	return number, min(size, 100), true
}

// day returns the date of t in the account's time zone.
func (s *Server) day(t time.Time) string { return t.UTC().Add(s.company.DayZone).Format(time.DateOnly) }

// created parses filters[created_at][from|to] to a test. bad names a wrong filter.
func (s *Server) created(q url.Values) (test func(time.Time) bool, bad string) {
	from, to := q.Get("filters[created_at][from]"), q.Get("filters[created_at][to]")
	for name, v := range map[string]string{"filters[created_at][from]": from, "filters[created_at][to]": to} {
		if _, err := time.Parse(time.DateOnly, v); v != "" && err != nil {
			return nil, name
		}
	}
	return func(t time.Time) bool {
		d := s.day(t)
		return (from == "" || d >= from) && (to == "" || d < to || d == to && !s.company.ToExclusive)
	}, ""
}

// found reports whether the search text q matches one of the values.
func (s *Server) found(q string, in ...string) bool {
	q = strings.ToLower(q)
	return q == "" || slices.ContainsFunc(in, func(v string) bool {
		v = strings.ToLower(v)
		return v == q || !s.company.ExactSearch && strings.Contains(v, q)
	})
}

func (s *Server) listCommissions(c *companyCall) reply {
	created, bad := s.created(c.query)
	if bad != "" {
		return invalid(bad)
	}
	sorting := c.query.Get("sorting[created_at]")
	if sorting != "" && sorting != "asc" && sorting != "desc" {
		return invalid("sorting[created_at]")
	}
	ids, status := c.query["ids[]"], c.query.Get("filters[status]")
	var rows []*bookRow
	for _, r := range s.books.rows {
		if (len(ids) == 0 || slices.Contains(ids, itoa(r.ID))) && (status == "" || r.status == status) && created(r.Time) &&
			s.found(c.query.Get("q"), s.shownID(r), r.lead.email, r.lead.uid) && s.shown(r) {
			rows = append(rows, r)
		}
	}
	s.sort(rows, sorting)
	return s.page(c, len(rows), func(i int) object { return s.rowJSON(rows[i]) })
}

// sort sorts rows; by default the newest is first. Company.Order says how stable the order is.
func (s *Server) sort(rows []*bookRow, sorting string) {
	s.disturb(sorting != "", len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	if sorting == "" && s.company.Order == OrderShuffled {
		return
	}
	slices.SortStableFunc(rows, func(a, b *bookRow) int {
		by := a.Time.Truncate(time.Second).Compare(b.Time.Truncate(time.Second))
		if s.company.Order == OrderStable {
			by = cmp.Or(by, cmp.Compare(a.ID, b.ID))
		}
		if sorting != "asc" {
			by = -by
		}
		return by
	})
}

func (s *Server) disturb(sorted bool, n int, swap func(i, j int)) {
	if s.company.Order == OrderShuffled || s.company.Order == OrderTies && sorted {
		s.rng.Shuffle(n, swap)
	}
}

func (s *Server) shown(r *bookRow) bool {
	return r.Kind == "sale" || s.company.RefundRows != RefundRowNone
}

// shownID returns the event id that the Company API shows.
func (s *Server) shownID(r *bookRow) string {
	switch {
	case s.company.NullEventIDs:
		return ""
	case r.Kind == "refund" && s.company.RefundRows == RefundRowSale:
		return r.saleID
	default:
		return r.EventID
	}
}

func (s *Server) listReferrals(c *companyCall) reply {
	var leads []*lead
	for _, l := range s.account.leads {
		if s.found(c.query.Get("q"), l.email, l.uid) {
			leads = append(leads, l)
		}
	}
	s.disturb(false, len(leads), func(i, j int) { leads[i], leads[j] = leads[j], leads[i] })
	return s.page(c, len(leads), func(i int) object { return s.referralRecord(leads[i]) })
}

func (s *Server) oneReferral(c *companyCall) reply {
	for _, l := range s.account.leads {
		var ok bool
		switch c.query.Get("find_by") {
		case "email":
			ok = l.email != "" && strings.EqualFold(l.email, c.value)
		case "uid":
			ok = l.uid != "" && l.uid == c.value
		case "":
			ok = itoa(l.id) == c.value
		}
		if ok {
			return jsonReply(200, s.referralRecord(l))
		}
	}
	return noRecord()
}

func (s *Server) onePromoter(c *companyCall) reply {
	for _, p := range s.account.promoters {
		var ok bool
		switch c.query.Get("find_by") {
		case "email":
			ok = strings.EqualFold(p.Email, c.value)
		case "ref_token":
			ok = p.RefID == c.value
		case "promo_code":
			ok = s.account.codes[strings.ToLower(c.value)] == p
		case "":
			ok = itoa(p.ID) == c.value
		}
		if ok {
			return jsonReply(200, promoterRecord(p))
		}
	}
	return noRecord()
}
