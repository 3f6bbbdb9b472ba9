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

// Store persists states. Each method is one transaction; unknown devices are skipped.
type Store interface {
	// ChangePresence applies next to the states of the devices, updates their last-seen times, and emits an event
	// when State.Published changes. Changes of one device are serial.
	ChangePresence(ctx context.Context, deviceIDs []string, now time.Time, next Next) error

	// Present returns the devices that are ONLINE or have a due time.
	Present(ctx context.Context) ([]string, error)

	// Due returns at most limit devices whose due time has passed.
	Due(ctx context.Context, now time.Time, limit int) ([]string, error)
}

// Next returns the new state of a device and its last-seen time; nil leaves that unchanged. The store may retry it,
// so it must have no side effects.
type Next func(deviceID string, s State) (after State, seen *time.Time)

// Broker lists connections.
type Broker interface {
	// Connected returns the connected devices, with the time of their connection.
	Connected(ctx context.Context) (map[string]time.Time, error)
}

// Options are the times. All are required.
type Options struct {
	Grace   time.Duration // until a disconnected device is OFFLINE
	Wait    time.Duration // the same after a restart
	Sweep   time.Duration // interval of the search for due devices
	Compare time.Duration // interval of the comparison of states with connections

	// Welcome runs the tasks that wait for the device to connect. It must be idempotent.
	Welcome func(ctx context.Context, deviceID string) error
}

const (
	waiting    = 20_000           // buffered signals; beyond it callers block
	maxBatches = 20               // batches per pass
	atOnce     = 500              // devices per transaction
	coarse     = 30 * time.Second // resolution of the last-seen time
	forgotten  = 10 * time.Minute // after which an inactive device is dropped from memory
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

	// Only the goroutine of the loop uses these fields.
	pending            map[string][]Signal // a batch whose write failed
	sweepAt, compareAt time.Time

	mu     sync.Mutex
	active map[string]time.Time // time of the last Active signal that was passed on, by device
}

// NewTracker returns a Tracker, whose loop a worker runs.
func NewTracker(store Store, broker Broker, clock clock.Clock, logger *slog.Logger, options Options) *Tracker {
	return &Tracker{
		store: store, broker: broker, clock: clock, logger: logger, options: options,
		signals: make(chan Signal, waiting), wakeup: worker.NewWakeup(), active: map[string]time.Time{},
	}
}

// Notice enqueues signals. It blocks while the buffer is full, and returns early when ctx ends.
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

// isNew reports whether the signal adds information to the last one that was passed on.
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

// Loop describes the background loop. A pass stores buffered signals. When due, it also expires devices and compares
// states with connections. Failed writes are retried.
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

// storeSignals writes at most maxBatches batches of signals, so that the rest of the pass is not delayed. A batch
// whose write fails stays pending.
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

// fillBatch adds buffered signals to a batch, up to the size of one transaction.
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

// expire makes due devices OFFLINE, unless the broker lists a connection.
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

// compare finds devices whose connect or disconnect was not noticed.
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

// MarkUnconfirmed records that a process with connections of the devices has died. Devices without another connection
// are UNKNOWN until they reconnect, and OFFLINE after Options.Wait.
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
			return fmt.Errorf("mark devices without a connection: %w", err)
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
