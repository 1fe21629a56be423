package statuspage

import (
	"cmp"
	"fmt"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
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
		return tile{"Lost", "0", "since the service started", levelOK}
	}
	return tile{"Lost", grouped(int(t.Lost)), "since the service started", levelFail}
}

func (p *page) oldestTile(s snapshot) tile {
	switch {
	case s.queue.Oldest.IsZero():
		return tile{"Oldest waiting", "–", "nothing waits", levelOK}
	case s.late(p.OldestAge):
		return tile{"Oldest waiting", age(s.at.Sub(s.queue.Oldest)), "more than " + age(p.OldestAge), levelFail}
	default:
		return tile{"Oldest waiting", age(s.at.Sub(s.queue.Oldest)), "fine up to " + age(p.OldestAge), levelOK}
	}
}

func successTile(s snapshot) tile {
	if s.queue.LastSuccess.IsZero() {
		return tile{"Last success", "–", "none known", ""}
	}
	return tile{"Last success", age(s.at.Sub(s.queue.LastSuccess)) + " ago", s.queue.LastSuccess.UTC().Format("Jan 2 15:04 UTC"), levelOK}
}

func waitingTile(q fprom.QueueStats) tile {
	note := "to be sent"
	if q.Bulk > 0 {
		note = fmt.Sprintf("and %s of a bulk load", grouped(q.Bulk))
	}
	return tile{"Waiting", grouped(q.Pending), note, ""}
}

func deadTile(q fprom.QueueStats) tile {
	if q.Dead == 0 {
		return tile{"Dead letters", "0", "none was given up", levelOK}
	}
	return tile{"Dead letters", grouped(q.Dead), "given up, see below", levelWarn}
}

func (p *page) limitTile(s snapshot) tile {
	if s.queue.LastMinute == nil {
		return tile{"Calls last minute", "–", "only the service knows", ""}
	}
	note := "of " + grouped(p.RequestsPerMinute) + " allowed"
	if s.own {
		note = "by this process, " + note
	}
	return tile{"Calls last minute", grouped(*s.queue.LastMinute), note, ""}
}

func breakerTile(q fprom.QueueStats) tile {
	switch q.Breaker {
	case "":
		return tile{"Circuit breaker", "–", "only the service knows", ""}
	case "closed":
		return tile{"Circuit breaker", "closed", "calls go through", levelOK}
	case "half-open":
		return tile{"Circuit breaker", "half-open", "one call probes", levelWarn}
	default:
		return tile{"Circuit breaker", q.Breaker, "FirstPromoter fails", levelWarn}
	}
}

func pauseTile(q fprom.QueueStats, now time.Time) tile {
	switch {
	case !q.PausedUntil.IsZero():
		return tile{"Pause", untilWhen(q.PausedUntil, now), clip(safelog.WithoutName(q.PauseReason), 80), levelWarn}
	case !q.Delivering:
		return tile{"Delivery", "off", clip(cmp.Or(safelog.WithoutName(q.PauseReason), "no process delivers"), 80), levelWarn}
	default:
		return tile{"Pause", "none", "delivery is on", levelOK}
	}
}
