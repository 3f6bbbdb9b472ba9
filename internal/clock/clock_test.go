package clock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
)

func TestManualClockAdvancedEndsSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clock.NewManual(time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC))
		ended := make(chan error, 1)
		go func() { ended <- clock.Sleep(t.Context(), c, time.Minute) }()
		synctest.Wait()
		c.Advance(59 * time.Second)
		synctest.Wait()
		if len(ended) != 0 {
			t.Fatal("the sleep ended one second early")
		}
		c.Advance(time.Second)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestSleepContextCancelledReturnsItsError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []clock.Clock{clock.System{}, &clock.Manual{}} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := clock.Sleep(ctx, c, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%T: %v", c, err)
			}
			cancel()
			if err := clock.Sleep(ctx, c, 0); err == nil {
				t.Errorf("%T: a sleep under an ended context returned no error", c)
			}
		}
	})
}

func TestBackoffFailuresGrowDoublesUpToMaximum(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{1: 1, 2: 2, 3: 4, 4: 8, 5: 10, 60: 10} {
		got := clock.Backoff(failures, time.Second, 10*time.Second, 0)
		if got != want*time.Second {
			t.Errorf("after %d failures: %v, want %v", failures, got, want*time.Second)
		}
		if half := clock.Backoff(failures, time.Second, 10*time.Second, 0.9999); half < got/2 || half >= got {
			t.Errorf("after %d failures with jitter: %v of %v", failures, half, got)
		}
	}
}
