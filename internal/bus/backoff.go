package bus

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is how long to wait after so many failures in a row (from 1): twice as long each time, up
// to most, less a random part of up to a half so that those who failed together do not come together.
func backoff(failures int, least, most time.Duration) time.Duration {
	wait := least
	for i := 1; i < failures && wait < most; i++ {
		wait *= 2
	}
	wait = min(wait, most)
	return wait - rand.N(wait/2+1)
}

// pause waits, or less when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
