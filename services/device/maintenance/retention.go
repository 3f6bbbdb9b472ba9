package maintenance

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/retention"
)

// RetentionPolicy has the TTL of each kind of row. A zero TTL never expires.
type RetentionPolicy struct {
	Raw    time.Duration // of readings; an expired one is rolled up into one row per step
	Step   time.Duration // of that row, in whole seconds
	Rolled time.Duration // of that row

	Commands time.Duration // from the end of the command; its log expires with it
	Events   time.Duration
	Calls    time.Duration
}

// maxPerDevice bounds the events, the calls and the finished commands of a device, at any age.
const maxPerDevice = 100_000

const (
	devicesPerPage = 500
	trimPerSweep   = 200 // devices that one sweep trims to maxPerDevice
)

// RetentionStore deletes expired rows. Each write is one small transaction.
type RetentionStore interface {
	// DeviceIDs lists devices after an id, in order, with deleted devices.
	DeviceIDs(ctx context.Context, after string, limit int) ([]string, error)

	// Roll replaces the device's readings before the time by one row per step, and returns the number of readings.
	// Query aggregates these rows to the same steps, and to multiples.
	Roll(ctx context.Context, deviceID string, before time.Time, step time.Duration) (int64, error)

	// Forget deletes the rows of steps that start before the time.
	Forget(ctx context.Context, deviceID string, before time.Time) error

	// ForgetCommands deletes at most most commands that ended before the time, the oldest first, with their logs, and
	// returns the number.
	ForgetCommands(ctx context.Context, before time.Time, most int) (int64, error)

	// ForgetEvents deletes at most most events before the time, the oldest first, and returns the number.
	ForgetEvents(ctx context.Context, before time.Time, most int) (int64, error)

	// ForgetCalls deletes at most most calls before the time, the oldest first, and returns the number.
	ForgetCalls(ctx context.Context, before time.Time, most int) (int64, error)

	// Trim deletes all but the newest events, calls and finished commands of the device, at most most of each, and
	// returns the number.
	Trim(ctx context.Context, deviceID string, newest, most int) (int64, error)
}

// RetentionTasks returns the tasks of the policy, for a retention.Sweeper. rolled counts readings that were rolled
// up.
func RetentionTasks(store RetentionStore, policy RetentionPolicy, rolled func(n int)) []retention.Task {
	return []retention.Task{
		{What: "old readings", Do: func(ctx context.Context, now time.Time) error {
			return expireReadings(ctx, store, policy, now, rolled)
		}},
		retention.After("finished commands", policy.Commands, store.ForgetCommands),
		retention.After("events of devices", policy.Events, store.ForgetEvents),
		retention.After("calls of API keys", policy.Calls, store.ForgetCalls),
		retention.RoundRobin("rows over the limit of a device", trimPerSweep, store.DeviceIDs, func(ctx context.Context, id string, most int) (int64, error) {
			return store.Trim(ctx, id, maxPerDevice, most)
		}),
	}
}

func expireReadings(ctx context.Context, store RetentionStore, policy RetentionPolicy, now time.Time, rolled func(n int)) error {
	if policy.Raw == 0 && policy.Rolled == 0 {
		return nil
	}
	for after := ""; ; {
		ids, err := store.DeviceIDs(ctx, after, devicesPerPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if policy.Raw > 0 {
				n, err := store.Roll(ctx, id, now.Add(-policy.Raw), policy.Step)
				rolled(int(n))
				if err != nil {
					return err
				}
			}
			if policy.Rolled > 0 {
				if err := store.Forget(ctx, id, now.Add(-policy.Rolled)); err != nil {
					return err
				}
			}
		}
		after = ids[len(ids)-1]
	}
}
