// Package queue consumes the orders of runs from the work queue of the bus, which all processes share. Every order is
// delivered at least once, and redelivered after AckWait without a sign of its worker. An invalid order is dropped
// with a log line: the scheduler orders its run again.
package queue

import (
	"context"
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/services/job"
)

// consumer is the durable consumer of all workers.
const consumer = "runners"

// Bus is the part of *bus.Bus that the queue uses.
type Bus interface {
	Consume(ctx context.Context, config bus.ConsumerConfig, handle bus.Handler) error
}

// Options configure a queue. The zero value uses the defaults.
type Options struct {
	Concurrency int           // concurrent runs in this process; default 8
	AckWait     time.Duration // after which an order of a silent worker is redelivered; default 30 s
	StopTimeout time.Duration // how long runs may continue at shutdown; default 5 s
}

// Queue implements job.Queue.
type Queue struct {
	bus     Bus
	decode  func([]byte) (job.Order, error)
	options Options
	logger  *slog.Logger
}

// New returns a queue on the bus. decode decodes an order.
func New(b Bus, decode func([]byte) (job.Order, error), logger *slog.Logger, options Options) *Queue {
	if options.Concurrency == 0 {
		options.Concurrency = 8
	}
	if options.AckWait == 0 {
		options.AckWait = 30 * time.Second
	}
	if options.StopTimeout == 0 {
		options.StopTimeout = 5 * time.Second
	}
	return &Queue{bus: b, decode: decode, logger: logger, options: options}
}

// Consume delivers orders until ctx ends, and then waits up to StopTimeout for the handlers.
func (q *Queue) Consume(ctx context.Context, handle func(ctx context.Context, d job.Delivery) error) error {
	config := bus.ConsumerConfig{
		Stream: bus.Jobs, Durable: consumer,
		Concurrency: q.options.Concurrency, AckWait: q.options.AckWait, StopTimeout: q.options.StopTimeout,
	}
	return q.bus.Consume(ctx, config, func(ctx context.Context, m bus.Message) error {
		order, err := q.decode(m.Data)
		if err != nil {
			q.logger.ErrorContext(ctx, "an order is dropped", "subject", m.Subject, "id", m.ID, "error", err)
			return nil
		}
		return handle(ctx, job.Delivery{Order: order, InProgress: m.InProgress})
	})
}
