package billing

import (
	"math"
	"strings"

	"github.com/fprom-go/fprom"
)

// maxInt is the largest integer that every JSON reader keeps exact.
const maxInt = 1<<53 - 1

// Int is an integer that knows how it came about. OK is false if there is none.
type Int struct {
	N    int64
	From string
	OK   bool
}

// Or is i, or other where there is no i.
func (i Int) Or(other Int) Int {
	if i.OK {
		return i
	}
	return other
}

// Minus is i − o; i where there is no o, none where there is no i.
func (i Int) Minus(o Int) Int {
	if !i.OK || !o.OK {
		return i
	}
	return Int{saturate(i.N, -o.N), i.From + " − " + group(o.From), true}
}

// Plus is i + o; the one that exists where there is only one.
func (i Int) Plus(o Int) Int {
	if !i.OK || !o.OK {
		return i.Or(o)
	}
	return Int{saturate(i.N, o.N), i.From + " + " + o.From, true}
}

// Abs is i without its sign.
func (i Int) Abs() Int {
	if i.N < 0 {
		i.N = -i.N
	}
	return i
}

// BeforeTax is the part of paid that is not tax (fprom.BeforeTax), where total contains tax. Without a total or a tax
// it is paid.
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

// Share is paid × net / total: the part of paid that is not tax, where total without tax is net. Without a net or a
// total it is not known.
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
