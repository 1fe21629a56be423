package firstpromoter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"strconv"
)

const (
	perPage   = 100 // the largest documented; the default is 20
	maxPasses = 12  // over a list whose rows change places while it is read
)

// list reads every row of a list once. No total and no next page are documented, and neither is a stable order, so:
//
//   - a pass over the list ends at an empty page, at one with fewer rows than a page has, and at one that brings no new row
//     (where page is not honoured, each is the first one);
//   - rows that come twice in a pass have changed places, and others may have been missed: then another pass follows, with
//     pages of another size so that other rows are at their edges, until one brings nothing twice, or two nothing new.
func list[row any](ctx context.Context, c *Client, path string, query url.Values, id func(row) int64) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		seen := map[int64]bool{}
		idle := 0
		for n := range maxPasses {
			p := pass[row]{client: c, path: path, query: query, size: perPage - 11*(n%3), id: id, seen: seen, inPass: map[int64]bool{}}
			if !p.run(ctx, yield) || !p.repeated {
				return
			}
			if idle++; p.fresh > 0 {
				idle = 0
			}
			if idle == 2 {
				return
			}
		}
	}
}

// pass is one reading of a list from its first page to its last.
type pass[row any] struct {
	client *Client
	path   string
	query  url.Values
	size   int // rows of a page
	id     func(row) int64

	seen     map[int64]bool // in any pass
	inPass   map[int64]bool
	last     map[int64]bool // the page before
	fresh    int            // rows that no pass before had
	repeated bool           // a row came twice
}

// run yields the rows that no pass before had. It returns false when the caller wants no more, or after an error.
func (p *pass[row]) run(ctx context.Context, yield func(row, error) bool) bool {
	size := p.size
	for page := 1; ; page++ {
		rows, next, err := p.page(ctx, page)
		if err != nil {
			var none row
			yield(none, err)
			return false
		}
		if page == 1 && (len(rows) == 20 || len(rows) == 25 || len(rows) == 50) {
			size = len(rows) // per_page was not honoured: these are usual defaults
		}
		fresh, more := p.take(rows, yield)
		if !more {
			return false
		}
		if fresh == 0 || len(rows) < size && !next {
			return true
		}
	}
}

// take yields what is new of a page. It returns how many rows this pass had not seen yet.
func (p *pass[row]) take(rows []row, yield func(row, error) bool) (fresh int, more bool) {
	ids := make(map[int64]bool, len(rows))
	same := len(rows) == len(p.last)
	for _, r := range rows {
		id := p.id(r)
		ids[id] = true
		same = same && p.last[id]
		if p.inPass[id] {
			continue
		}
		p.inPass[id] = true
		fresh++
		if p.seen[id] {
			continue
		}
		p.seen[id] = true
		p.fresh++
		if !yield(r, nil) {
			return fresh, false
		}
	}
	p.repeated = p.repeated || fresh < len(rows) && !same
	p.last = ids
	return fresh, true
}

func (p *pass[row]) page(ctx context.Context, n int) (rows []row, next bool, err error) {
	q := url.Values{}
	maps.Copy(q, p.query)
	q.Set("page", strconv.Itoa(n))
	q.Set("per_page", strconv.Itoa(p.size))
	a, err := p.client.get(ctx, p.path, q)
	if err != nil {
		return nil, false, err
	}
	rows, err = decodeList[row](a.body)
	if err != nil {
		return nil, false, fmt.Errorf("fprom: GET /company/%s: %w", label(p.path), err)
	}
	return rows, hasNext(a.header), nil
}

// decodeList takes a bare array, and the {"data":[…]} that some lists are wrapped in.
func decodeList[row any](body []byte) ([]row, error) {
	var rows []row
	if b := bytes.TrimSpace(body); b[0] == '{' {
		var wrapped struct {
			Data *[]row `json:"data"`
		}
		if json.Unmarshal(b, &wrapped) != nil || wrapped.Data == nil {
			return nil, fmt.Errorf("%w: an object where a list was expected", ErrNotFirstPromoter)
		}
		return *wrapped.Data, nil
	}
	if json.Unmarshal(body, &rows) != nil {
		return nil, fmt.Errorf("%w: the list has another form", ErrNotFirstPromoter)
	}
	return rows, nil
}
