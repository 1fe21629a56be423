package statuspage

import (
	"strconv"
	"strings"
	"time"

	"github.com/fprom-go/fprom/internal/currency"
)

// age is d in its two largest units at most: "45 s", "12 min", "3 h 5 min", "2 d 4 h".
func age(d time.Duration) string {
	d = max(d, 0)
	part := func(n time.Duration, unit string) string {
		if n == 0 {
			return ""
		}
		return " " + strconv.Itoa(int(n)) + " " + unit
	}
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < day:
		return strconv.Itoa(int(d/time.Hour)) + " h" + part(d%time.Hour/time.Minute, "min")
	default:
		return strconv.Itoa(int(d/day)) + " d" + part(d%day/time.Hour, "h")
	}
}

// grouped is n with a comma between thousands.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// money is an amount in minor units as people write it: "49.00 USD". Without a currency it is the account's.
func money(amount int64, code string) string {
	digits := 2
	if c, ok := currency.Lookup(code); ok {
		digits = c.Digits
	}
	sign := ""
	if amount < 0 {
		sign = "−"
	}
	s := strings.TrimPrefix(strconv.FormatInt(amount, 10), "-")
	if digits > 0 {
		if len(s) <= digits {
			s = strings.Repeat("0", digits+1-len(s)) + s
		}
		s = s[:len(s)-digits] + "." + s[len(s)-digits:]
	}
	return strings.TrimSpace(sign + s + " " + strings.ToUpper(code))
}

// clip cuts s to n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
