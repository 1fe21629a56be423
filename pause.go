package fprom

import "time"

const (
	// refusalsToPause is how many different events must be refused in a row before the account is paused: fewer may be at
	// fault themselves.
	refusalsToPause = 3
	// anyToPause is how many refusals in a row, of whichever events, pause the account: fewer may be repeats of one bad event.
	anyToPause = 50
	// quickProbes is how many refusals in a row, of whichever events, keep probes a second apart. After more, the account is
	// at fault, and probes slow down. One 401 counts as that many.
	quickProbes   = 250
	probeInterval = time.Second // it doubles with each refusal after quickProbes, up to slowInterval
	slowInterval  = time.Minute
)

// judge begins and ends the pauses of the account. It returns how long the account pauses because of the answer; 0 if it does not.
// Called with mu held.
func (g *gate) judge(a *attempt) (pause time.Duration) {
	switch {
	case a.good():
		g.refused, g.refusedNew, g.probes = 0, 0, 0
		g.reason, g.until = nil, time.Now() // the breaker may stay half-open, if the event is rejected
	case a.class == classThrottled:
		pause = a.wait
	case a.class == classSuspected, a.class == classUnauthorized, a.class == classBusy: // the event or the account is at fault
		if g.refused++; a.class == classUnauthorized {
			g.refused = max(g.refused, quickProbes)
		}
		if !a.tried { // the refusal of a repeated attempt says nothing new
			g.refusedNew++
		}
		if g.reason != nil || g.refusedNew >= refusalsToPause || g.refused >= anyToPause {
			pause = max(a.wait, min(probeInterval<<min(max(g.refused-quickProbes, 0), 6), slowInterval))
		} else if a.class == classSuspected {
			g.until = time.Now() // so that the next probe of the breaker need not wait
		}
	}
	if pause > 0 {
		g.reason = a.err
		g.shut(pause)
	}
	return pause
}
