package billing

import (
	"math/big"
	"strconv"
	"strings"
)

// Decimal reads the decimal number at path and returns it times 10^digits, rounded half to even: 19.99 with 2 digits is 1999.
// It reads a JSON number or a string, without floating point. If the value is absent, null or "", OK is false. A value that is
// not a number, or is above 2^53, fails the payload.
func (n Node) Decimal(path string, digits int) Int {
	at := n.At(path)
	r := at.Rat()
	if r == nil {
		return Int{}
	}
	return at.Scaled(r, digits, at.path)
}

// Rat returns the exact decimal number of the node, or nil if the value is absent, null or "". A value that is not a number fails
// the payload.
func (n Node) Rat() *big.Rat {
	if n.v == nil || n.v == "" {
		return nil
	}
	t := n.text()
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(t.S), "e")
	e, err := strconv.Atoi(exponent)
	plain := mantissa != "" && strings.Trim(mantissa, "-.0123456789") == ""
	if !plain || len(mantissa) > 64 || scientific && (err != nil || e < -64 || e > 64) {
		n.p.Fail(n.path, "is not a decimal number, or too long")
		return nil
	}
	r, ok := new(big.Rat).SetString(t.S)
	if !ok {
		n.p.Fail(n.path, "is not a decimal number")
		return nil
	}
	return r
}

// Scaled returns r times 10^digits, rounded half to even. from says where r came from: a path or a formula. With digits outside
// 0–18 the result is zero. A result above 2^53 fails the payload.
func (n Node) Scaled(r *big.Rat, digits int, from string) Int {
	if digits < 0 || digits > 18 {
		return Int{From: from, OK: true}
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	r = new(big.Rat).Mul(r, new(big.Rat).SetInt(scale))
	q, rest := new(big.Int).QuoRem(new(big.Int).Abs(r.Num()), r.Denom(), new(big.Int))
	if c := rest.Lsh(rest, 1).Cmp(r.Denom()); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	if !q.IsInt64() || q.Int64() > maxInt {
		n.p.Fail(from, "is too large")
		return Int{}
	}
	return Int{N: q.Int64() * int64(r.Sign()), From: from, OK: true}
}
