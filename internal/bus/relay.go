package bus

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/worker"
)

// Outbox is the outbox of a service: *sqldb.DB.
type Outbox interface {
	PendingEvents(ctx context.Context, limit int) ([]sqldb.Event, error)
	DropEvents(ctx context.Context, events []sqldb.Event) error
	Emitted() <-chan struct{}
}

// RelayOptions configure a relay. Only Service is required.
type RelayOptions struct {
	Service     string        // of the outbox, for metrics and logs
	Poll        time.Duration // interval without a signal, because other processes may write too; default 1 s
	StopTimeout time.Duration // timeout of the last attempt at shutdown; default 5 s
	Clock       clock.Clock   // default clock.System
}

const (
	relayBatch   = 256
	relayBackoff = 100 * time.Millisecond
	relayMaxWait = 5 * time.Second
)

// Relay publishes events of an outbox: at least once, and those of one entity (the last part of the subject) in the
// order of the outbox. It deletes an event after its acknowledgement. An event that the broker always refuses (too
// large, no stream for its subject) stays, is logged, and delays later events of its entity only.
type Relay struct {
	bus     *Bus
	outbox  Outbox
	options RelayOptions
	logger  *slog.Logger

	refused map[string]bool // ids of events that the broker refused at the last attempt
}

// NewRelay returns a relay, whose loop a worker runs. Several relays may share an outbox.
func NewRelay(b *Bus, outbox Outbox, options RelayOptions) *Relay {
	options.Poll = orDefault(options.Poll, time.Second)
	options.StopTimeout = orDefault(options.StopTimeout, 5*time.Second)
	options.Clock = orDefault[clock.Clock](options.Clock, clock.System{})
	return &Relay{bus: b, outbox: outbox, options: options, logger: b.logger.With("service", options.Service)}
}

// Loop describes the background loop of the relay. It publishes at each wake-up of the outbox, and once within
// StopTimeout at shutdown, so that no event waits for the next start.
func (r *Relay) Loop() worker.Loop {
	return worker.Loop{
		Name: r.options.Service + " relay", Pass: r.publishPending,
		Interval: r.options.Poll, Wakeup: r.outbox.Emitted(), MinBackoff: relayBackoff, MaxBackoff: relayMaxWait,
		Drain: r.publishPending, DrainTimeout: r.options.StopTimeout,
	}
}

// publishPending publishes batches until the outbox has no full batch.
func (r *Relay) publishPending(ctx context.Context) error {
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = r.publishNextBatch(ctx); err != nil {
			return err
		}
	}
	return nil
}

// publishNextBatch publishes one batch, and reports whether more events may wait.
func (r *Relay) publishNextBatch(ctx context.Context) (more bool, err error) {
	events, err := r.outbox.PendingEvents(ctx, relayBatch)
	if err == nil {
		r.recordLag(events)
	}
	moved := 0
	if err == nil && len(events) > 0 {
		moved, err = r.publishBatch(ctx, events)
	}
	return moved > 0 && len(events) == relayBatch, err
}

// publishBatch publishes the events and deletes the acknowledged ones, even if others failed.
func (r *Relay) publishBatch(ctx context.Context, events []sqldb.Event) (moved int, err error) {
	if err := r.bus.Ready(); err != nil {
		return 0, err
	}
	w := wave{js: r.bus.js, flying: map[string]flight{}, refused: map[string]refusal{}}
	err = w.publish(ctx, events)
	r.logRefused(w.refused)
	if len(w.acked) == 0 {
		return 0, err
	}
	if dropErr := r.outbox.DropEvents(ctx, w.acked); dropErr != nil {
		return 0, errors.Join(err, dropErr)
	}
	r.bus.metrics.countRelayed(r.options.Service, len(w.acked))
	return len(w.acked), err
}

func (r *Relay) recordLag(events []sqldb.Event) {
	var age time.Duration
	if len(events) > 0 {
		age = r.options.Clock.Now().Sub(events[0].At)
	}
	r.bus.metrics.setLag(r.options.Service, age)
}

// logRefused logs each refused event once.
func (r *Relay) logRefused(refused map[string]refusal) {
	now := make(map[string]bool, len(refused))
	for _, refusal := range refused {
		now[refusal.event.ID] = true
		if !r.refused[refusal.event.ID] {
			r.logger.Error("the broker refuses an event, which stays in the outbox",
				"event", refusal.event.ID, "subject", refusal.event.Subject, "error", refusal.err)
		}
	}
	r.refused = now
}

// wave publishes events concurrently, at most one per entity: a later event of an entity cannot overtake a lost one.
type wave struct {
	js      jetstream.JetStream
	flying  map[string]flight  // sent and not acknowledged, by order key
	order   []string           // keys of flying, in the order of sending
	refused map[string]refusal // by order key
	acked   []sqldb.Event
}

type flight struct {
	event  sqldb.Event
	future jetstream.PubAckFuture
}

type refusal struct {
	event sqldb.Event
	err   error
}

// publish sends the events and collects the acknowledgements. An error is a fault of the broker or the end of ctx,
// after which the rest is not sent.
func (w *wave) publish(ctx context.Context, events []sqldb.Event) error {
	for _, event := range events {
		key := orderKey(event.Subject)
		if _, busy := w.flying[key]; busy {
			if err := w.settle(ctx); err != nil {
				return err
			}
		}
		if _, blocked := w.refused[key]; blocked {
			continue
		}
		if err := w.send(key, event); err != nil {
			return errors.Join(err, w.settle(ctx))
		}
	}
	return w.settle(ctx)
}

func (w *wave) send(key string, event sqldb.Event) error {
	if !hasStream(event.Subject) {
		w.refused[key] = refusal{event, errors.New("no stream takes this subject")}
		return nil
	}
	m := Message{Subject: event.Subject, ID: event.ID, Data: event.Data, Time: event.At}
	future, err := w.js.PublishMsgAsync(m.encode(), jetstream.WithRetryAttempts(0))
	if err != nil {
		return w.fail(key, event, err)
	}
	w.flying[key] = flight{event, future}
	w.order = append(w.order, key)
	return nil
}

// settle waits for all acknowledgements; each arrives or fails within ackTimeout.
func (w *wave) settle(ctx context.Context) error {
	var fault error
	for _, key := range w.order {
		f := w.flying[key]
		select {
		case <-f.future.Ok():
			w.acked = append(w.acked, f.event)
		case err := <-f.future.Err():
			fault = errors.Join(fault, w.fail(key, f.event, err))
		case <-ctx.Done():
			return errors.Join(fault, ctx.Err())
		}
	}
	clear(w.flying)
	w.order = w.order[:0]
	return fault
}

// fail records a refusal of this one event, and returns any other error.
func (w *wave) fail(key string, event sqldb.Event, err error) error {
	if !isRefusal(err) {
		return err
	}
	w.refused[key] = refusal{event, err}
	return nil
}

// isRefusal reports whether the same event would be refused again.
func isRefusal(err error) bool {
	if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) {
		return true
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.Code >= 400 && api.Code < 500
}
