package main // the clock is that of a bubble, which no other process can have

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Where there is no terminal a line every ten seconds says how far it is, how fast, and how long it takes.
func TestPlainProgress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, format, bars string
		total              int64
		want               []string
	}{
		{"text", formatText, progressAuto, 600, []string{
			"rows: 100 of 600, 10.0 a second, 50 s left; so far so good", "rows: 200 of 600, 10.0 a second, 40 s left; so far so good",
		}},
		{"no total", formatText, progressPlain, 0, []string{"rows: 100, 10.0 a second; so far so good", "rows: 200, 10.0 a second; so far so good"}},
		{"JSON", formatJSON, progressAuto, 600, []string{
			`{"type":"progress","what":"rows","done":100,"total":600,"rate":10,"seconds_left":50,"detail":"so far so good"}`,
			`{"type":"progress","what":"rows","done":200,"total":600,"rate":10,"seconds_left":40,"detail":"so far so good"}`,
		}},
		{"none", formatText, progressNone, 600, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				a := &app{errs: &out, format: c.format, bars: c.bars}
				p := a.progress(c.total, "rows")
				p.detail("so far so good")
				for i := range int64(25) {
					time.Sleep(time.Second)
					p.set((i + 1) * 10)
				}
				p.end()
				got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
				if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
					t.Errorf("%q, want %q", got, c.want)
				}
			})
		})
	}
}
