package fprom

import "time"

const (
	// refusalsToPause is how many different events must be refused in a row before the account is paused: fewer can be the
	// events' own fault.
	refusalsToPause = 3
	// quickProbes is how many events probe a second apart. If all were refused it is the account, and probes slow down.
	quickProbes      = 250
	maxProbeInterval = time.Minute
)

// judge begins and ends the pauses of the account. It returns how long the account pauses by v; 0 if it does not. Called
// with mu held.
func (g *gate) judge(m Message, s standing, v *verdict) time.Duration {
	slow := max(maxProbeInterval, g.firstProbe)
	switch {
	case v.good():
		clear(g.row)
		g.reason, g.backoff, g.refused = nil, 0, 0
		g.changed.broadcast()
	case v.class == classBusy, v.class == classThrottled:
		return g.pause(v.wait, v.err)
	case v.class == classUnauthorized:
		g.backoff = min(max(2*g.backoff, g.firstProbe), slow)
		return g.pause(g.backoff, v.err)
	case v.class == classSuspected && g.reason != nil:
		if g.refused++; g.refused > quickProbes {
			return g.pause(slow, v.err)
		}
		return g.pause(g.firstProbe, v.err)
	case v.class == classSuspected && !s.tried: // one that was refused before says nothing new
		if g.row[m.Key] = struct{}{}; len(g.row) >= refusalsToPause {
			return g.pause(g.firstProbe, v.err)
		}
	}
	return 0
}

// pause begins the pause, or prolongs it.
func (g *gate) pause(d time.Duration, reason error) time.Duration {
	g.reason = reason
	g.shut(d)
	return d
}
