package billing

import (
	"math"
	"strings"

	"github.com/fprom-go/fprom"
)

// maxInt is the largest integer that every JSON parser reads exactly.
const maxInt = 1<<53 - 1

// Int is an integer with its origin, such as a path in the payload. OK is false if there is no integer.
type Int struct {
	N    int64
	From string
	OK   bool
}

// Or returns i, or other if i has no integer.
func (i Int) Or(other Int) Int {
	if i.OK {
		return i
	}
	return other
}

// Minus returns i − o. If o has no integer it returns i; if i has none, the result has none.
func (i Int) Minus(o Int) Int {
	if !i.OK || !o.OK {
		return i
	}
	return Int{saturate(i.N, -o.N), i.From + " − " + group(o.From), true}
}

// Plus returns i + o. If only one of them has an integer, it returns that one.
func (i Int) Plus(o Int) Int {
	if !i.OK || !o.OK {
		return i.Or(o)
	}
	return Int{saturate(i.N, o.N), i.From + " + " + o.From, true}
}

// Abs returns i without its sign.
func (i Int) Abs() Int {
	if i.N < 0 {
		i.N = -i.N
	}
	return i
}

// BeforeTax returns the part of paid that is not tax, if total contains tax (see fprom.BeforeTax). If total or tax is unknown, it
// returns paid.
func BeforeTax(paid, total, tax Int) Int {
	if !paid.OK || !total.OK || !tax.OK {
		return paid
	}
	n := fprom.BeforeTax(paid.N, total.N, tax.N)
	if n == paid.N {
		return Int{n, paid.From, true}
	}
	return Int{n, group(paid.From) + " × (" + total.From + " − " + group(tax.From) + ") / " + group(total.From), true}
}

// BeforeTaxOfNew returns the part of sum that is new since before, without tax, as BeforeTax computes it. Each sum is rounded, so that the
// parts of several calls add up.
func BeforeTaxOfNew(sum, before, total, tax Int) Int {
	return BeforeTax(sum, total, tax).Minus(BeforeTax(before, total, tax))
}

// Share returns paid × net / total: the part of paid that is not tax, if net is total without tax. If net or total is unknown, the
// result is unknown.
func Share(paid, net, total Int) Int {
	if !paid.OK || !net.OK || !total.OK {
		return Int{}
	}
	n := fprom.BeforeTax(paid.N, total.N, saturate(total.N, -net.N))
	return Int{n, group(paid.From) + " × " + group(net.From) + " / " + group(total.From), true}
}

func group(s string) string {
	if strings.Contains(s, " ") {
		return "(" + s + ")"
	}
	return s
}

func saturate(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < -math.MaxInt64-b:
		return -math.MaxInt64
	}
	return a + b
}
