package ingress

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
)

// writes joins writes of sessions and of events into one transaction, so that a reconnect of all devices, or a flood
// of refusals, does not delay the commits of messages in a database with one writer.
type writes struct {
	group  func(ctx context.Context, change func(ctx context.Context) error) error
	logger *slog.Logger
	queue  chan *write
}

type write struct {
	deviceID string
	run      func(ctx context.Context) error // it may run twice
	err      error
	done     chan struct{} // closed when err is final; nil when no caller waits
}

const (
	maxWrites    = 64 // in one transaction
	queuedWrites = 1_000
)

func newWrites(sessions Sessions, logger *slog.Logger) *writes {
	return &writes{group: sessions.Group, logger: logger, queue: make(chan *write, queuedWrites)}
}

// do executes a write, and waits for its commit.
func (w *writes) do(ctx context.Context, deviceID string, run func(ctx context.Context) error) error {
	one := &write{deviceID: deviceID, run: run, done: make(chan struct{})}
	select {
	case w.queue <- one:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-one.done:
		return one.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enqueue executes a write soon. It does not wait, and returns false when the queue is full.
func (w *writes) enqueue(deviceID string, run func(ctx context.Context) error) bool {
	select {
	case w.queue <- &write{deviceID: deviceID, run: run}:
		return true
	default:
		return false
	}
}

func (w *writes) loop(ctx context.Context) {
	for {
		select {
		case first := <-w.queue:
			together := []*write{first}
			for len(w.queue) > 0 && len(together) < maxWrites {
				together = append(together, <-w.queue)
			}
			w.commit(ctx, together)
		case <-ctx.Done():
			return
		}
	}
}

// commit executes the writes in the order of their devices, so that two processes do not deadlock.
func (w *writes) commit(ctx context.Context, together []*write) {
	slices.SortStableFunc(together, func(a, b *write) int { return cmp.Compare(a.deviceID, b.deviceID) })
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	err := w.group(attempt, func(ctx context.Context) error {
		for _, one := range together {
			one.err = one.run(ctx)
		}
		return ctx.Err()
	})
	for _, one := range together {
		if err != nil {
			one.err = err
		}
		if one.done != nil {
			close(one.done)
		} else if one.err != nil {
			w.logger.Warn("an event of a device is not noted", "device", one.deviceID, "error", one.err)
		}
	}
}
