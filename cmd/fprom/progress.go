package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// The values of --progress.
const (
	progressAuto  = "auto"
	progressBar   = "bar"
	progressPlain = "plain"
	progressNone  = "none"
)

var progressModes = []string{progressAuto, progressBar, progressPlain, progressNone}

const plainEvery = 10 * time.Second

// progress shows on stderr that long work goes on: a bar on a terminal, elsewhere a line every ten seconds.
// It is safe for concurrent use.
type progress struct {
	a     *app
	what  string
	total int64 // 0: not known
	mode  string
	start time.Time

	mu    sync.Mutex
	done  int64
	more  string // text behind the figures
	bar   *progressbar.ProgressBar
	ended chan struct{} // closed at the end
}

func (a *app) progress(total int64, what string) *progress {
	p := &progress{a: a, what: what, total: total, mode: a.bars, start: time.Now(), ended: make(chan struct{})}
	if p.mode == progressAuto {
		p.mode = progressPlain
		if n := a.columns(); a.terminal.errs && os.Getenv("TERM") != "dumb" && a.format == formatText && (n == 0 || n >= figures+10) {
			p.mode = progressBar
		}
	}
	if p.mode == progressPlain {
		go p.tick()
	}
	if p.mode == progressBar {
		limit := total
		if limit <= 0 {
			limit = -1
		}
		p.bar = progressbar.NewOptions64(limit,
			progressbar.OptionSetWriter(a.errs), progressbar.OptionSetDescription(what), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionEnableColorCodes(a.colours()), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(100*time.Millisecond))
	}
	return p
}

// expect sets the total.
func (p *progress) expect(total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.total = total; p.bar != nil && !p.isOver() {
		p.bar.ChangeMax64(max(total, 1))
	}
}

// detail sets the text behind the figures.
func (p *progress) detail(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.more = text; p.bar != nil && !p.isOver() {
		p.bar.Describe(p.a.fit(p.what + " (" + text + ")"))
	}
}

const figures = 56 // the longest of a bar

// fit cuts the text of a bar, so that all of the bar is in one line: only that is overwritten.
func (a *app) fit(text string) string {
	r, width := []rune(text), a.columns()
	if room := max(width-figures, 10); width > 0 && len(r) > room {
		return string(r[:room-1]) + "…"
	}
	return text
}

// columns is the width of the terminal; 0 if it is not known.
func (a *app) columns() int {
	if f, ok := a.errs.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil {
			return n
		}
	}
	return 0
}

// set sets how much is done.
func (p *progress) set(done int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = done
	if p.bar != nil && !p.isOver() {
		_ = p.bar.Set64(done)
	}
}

// tick writes a line every ten seconds, also while one step takes long.
func (p *progress) tick() {
	t := time.NewTicker(plainEvery)
	defer t.Stop()
	for {
		select {
		case <-p.ended:
			return
		case now := <-t.C:
			p.mu.Lock()
			if !p.isOver() {
				p.line(now)
			}
			p.mu.Unlock()
		}
	}
}

func (p *progress) isOver() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// line writes one line of progress. The caller holds mu.
func (p *progress) line(now time.Time) {
	elapsed := now.Sub(p.start)
	rate := float64(p.done) / elapsed.Seconds()
	left := time.Duration(-1)
	if p.total > 0 && p.done > 0 {
		left = time.Duration(float64(p.total-p.done) / rate * float64(time.Second))
	}
	if isJSON(p.a.format) {
		v := struct {
			Type  string   `json:"type"`
			What  string   `json:"what"`
			Done  int64    `json:"done"`
			Total *int64   `json:"total"`
			Rate  float64  `json:"rate"`         // a second
			Left  *float64 `json:"seconds_left"` // null: not known
			More  string   `json:"detail,omitempty"`
		}{Type: "progress", What: p.what, Done: p.done, Rate: rate, More: p.more}
		if p.total > 0 {
			v.Total = &p.total
		}
		if left >= 0 {
			v.Left = new(left.Seconds())
		}
		_ = json.NewEncoder(p.a.errs).Encode(v)
		return
	}
	of, rest := "", ""
	if p.total > 0 {
		of = fmt.Sprintf(" of %d", p.total)
	}
	if left >= 0 {
		rest = ", " + span(left) + " left"
	}
	if p.more != "" {
		rest += "; " + p.more
	}
	_, _ = fmt.Fprintf(p.a.errs, "%s: %d%s, %.1f a second%s\n", p.what, p.done, of, rate, rest)
}

// end removes the bar. It may be called more than once.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isOver() {
		return
	}
	close(p.ended)
	if p.bar != nil {
		_ = p.bar.Exit()
		_ = p.bar.Clear()
	}
}

// colours says whether stdout and stderr may have colours.
func (a *app) colours() bool {
	return a.terminal.out && a.terminal.errs && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
