package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// The values of --progress.
const (
	progressAuto  = "auto"
	progressBar   = "bar"
	progressPlain = "plain"
	progressNone  = "none"
)

const (
	plainEvery = 10 * time.Second
	barEvery   = 200 * time.Millisecond
	barCells   = 20
)

// progress shows on stderr that long work goes on, also while one step takes long: a bar on a terminal, elsewhere a line every ten
// seconds. It is safe for concurrent use.
type progress struct {
	a     *app
	what  string
	bar   bool
	start time.Time
	end   func() // removes the bar; it may be called more than once

	mu          sync.Mutex
	done, total int64  // total 0: not known
	more        string // text behind the figures
	drawn       int    // columns of the bar that is on the terminal
}

func (a *app) progress(what string) *progress {
	p := &progress{a: a, what: what, start: time.Now(), end: func() {}}
	every := plainEvery
	switch {
	case a.bars == progressNone:
		return p
	case a.bars == progressBar, a.bars == progressAuto && a.terminal.errs && os.Getenv("TERM") != "dumb" && a.format == formatText:
		p.bar, every = true, barEvery
	}
	stop, over := make(chan struct{}), make(chan struct{})
	p.end = sync.OnceFunc(func() {
		close(stop)
		<-over
		p.clear()
	})
	a.shown.Store(p)
	go func() {
		defer close(over)
		for t := time.Tick(every); ; {
			select {
			case <-stop:
				return
			case now := <-t:
				p.show(now)
			}
		}
	}()
	return p
}

// set says how much is done, of how much, and a text behind the figures.
func (p *progress) set(done, total int64, more string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.total, p.more = done, total, more
}

// clear removes the bar until it is drawn again.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn > 0 {
		_, _ = fmt.Fprintf(p.a.errs, "\r%*s\r", p.drawn, "")
		p.drawn = 0
	}
}

// show draws the bar again, or writes a line.
func (p *progress) show(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rate := float64(p.done) / now.Sub(p.start).Seconds()
	left := time.Duration(-1)
	if p.total > 0 && p.done > 0 {
		left = time.Duration(float64(p.total-p.done) / rate * float64(time.Second))
	}
	switch {
	case p.bar:
		columns, _, err := term.GetSize(int(os.Stderr.Fd()))
		if err != nil || columns < 2 {
			columns = 80
		}
		p.drawn = columns - 1
		text := []rune(p.text(rate, left))
		_, _ = fmt.Fprintf(p.a.errs, "\r%-*s", p.drawn, string(text[:min(len(text), p.drawn)]))
	case isJSON(p.a.format):
		v := struct {
			What  string   `json:"what"`
			Done  int64    `json:"done"`
			Total *int64   `json:"total"`
			Rate  float64  `json:"rate"`         // a second
			Left  *float64 `json:"seconds_left"` // null: not known
			More  string   `json:"detail,omitempty"`
		}{What: p.what, Done: p.done, Rate: rate, More: p.more}
		if p.total > 0 {
			v.Total = &p.total
		}
		if left >= 0 {
			v.Left = new(left.Seconds())
		}
		_ = writeLine(p.a.errs, "progress", v)
	default:
		_, _ = fmt.Fprintln(p.a.errs, p.text(rate, left))
	}
}

func (p *progress) text(rate float64, left time.Duration) string {
	bar, of, rest := "", "", ""
	if p.total > 0 {
		of = fmt.Sprintf(" of %d", p.total)
	}
	if p.bar && p.total > 0 && p.drawn > 75 { // else the figures have no room
		n := int(barCells * min(p.done, p.total) / p.total)
		bar = "[" + strings.Repeat("=", n) + strings.Repeat(" ", barCells-n) + "] "
	}
	if left >= 0 {
		rest = ", " + span(left) + " left"
	}
	if p.more != "" {
		rest += "; " + p.more
	}
	return fmt.Sprintf("%s: %s%d%s, %.1f a second%s", p.what, bar, p.done, of, rate, rest)
}

// colours says whether stdout and stderr may have colours. The console of Windows may show their escape sequences as text.
func (a *app) colours() bool {
	return runtime.GOOS != "windows" && a.terminal.out && a.terminal.errs && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
