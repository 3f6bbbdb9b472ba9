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

// Outbox is where a service's events wait: *sqldb.DB.
type Outbox interface {
	PendingEvents(ctx context.Context, limit int) ([]sqldb.Event, error)
	DropEvents(ctx context.Context, events []sqldb.Event) error
	Emitted() <-chan struct{}
}

// RelayOptions tune a relay. Only Service must be given.
type RelayOptions struct {
	Service     string        // whose outbox it is, for metrics and logs
	Poll        time.Duration // how often to look without a signal: other processes may write too; default 1 s
	StopTimeout time.Duration // how long the last attempt may take when stopping; default 5 s
	Clock       clock.Clock   // default clock.System
}

const (
	relayBatch   = 256
	relayBackoff = 100 * time.Millisecond
	relayMaxWait = 5 * time.Second
)

// Relay moves events from an outbox to their streams: at least once, and those of one entity (one
// last part of a subject) in the order of the outbox. An event is dropped from the outbox after its
// acknowledgement only. One that the broker can never take (too large, a subject without a stream)
// stays there, is logged, and holds back its own entity's events and no others.
type Relay struct {
	bus     *Bus
	outbox  Outbox
	options RelayOptions
	logger  *slog.Logger

	refused map[string]bool // ids that the broker refused at the last attempt
}

// NewRelay returns a relay, whose loop a worker runs. Several relays may share an outbox.
func NewRelay(b *Bus, outbox Outbox, options RelayOptions) *Relay {
	options.Poll = orDefault(options.Poll, time.Second)
	options.StopTimeout = orDefault(options.StopTimeout, 5*time.Second)
	options.Clock = orDefault[clock.Clock](options.Clock, clock.System{})
	return &Relay{bus: b, outbox: outbox, options: options, logger: b.logger.With("service", options.Service)}
}

// Loop describes the background loop of the relay. It publishes at each wake-up of the outbox, and once more within
// StopTimeout when it is stopped, so that no event waits for the next start.
func (r *Relay) Loop() worker.Loop {
	return worker.Loop{
		Name: r.options.Service + " relay", Pass: r.publishPending,
		Interval: r.options.Poll, Wakeup: r.outbox.Emitted(), MinBackoff: relayBackoff, MaxBackoff: relayMaxWait,
		Drain: r.publishPending, DrainTimeout: r.options.StopTimeout,
	}
}

// publishPending moves batch after batch until the outbox has no full batch left.
func (r *Relay) publishPending(ctx context.Context) error {
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = r.publishNextBatch(ctx); err != nil {
			return err
		}
	}
	return nil
}

// publishNextBatch moves one batch, and tells whether to come back at once for more.
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

// publishBatch publishes the events and drops those that were acknowledged, even where others failed.
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

// logRefused logs once for each event that the broker will not take.
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

// wave publishes events side by side, at most one of an entity at a time: where one is lost, a later
// one of the same entity was not yet sent, and cannot overtake it.
type wave struct {
	js      jetstream.JetStream
	flying  map[string]flight  // sent and not yet answered, by order key
	order   []string           // the keys of flying, as sent
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

// publish sends the events and collects the answers. Its error is a fault of the broker or the end
// of ctx, after which there is no use in going on.
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

// settle waits for the answers to all that were sent; each comes or fails within ackTimeout.
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

// fail notes a refusal of this one event, and gives back any other error.
func (w *wave) fail(key string, event sqldb.Event, err error) error {
	if !isRefusal(err) {
		return err
	}
	w.refused[key] = refusal{event, err}
	return nil
}

// isRefusal tells an error that the same event will meet again from a fault that passes.
func isRefusal(err error) bool {
	if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) {
		return true
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.Code >= 400 && api.Code < 500
}
