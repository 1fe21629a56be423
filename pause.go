package fprom

import "time"

const (
	// refusalsToPause is how many different events must be refused in a row before the account is paused: fewer may be at
	// fault themselves.
	refusalsToPause = 3
	// quickProbes is how many refusals in a row, of whichever events, keep probes a second apart. After more, the account is
	// at fault, and probes slow down.
	quickProbes   = 250
	probeInterval = time.Second // after a 401 it doubles, up to slowInterval
	slowInterval  = time.Minute
)

// judge begins and ends the pauses of the account. It returns how long the account pauses because of v; 0 if it does not.
// Called with mu held.
func (g *gate) judge(a *attempt, v *verdict) time.Duration {
	switch {
	case v.good():
		if g.backoff, g.refused, g.refusedFirst = 0, 0, 0; g.reason != nil {
			g.reason = nil
			g.callAll()
		}
	case v.class == classThrottled:
		return g.pause(v.wait, v.err)
	case v.class == classUnauthorized:
		g.backoff = min(max(2*g.backoff, probeInterval), slowInterval)
		return g.pause(g.backoff, v.err)
	case v.class == classSuspected, v.class == classBusy:
		return g.refusal(a, v)
	}
	return 0
}

// refusal decides whether the event or the account is at fault. An event that failed before says nothing new about that.
func (g *gate) refusal(a *attempt, v *verdict) time.Duration {
	g.refused++
	if g.reason == nil && !a.failedBefore {
		g.refusedFirst++
	}
	switch {
	case g.reason == nil && g.refusedFirst < refusalsToPause && g.refused <= quickProbes:
		return 0 // perhaps the event
	case g.refused > quickProbes:
		return g.pause(max(v.wait, slowInterval), v.err)
	default:
		return g.pause(max(v.wait, probeInterval), v.err)
	}
}

func (g *gate) pause(d time.Duration, reason error) time.Duration {
	g.reason = reason
	g.shut(d)
	return d
}
