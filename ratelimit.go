package fprom

import "time"

// Bounds of what Retry-After may ask for, and what is waited without it.
const (
	minRetryAfter     = time.Second
	maxRetryAfter     = 15 * time.Minute
	defaultRetryAfter = time.Minute
)
