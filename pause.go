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

// judge begins and ends the pauses of the account. It returns how long the account pauses because of the answer; 0 if it does not.
// Called with mu held.
func (g *gate) judge(a *attempt) (pause time.Duration) {
	switch {
	case a.good():
		g.refused, g.refusedNew, g.probes = 0, 0, 0
		g.reason, g.until = nil, time.Now() // the breaker may stay half-open, if the event is rejected
	case a.class == classThrottled:
		pause = a.wait
	case a.class == classUnauthorized:
		g.refused++
		pause = min(probeInterval<<min(g.refused-1, 6), slowInterval)
	case a.class == classSuspected, a.class == classBusy: // the event or the account is at fault
		g.refused++
		if !a.again { // otherwise it says nothing new
			g.refusedNew++
		}
		switch {
		case g.refused > quickProbes:
			pause = max(a.wait, slowInterval)
		case g.reason != nil, g.refusedNew >= refusalsToPause:
			pause = max(a.wait, probeInterval)
		case a.class == classSuspected:
			g.until = time.Now() // for the next probe of the breaker
		}
	}
	if pause > 0 {
		g.reason = a.err
		g.shut(pause)
	}
	return pause
}
