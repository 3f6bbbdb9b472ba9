package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/worker"
)

// ConsumerConfig configures a consumer. Stream and Durable are required.
type ConsumerConfig struct {
	Stream  string // Events or Jobs
	Durable string // name of the consumer; consumers with one name share its messages
	Filter  string // a subject, wildcards allowed; "" is the whole stream

	AckWait       time.Duration // redelivery timeout without an acknowledgement or InProgress; default 30 s
	MaxDeliver    int           // maximum deliveries of a message; 0 is unlimited
	MaxAckPending int           // unacknowledged messages over all processes; default 1000
	Concurrency   int           // workers in this process; default 1, which preserves the order
	Prefetch      int           // messages that a worker fetches at once; AckWait runs for all of them; default 1

	Backoff     func(deliveries int) time.Duration // delay after a failure; default 1 s, doubling to 1 min, with jitter
	StopTimeout time.Duration                      // how long handlers may run after ctx has ended; default 10 s
}

func (c ConsumerConfig) withDefaults() ConsumerConfig {
	c.AckWait = orDefault(c.AckWait, 30*time.Second)
	c.MaxDeliver = orDefault(c.MaxDeliver, -1)
	c.MaxAckPending = orDefault(c.MaxAckPending, 1000)
	c.Concurrency = orDefault(c.Concurrency, 1)
	c.Prefetch = orDefault(c.Prefetch, 1)
	c.StopTimeout = orDefault(c.StopTimeout, 10*time.Second)
	if c.Backoff == nil {
		c.Backoff = func(deliveries int) time.Duration { return backoff(deliveries, time.Second, time.Minute) }
	}
	return c
}

const (
	fetchWait    = 5 * time.Second // lifetime of one fetch request
	fetchBackoff = 100 * time.Millisecond
	fetchMaxWait = 5 * time.Second
	handlerGrace = 2 * time.Second // from the end of a handler's context to abandoning the handler
)

// Handler handles one message. nil acknowledges it. After an error it is redelivered after a delay (the error's
// RetryAfter if longer), or dropped after MaxDeliver deliveries. A handler must be idempotent, and return soon after
// its context ends.
type Handler func(ctx context.Context, m Message) error

// Consume passes messages to handle until ctx ends. It then stops fetching and waits for running handlers, whose own
// context ends StopTimeout later. It waits for a broker that is away, and returns an error when the Bus is closed.
func (b *Bus) Consume(ctx context.Context, config ConsumerConfig, handle Handler) error {
	c := &consumption{
		bus: b, config: config.withDefaults(), handle: handle,
		logger: b.logger.With("consumer", config.Durable),
	}
	if _, err := c.declare(ctx); err != nil {
		err = fmt.Errorf("consume %s as %s: %w", config.Stream, config.Durable, err)
		if errors.Is(err, nats.ErrConnectionClosed) {
			err = worker.Permanent(err)
		}
		return err
	}
	fetching, stop := context.WithCancel(ctx)
	defer stop()
	handling, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	ended := c.startWorkers(fetching, handling)
	var err error
	select {
	case <-ctx.Done():
	case <-b.closed:
		err = worker.Permanent(fmt.Errorf("consume %s as %s: %w", config.Stream, config.Durable, nats.ErrConnectionClosed))
	}
	stop()
	if within(ended, c.config.StopTimeout) {
		return err
	}
	abandon()
	if within(ended, handlerGrace) {
		return err
	}
	return errors.Join(err, fmt.Errorf("a handler of %s goes on after its context has ended", config.Durable))
}

func within(ended <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ended:
		return true
	case <-timer.C:
		return false
	}
}

type consumption struct {
	bus    *Bus
	config ConsumerConfig
	handle Handler
	logger *slog.Logger
}

func (c *consumption) declare(ctx context.Context) (jetstream.Consumer, error) {
	if c.config.Durable == "" {
		return nil, errors.New("a consumer needs a name")
	}
	return c.bus.js.CreateOrUpdateConsumer(ctx, c.config.Stream, jetstream.ConsumerConfig{
		Durable:       c.config.Durable,
		FilterSubject: c.config.Filter,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       c.config.AckWait,
		MaxDeliver:    c.config.MaxDeliver,
		MaxAckPending: c.config.MaxAckPending,
	})
}

func (c *consumption) startWorkers(fetching, handling context.Context) <-chan struct{} {
	ended := make(chan struct{})
	var workers sync.WaitGroup
	for range c.config.Concurrency {
		workers.Go(func() { c.work(fetching, handling) })
	}
	go func() {
		workers.Wait()
		close(ended)
	}()
	return ended
}

// work fetches and handles until fetching ends. After a failure it declares the consumer again, in case the broker
// lost it.
func (c *consumption) work(fetching, handling context.Context) {
	var consumer jetstream.Consumer
	failures := 0
	for fetching.Err() == nil {
		err := c.bus.Ready()
		if err == nil && consumer == nil {
			consumer, err = c.declare(fetching)
		}
		if err == nil {
			err = c.round(fetching, handling, consumer)
		}
		if err == nil {
			failures = 0
			continue
		}
		if failures++; failures == 1 && fetching.Err() == nil {
			c.logger.Warn("fetching messages fails", "error", err)
		}
		consumer = nil
		pause(fetching, backoff(failures, fetchBackoff, fetchMaxWait))
	}
}

// round handles the messages of one fetch. After the end of fetching it returns the rest to the broker.
func (c *consumption) round(fetching, handling context.Context, consumer jetstream.Consumer) error {
	waiting, cancel := context.WithTimeout(fetching, fetchWait)
	defer cancel()
	batch, err := consumer.Fetch(c.config.Prefetch, jetstream.FetchContext(waiting))
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	for delivery := range batch.Messages() {
		if fetching.Err() != nil {
			c.answer(delivery, delivery.Nak())
			continue
		}
		c.deliver(handling, delivery)
	}
	// A fetch that ends without a message, slightly late on a busy machine, is not a failure.
	if err := batch.Error(); waiting.Err() == nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

func (c *consumption) deliver(ctx context.Context, delivery jetstream.Msg) {
	m, err := Decode(delivery)
	if err != nil {
		c.logger.Error("a message cannot be read", "subject", delivery.Subject(), "error", err)
		c.answer(delivery, delivery.Term())
		return
	}
	err = c.handle(ctx, m)
	switch {
	case err == nil:
		c.answer(delivery, delivery.Ack())
	case ctx.Err() != nil: // another process may handle it at once
		c.answer(delivery, delivery.Nak())
	case c.config.MaxDeliver > 0 && m.Deliveries >= c.config.MaxDeliver:
		c.logger.Error("a message is dropped after its last delivery", "subject", m.Subject, "id", m.ID, "deliveries", m.Deliveries, "error", err)
		c.answer(delivery, delivery.Term()) // a work queue would store it forever
	default:
		delay := max(c.config.Backoff(m.Deliveries), errs.From(err).RetryAfter)
		c.logger.Warn("a message failed", "subject", m.Subject, "id", m.ID, "deliveries", m.Deliveries, "retry", delay, "error", err)
		c.answer(delivery, delivery.NakWithDelay(delay))
	}
}

// answer logs a failed acknowledgement: the message is redelivered after AckWait.
func (c *consumption) answer(delivery jetstream.Msg, err error) {
	if err != nil {
		c.logger.Warn("a message was not answered and will come again", "subject", delivery.Subject(), "error", err)
	}
}
