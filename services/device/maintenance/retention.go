// Package keeping says how long the device service keeps what it writes again and again.
//
// Commands go with their logs when they have been over for long; those that are open stay. Events and calls
// go by their age, and of each device all but the newest. Old readings are rolled up, and forgotten in the
// end. What is one row a device stays as long as the device's row.
package maintenance

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/retention"
)

// Keep says how long things are kept. Zero durations keep for ever.
type Keep struct {
	Raw    time.Duration // readings as they are; then one row a step is left of them
	Step   time.Duration // whole seconds
	Rolled time.Duration // that row

	Commands time.Duration // from when they are over, with their logs
	Events   time.Duration
	Calls    time.Duration
}

// newest bounds the events, the calls and the finished commands of a device, however new they are.
const newest = 100_000

const (
	page = 500 // devices
	each = 200 // devices whose newest are looked after in a sweep
)

// Store drops what is old. Each write is one small transaction.
type Store interface {
	// DeviceIDs gives devices behind after, in order of their ids, deleted ones too.
	DeviceIDs(ctx context.Context, after string, limit int) ([]string, error)

	// Roll leaves of the device's readings before the time one row a step, from which Query answers
	// with the same steps, and with longer ones that hold whole steps. It tells how many readings it
	// rolled up.
	Roll(ctx context.Context, deviceID string, before time.Time, step time.Duration) (int64, error)

	// Forget drops the rows of steps that start before the time.
	Forget(ctx context.Context, deviceID string, before time.Time) error

	// ForgetCommands drops at most so many commands that were over before the time, the oldest first,
	// with their logs, and tells how many.
	ForgetCommands(ctx context.Context, before time.Time, most int) (int64, error)

	// ForgetEvents drops at most so many events of before the time, the oldest first, and tells how many.
	ForgetEvents(ctx context.Context, before time.Time, most int) (int64, error)

	// ForgetCalls drops at most so many calls of before the time, the oldest first, and tells how many.
	ForgetCalls(ctx context.Context, before time.Time, most int) (int64, error)

	// Trim leaves the newest events, the newest calls, and the newest commands and those that are open, of
	// the device. It drops at most so many rows of each kind, and tells how many it dropped.
	Trim(ctx context.Context, deviceID string, newest, most int) (int64, error)
}

// Tasks is what is to be done to keep things for as long and no longer. rolled counts readings that were
// rolled up.
func Tasks(store Store, keep Keep, rolled func(n int)) []retention.Task {
	return []retention.Task{
		{What: "old readings", Do: func(ctx context.Context, now time.Time) error { return readings(ctx, store, keep, now, rolled) }},
		retention.After("finished commands", keep.Commands, store.ForgetCommands),
		retention.After("events of devices", keep.Events, store.ForgetEvents),
		retention.After("calls of API keys", keep.Calls, store.ForgetCalls),
		retention.RoundRobin("what is too much of a device", each, store.DeviceIDs, func(ctx context.Context, id string, most int) (int64, error) {
			return store.Trim(ctx, id, newest, most)
		}),
	}
}

// readings rolls up what is old, and forgets what is older, of all devices.
func readings(ctx context.Context, store Store, keep Keep, now time.Time, rolled func(n int)) error {
	if keep.Raw == 0 && keep.Rolled == 0 {
		return nil
	}
	for after := ""; ; {
		ids, err := store.DeviceIDs(ctx, after, page)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := readingsOf(ctx, store, id, keep, now, rolled); err != nil {
				return err
			}
		}
		after = ids[len(ids)-1]
	}
}

func readingsOf(ctx context.Context, store Store, id string, keep Keep, now time.Time, rolled func(n int)) error {
	if keep.Raw > 0 {
		n, err := store.Roll(ctx, id, now.Add(-keep.Raw), keep.Step)
		rolled(int(n))
		if err != nil {
			return err
		}
	}
	if keep.Rolled > 0 {
		return store.Forget(ctx, id, now.Add(-keep.Rolled))
	}
	return nil
}
