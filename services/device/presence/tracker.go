package presence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/worker"
)

// Store stores the states. Each method is one transaction; devices that are not there are passed over.
type Store interface {
	// ChangePresence stores what next makes of the states of the devices, notes when they were seen, and tells
	// others where State.Published changes. Of one device, changes happen one after another.
	ChangePresence(ctx context.Context, deviceIDs []string, now time.Time, next Next) error

	// Present returns the devices that are ONLINE or due.
	Present(ctx context.Context) ([]string, error)

	// Due returns devices whose time has come, at most limit.
	Due(ctx context.Context, now time.Time, limit int) ([]string, error)
}

// Next decides about a device's state, and when the device was seen; nil when it was not. It
// may be called again for the same device, so it must not act.
type Next func(deviceID string, s State) (after State, seen *time.Time)

// Broker knows who is connected.
type Broker interface {
	// Connected returns the devices that are connected and since when.
	Connected(ctx context.Context) (map[string]time.Time, error)
}

// Options are the times. All must be given.
type Options struct {
	Grace   time.Duration // how long a device that disconnected may take to reconnect
	Wait    time.Duration // how long, after a restart
	Sweep   time.Duration // how often those who are due are looked for
	Compare time.Duration // how often the states are compared with who is connected

	// Welcome does what a device that has come waits for. It may be called again.
	Welcome func(ctx context.Context, deviceID string) error
}

const (
	waiting    = 20_000           // signals that may wait to be stored; further callers wait
	maxBatches = 20               // batches of one pass
	atOnce     = 500              // devices in one transaction
	coarse     = 30 * time.Second // how exact it is when a device was last seen
	forgotten  = 10 * time.Minute // after which it is forgotten that a device was heard
)

// Tracker keeps the states up to date. It is safe for concurrent use.
type Tracker struct {
	store   Store
	broker  Broker
	clock   clock.Clock
	logger  *slog.Logger
	options Options
	signals chan Signal
	wakeup  worker.Wakeup

	// The state of the loop, which one goroutine uses.
	pending            map[string][]Signal // a batch whose write has failed
	sweepAt, compareAt time.Time

	mu     sync.Mutex
	active map[string]time.Time // when a device last sent an Active signal that was passed on
}

// NewTracker returns a keeper, whose loop a worker runs.
func NewTracker(store Store, broker Broker, clock clock.Clock, logger *slog.Logger, options Options) *Tracker {
	return &Tracker{
		store: store, broker: broker, clock: clock, logger: logger, options: options,
		signals: make(chan Signal, waiting), wakeup: worker.NewWakeup(), active: map[string]time.Time{},
	}
}

// Notice takes signals. It waits while too many wait already, and returns early when ctx ends.
func (k *Tracker) Notice(ctx context.Context, signals ...Signal) {
	for _, signal := range signals {
		if !k.isNew(signal) {
			continue
		}
		select {
		case k.signals <- signal:
			k.wakeup.Wake()
		case <-ctx.Done():
			return
		}
	}
}

// isNew reports whether the signal says more than what was passed on a moment ago.
func (k *Tracker) isNew(signal Signal) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if signal.Kind != Active {
		delete(k.active, signal.DeviceID)
		return true
	}
	if last, known := k.active[signal.DeviceID]; known && signal.At.Before(last.Add(coarse)) {
		return false
	}
	k.active[signal.DeviceID] = signal.At
	return true
}

// Loop describes the background loop of the keeper. A pass stores the signals that wait, and then, when they are due,
// finds devices that have gone and compares the states with the connections. Signals whose write fails are retried.
func (k *Tracker) Loop() worker.Loop {
	return worker.Loop{Name: "presence", Pass: k.pass, Interval: min(k.options.Sweep, k.options.Compare), Wakeup: k.wakeup, MaxBackoff: time.Second}
}

func (k *Tracker) pass(ctx context.Context) error {
	now := time.Now()
	if k.compareAt.IsZero() {
		if err := k.compare(ctx, true); err != nil {
			return fmt.Errorf("compare presence with connections after the start: %w", err)
		}
		k.sweepAt, k.compareAt = now.Add(k.options.Sweep), now.Add(k.options.Compare)
	}
	if err := k.storeSignals(ctx); err != nil {
		return fmt.Errorf("store presence: %w", err)
	}
	var failures []error
	if !now.Before(k.sweepAt) {
		k.sweepAt = now.Add(k.options.Sweep)
		failures = append(failures, k.expire(ctx))
	}
	if !now.Before(k.compareAt) {
		k.compareAt = now.Add(k.options.Compare)
		failures = append(failures, k.compare(ctx, false))
	}
	return errors.Join(failures...)
}

// storeSignals writes the signals that wait in batches, maxBatches of them at most so that they do not hold back the
// rest of the pass. A batch whose write fails stays pending.
func (k *Tracker) storeSignals(ctx context.Context) error {
	for range maxBatches {
		if k.pending = k.fillBatch(k.pending); len(k.pending) == 0 {
			return nil
		}
		if err := k.storeBatch(ctx, k.pending); err != nil {
			return err
		}
		k.pending = nil
	}
	k.wakeup.Wake()
	return nil
}

func (k *Tracker) logFailure(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		k.logger.Warn("presence: cannot "+what, "error", err)
	}
}

// fillBatch adds the signals that wait to a batch, up to the size of one transaction.
func (k *Tracker) fillBatch(batch map[string][]Signal) map[string][]Signal {
	if batch == nil {
		batch = map[string][]Signal{}
	}
	for len(batch) < atOnce {
		select {
		case s := <-k.signals:
			batch[s.DeviceID] = append(batch[s.DeviceID], s)
		default:
			return batch
		}
	}
	return batch
}

func (k *Tracker) storeBatch(ctx context.Context, batch map[string][]Signal) error {
	connected := map[string]bool{}
	err := k.store.ChangePresence(ctx, keys(batch), k.clock.Now(), func(id string, s State) (State, *time.Time) {
		var seen *time.Time
		after, back := s, false
		for _, signal := range batch[id] {
			after = after.After(signal, k.options.Grace)
			back = back || signal.Kind == Connected || signal.Kind == Active && s.Presence != Online
			if signal.Kind != Disconnected && (seen == nil || signal.At.After(*seen)) {
				seen = &signal.At
			}
		}
		if back && after.Presence == Online {
			connected[id] = true
		}
		return after, seen
	})
	if err != nil {
		return err
	}
	for id := range connected {
		k.logFailure(ctx, "welcome "+id, k.options.Welcome(ctx, id))
	}
	return nil
}

// expire makes OFFLINE who is due, but for those that the broker knows.
func (k *Tracker) expire(ctx context.Context) error {
	now := k.clock.Now()
	due, err := k.store.Due(ctx, now, atOnce)
	if err != nil || len(due) == 0 {
		return err
	}
	connected, err := k.broker.Connected(ctx)
	if err != nil {
		return err
	}
	return k.store.ChangePresence(ctx, due, now, func(id string, s State) (State, *time.Time) {
		if _, there := connected[id]; there && s.Due != nil {
			return s.After(Signal{DeviceID: id, Kind: Active, At: now}, k.options.Grace), nil
		}
		return s.Expired(now), nil
	})
}

// compare finds devices whose connection or disconnection was not noticed.
func (k *Tracker) compare(ctx context.Context, started bool) error {
	now := k.clock.Now()
	connected, err := k.broker.Connected(ctx)
	if err != nil {
		return err
	}
	present, err := k.store.Present(ctx)
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(present))
	var missing []string
	for _, id := range present {
		known[id] = true
		if _, there := connected[id]; !there {
			missing = append(missing, id)
		}
	}
	k.dropInactive(now)
	return errors.Join(k.markConnected(ctx, connected, known), k.markUnconfirmed(ctx, missing, now, started))
}

func (k *Tracker) markConnected(ctx context.Context, connected map[string]time.Time, known map[string]bool) error {
	batch := map[string][]Signal{}
	for id, since := range connected {
		if known[id] {
			continue
		}
		batch[id] = []Signal{{DeviceID: id, Kind: Connected, At: since}}
		if len(batch) < atOnce {
			continue
		}
		if err := k.storeBatch(ctx, batch); err != nil {
			return err
		}
		clear(batch)
	}
	if len(batch) == 0 {
		return nil
	}
	return k.storeBatch(ctx, batch)
}

// MarkUnconfirmed records that a process which held connections of the devices has died. Those without another connection are
// UNKNOWN until they reconnect, and OFFLINE after Options.Wait.
func (k *Tracker) MarkUnconfirmed(ctx context.Context, deviceIDs []string) error {
	connected, err := k.broker.Connected(ctx)
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(deviceIDs, func(id string) bool { _, there := connected[id]; return there })
	return k.markUnconfirmed(ctx, missing, k.clock.Now(), true)
}

func (k *Tracker) markUnconfirmed(ctx context.Context, missing []string, now time.Time, started bool) error {
	for len(missing) > 0 {
		n := min(len(missing), atOnce)
		err := k.store.ChangePresence(ctx, missing[:n], now, func(_ string, s State) (State, *time.Time) {
			if started {
				return s.Doubted(now, k.options.Wait), nil
			}
			return s.Missed(now, k.options.Grace), nil
		})
		if err != nil {
			return fmt.Errorf("doubt who is not connected: %w", err)
		}
		missing = missing[n:]
	}
	return nil
}

func (k *Tracker) dropInactive(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, at := range k.active {
		if now.Sub(at) > forgotten {
			delete(k.active, id)
		}
	}
}

func keys(batch map[string][]Signal) []string {
	ids := make([]string, 0, len(batch))
	for id := range batch {
		ids = append(ids, id)
	}
	return ids
}
