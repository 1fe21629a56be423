package statuspage

import (
	"strconv"
	"time"
)

// age is d in at most two units: "45 s", "12 min", "3 h 5 min", "2 d 4 h".
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

// clip cuts s to n characters.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
