package bus

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
)

// backoff returns the delay after a number of failures in a row (from 1), with jitter.
func backoff(failures int, minimum, maximum time.Duration) time.Duration {
	return clock.Backoff(failures, minimum, maximum, rand.Float64())
}

func pause(ctx context.Context, d time.Duration) { _ = clock.Sleep(ctx, clock.System{}, d) }
