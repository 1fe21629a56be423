package fprom

import "time"

const (
	// refusalsToPause is how many different events must be refused in a row before the account is paused: fewer can be the
	// events' own fault.
	refusalsToPause = 3
	// quickProbes is how many events probe a second apart. If so many were refused without a good answer between, whichever
	// they are, it is the account, and probes slow down.
	quickProbes   = 250
	probeInterval = time.Second // after a 401 it doubles, up to slowProbes
	slowProbes    = time.Minute
)

// judge begins and ends the pauses of the account. It returns how long the account pauses by v; 0 if it does not. Called
// with mu held.
func (g *gate) judge(m Message, s standing, v *verdict) time.Duration {
	switch {
	case v.good():
		clear(g.row)
		g.reason, g.backoff, g.refused = nil, 0, 0
		g.changed.broadcast()
	case v.class == classThrottled:
		return g.pause(v.wait, v.err)
	case v.class == classUnauthorized:
		g.backoff = min(max(2*g.backoff, probeInterval), slowProbes)
		return g.pause(g.backoff, v.err)
	case v.class == classSuspected, v.class == classBusy:
		g.refused++
		many := g.refused > quickProbes
		switch {
		case g.reason == nil && !g.inARow(m, s) && !many:
		case v.class == classBusy:
			return g.pause(v.wait, v.err)
		case many:
			return g.pause(slowProbes, v.err)
		default:
			return g.pause(probeInterval, v.err)
		}
	}
	return 0
}

// inARow notes that m was refused, and reports whether that is the account's: one that was refused before says nothing new.
func (g *gate) inARow(m Message, s standing) bool {
	if !s.tried {
		g.row[m.Key] = struct{}{}
	}
	return !s.tried && len(g.row) >= refusalsToPause
}

func (g *gate) pause(d time.Duration, reason error) time.Duration {
	g.reason = reason
	g.shut(d)
	return d
}
