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
		total, steps       int64
		want               []string
	}{
		{"text", formatText, progressAuto, 600, 24, []string{
			"rows: 100 of 600, 10.0 a second, 50 s left; so far so good", "rows: 200 of 600, 10.0 a second, 40 s left; so far so good",
		}},
		{"no total", formatText, progressPlain, 0, 24, []string{"rows: 100, 10.0 a second; so far so good", "rows: 200, 10.0 a second; so far so good"}},
		{"JSON", formatJSON, progressAuto, 600, 24, []string{
			`{"type":"progress","what":"rows","done":100,"total":600,"rate":10,"seconds_left":50,"detail":"so far so good"}`,
			`{"type":"progress","what":"rows","done":200,"total":600,"rate":10,"seconds_left":40,"detail":"so far so good"}`,
		}},
		{"a step that takes long", formatText, progressAuto, 600, 1, []string{
			"rows: 10 of 600, 1.0 a second, 9 min 50 s left; so far so good", "rows: 10 of 600, 0.5 a second, 19 min 40 s left; so far so good",
		}},
		{"none", formatText, progressNone, 600, 24, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				a := &app{errs: &out, format: c.format, bars: c.bars}
				p := a.progress("rows")
				time.Sleep(500 * time.Millisecond)
				for i := range c.steps {
					p.set((i+1)*10, c.total, "so far so good")
					time.Sleep(time.Second)
				}
				time.Sleep(25*time.Second - time.Since(p.start)) // the last step takes long
				p.end()
				synctest.Wait()
				got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
				if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
					t.Errorf("%q, want %q", got, c.want)
				}
			})
		})
	}
}
