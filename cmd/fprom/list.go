package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fprom-go/fprom"
)

// list says how a list of events is shown.
type list struct {
	name, what string                     // the field of the JSON, and what one of them is called
	absent     string                     // the error for keys that are not there
	object     func(fprom.Entry) any      // for JSON
	columns    []string                   // for text, with cells
	cells      func(fprom.Entry) []string //
	text       func(io.Writer, fprom.Entry)
}

// list shows the entries that f selects. Text and jsonl are written as they are read.
func (a *app) list(ctx context.Context, box fprom.Outbox, f fprom.Filter, l list) error {
	limit, after := f.Limit, f.After
	if limit > 0 {
		limit = max(limit, len(f.Keys)) // show all named events
		f.Limit = limit + 1             // one more, to know whether the list goes on
	}
	var next *string
	var named []fprom.Entry
	n, last, objects, rows := 0, "", []any{}, newTable(a.out, l.columns)
	defer rows.flush()
	for e, err := range box.Entries(ctx, f) {
		if err != nil {
			return err
		}
		if limit > 0 && n == limit {
			next = &last
			break
		}
		n, last = n+1, e.Cursor
		if len(f.Keys) > 0 {
			named = append(named, e)
		}
		switch {
		case a.format == formatJSON:
			objects = append(objects, l.object(e))
		case a.format == formatJSONL:
			err = a.line("result", l.object(e))
		case l.text != nil:
			_, err = io.WriteString(a.out, hint(n > 1, "\n"))
			l.text(a.out, e)
		default:
			err = rows.add(l.cells(e))
		}
		if err != nil {
			return err
		}
	}
	rows.flush()
	if err := a.listEnd(l, objects, n, after, next); err != nil {
		return err
	}
	if missing := unseen(f.Keys, named); len(missing) > 0 && next == nil {
		return failed(l.absent, strings.Join(missing, ", "))
	}
	return nil
}

// listEnd writes what comes behind the last of n entries: all of the JSON, or how to see more.
func (a *app) listEnd(l list, objects []any, n int, after string, next *string) error {
	switch {
	case a.format == formatJSON:
		return a.show(map[string]any{l.name: objects, "next": next}, nil)
	case a.format == formatJSONL:
		return a.line("summary", struct {
			Count int     `json:"count"`
			Next  *string `json:"next"`
		}{n, next})
	case l.text != nil:
		return nil
	}
	more := hint(n == 0 && after != "", " after "+after+": is this what the last line of a list with the same filters said?")
	if next != nil {
		more = "; for more add --after " + *next + ", or --limit 0 for all"
	}
	_, err := fmt.Fprintf(a.out, "%s%s\n", count(n, l.what), more)
	return err
}

// unseen returns the keys that no entry of found has.
func unseen(keys []string, found []fprom.Entry) (missing []string) {
	for _, k := range keys {
		if !slices.ContainsFunc(found, fprom.Filter{Keys: []string{k}}.Match) {
			missing = append(missing, fprom.MaskEmail(k))
		}
	}
	return missing
}
