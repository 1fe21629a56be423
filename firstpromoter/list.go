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

// list yields every row of a list once. FirstPromoter documents no total, no next page and no stable order. So:
//
//   - A pass over the list ends at an empty page, at a page that is not full, and at a page without a new row (a server that
//     ignores the page number always answers with the first page).
//   - A row that comes twice in a pass shows that rows changed places, and that the pass may have missed others. Then another
//     pass follows, with another page size. The last pass is one without repeated rows, or the second one without new rows.
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

	seen     map[int64]bool // ids of all passes
	inPass   map[int64]bool // ids of this pass
	last     map[int64]bool // ids of the page before
	fresh    int            // rows that no earlier pass had
	repeated bool           // a row came twice
}

// run yields the rows that no earlier pass had. It returns false if the caller stops, and after an error.
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
			size = len(rows) // the server ignores per_page: these are usual defaults
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

// take yields the new rows of a page. fresh is the number of rows that are new to this pass. more is false if the caller stops.
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

// decodeList decodes an array, or the object {"data":[…]} that some lists are.
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
