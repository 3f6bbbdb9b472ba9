package job

import "time"

// Bounds of the wait between two attempts.
const (
	minBackoff = time.Second
	maxBackoff = 5 * time.Minute
)

// backoff is how long to wait after a failed attempt (from 1): a second, and twice as long each time
// up to 5 minutes, less up to a half, by jitter in [0, 1), so that jobs that failed together do not
// come back together.
func backoff(attempt int, jitter float64) time.Duration {
	wait := minBackoff
	for i := 1; i < attempt && wait < maxBackoff; i++ {
		wait *= 2
	}
	wait = min(wait, maxBackoff)
	return (wait - time.Duration(jitter*float64(wait)/2)).Truncate(time.Microsecond)
}
