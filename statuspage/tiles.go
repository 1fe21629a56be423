package statuspage

import (
	"cmp"
	"fmt"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
	"github.com/fprom-go/fprom/internal/verdict"
)

// tiles are the figures at the top of the page.
func (p *page) tiles(s snapshot) []tile {
	tiles := []tile{
		lostTile(s.service), p.oldestTile(s), successTile(s), waitingTile(s.queue),
		deadTile(s.queue), p.limitTile(s), breakerTile(s.queue), pauseTile(s.queue, s.at),
	}
	if s.compare != nil {
		tiles = append(tiles, s.compare.tile(s.at))
	}
	return tiles
}

func lostTile(t *fprom.Stats) tile {
	if t == nil {
		return tile{"Lost", "–", "only the service knows", ""}
	}
	if t.Lost == 0 {
		return tile{"Lost", "0", "since the service started", verdict.OK}
	}
	return tile{"Lost", verdict.Grouped(int(t.Lost)), "since the service started", verdict.Fail}
}

func (p *page) oldestTile(s snapshot) tile {
	switch {
	case s.queue.Oldest.IsZero():
		return tile{"Oldest waiting", "–", "nothing waits", verdict.OK}
	case s.late(p.OldestAge):
		return tile{"Oldest waiting", verdict.Age(s.at.Sub(s.queue.Oldest)), "more than " + verdict.Age(p.OldestAge), verdict.Fail}
	default:
		return tile{"Oldest waiting", verdict.Age(s.at.Sub(s.queue.Oldest)), "fine up to " + verdict.Age(p.OldestAge), verdict.OK}
	}
}

func successTile(s snapshot) tile {
	if s.queue.LastSuccess.IsZero() {
		return tile{"Last success", "–", "none known", ""}
	}
	return tile{"Last success", verdict.Age(s.at.Sub(s.queue.LastSuccess)) + " ago", s.queue.LastSuccess.UTC().Format("Jan 2 15:04 UTC"), verdict.OK}
}

func waitingTile(q fprom.QueueStats) tile {
	note := "to be sent"
	if q.Bulk > 0 {
		note = fmt.Sprintf("and %s of a bulk load", verdict.Grouped(q.Bulk))
	}
	return tile{"Waiting", verdict.Grouped(q.Pending), note, ""}
}

func deadTile(q fprom.QueueStats) tile {
	if q.Dead == 0 {
		return tile{"Dead letters", "0", "none was given up", verdict.OK}
	}
	return tile{"Dead letters", verdict.Grouped(q.Dead), "given up, see below", verdict.Warn}
}

func (p *page) limitTile(s snapshot) tile {
	if s.queue.LastMinute == nil {
		return tile{"Calls last minute", "–", "only the service knows", ""}
	}
	note := "of " + verdict.Grouped(p.RequestsPerMinute) + " allowed"
	if s.own {
		note = "by this process, " + note
	}
	return tile{"Calls last minute", verdict.Grouped(*s.queue.LastMinute), note, ""}
}

func breakerTile(q fprom.QueueStats) tile {
	switch q.Breaker {
	case "":
		return tile{"Circuit breaker", "–", "only the service knows", ""}
	case "closed":
		return tile{"Circuit breaker", "closed", "calls go through", verdict.OK}
	case "half-open":
		return tile{"Circuit breaker", "half-open", "one call probes", verdict.Warn}
	default:
		return tile{"Circuit breaker", q.Breaker, "FirstPromoter fails", verdict.Warn}
	}
}

func pauseTile(q fprom.QueueStats, now time.Time) tile {
	switch {
	case !q.PausedUntil.IsZero():
		return tile{"Pause", verdict.UntilWhen(q.PausedUntil, now), safelog.Shorten(safelog.WithoutName(q.PauseReason), 80), verdict.Warn}
	case !q.Delivering:
		return tile{"Delivery", "off", safelog.Shorten(cmp.Or(safelog.WithoutName(q.PauseReason), "no process delivers"), 80), verdict.Warn}
	default:
		return tile{"Pause", "none", "delivery is on", verdict.OK}
	}
}
