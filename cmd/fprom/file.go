package main

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/money"
)

// fileFlags say how a file of sales is read.
type fileFlags struct {
	kind, amount, decimal, currency string
	columns                         []string
}

func (s *fileFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&s.columns, "map", nil, "column=field: the field of a column, such as 'Invoice ID=event_id'; column=- ignores the column; may be repeated")
	choose(cmd, f, &s.amount, "amount", "", "form of the amounts: minor (1999) or major (19.99)", string(backfill.Minor), string(backfill.Major))
	s.decimal = "."
	choose(cmd, f, &s.decimal, "decimal", "", "decimal mark of major amounts: . or ,", ".", ",")
	f.StringVar(&s.currency, "currency", "", "currency of rows without one (default the account's, whose major amounts are taken to have hundredths)")
}

// read checks the flags.
func (s *fileFlags) read() (backfill.Format, error) {
	f := backfill.Format{Kind: s.kind, Amount: backfill.AmountForm(s.amount), Currency: s.currency, Map: map[string]string{}}
	_, known := money.Exponent(s.currency)
	isMoney := s.kind == fprom.KindSale || s.kind == fprom.KindRefund
	switch {
	case !known:
		return f, usage("--currency %q: is not an ISO 4217 code such as USD", s.currency)
	case s.amount == "" && isMoney:
		return f, usage("--amount is missing: say minor (1999 is 19.99 USD) or major (19.99)")
	}
	f.Decimal = rune(s.decimal[0])
	for _, m := range s.columns {
		i := strings.LastIndex(m, "=") // a column's name may have one
		if i < 1 {
			return f, usage("--map %q: is not column=field", m)
		}
		column, field := m[:i], m[i+1:]
		if was, twice := f.Map[column]; twice && was != field {
			return f, usage("--map %q: the column is mapped already, to %s", m, was)
		}
		f.Map[column] = field
	}
	return f, nil
}

// openFile opens a file, or stdin for "-". size is 0 if it is not known.
func (a *app) openFile(ctx context.Context, path string) (r io.Reader, size int64, end func(), err error) {
	f, end := os.Stdin, func() {}
	if path != "-" {
		if f, err = os.Open(path); err != nil { //nolint:gosec // the operator's path
			return nil, 0, nil, failed("%w", err)
		}
		end = func() { _ = f.Close() }
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = failed("%s: is a directory", path)
	}
	switch {
	case err != nil:
		end()
		return nil, 0, nil, err
	case info.Mode().IsRegular():
		return f, info.Size(), end, nil
	default: // a pipe or a terminal
		return interruptible(ctx, f), 0, end, nil
	}
}

// interruptible returns a reader of a pipe or a terminal. The end of ctx ends a read that waits.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { _ = w.CloseWithError(ctx.Err()) })
	go func() { // a read cannot be interrupted; the process ends with it
		_, err := io.Copy(w, in)
		_ = w.CloseWithError(err)
	}()
	return r
}

// sameFile reports whether two paths name one file.
func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// offset is how far a file has been read; 0 if that is not known.
func offset(r io.Reader) int64 {
	f, ok := r.(io.Seeker)
	if !ok {
		return 0
	}
	n, _ := f.Seek(0, io.SeekCurrent)
	return n
}
