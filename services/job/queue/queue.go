// Package queue hands out the orders of runs from the bus's work queue, which all processes share.
//
// Every order is handed out at least once; one whose worker goes silent for AckWait is handed to
// another. Orders that cannot be read are dropped with a log line: the rows of their runs are there,
// and the scheduler orders them again.
package queue

import (
	"context"
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/services/job"
)

// consumer is the name that all workers of an installation share.
const consumer = "runners"

// Bus is what the queue needs of *bus.Bus.
type Bus interface {
	Consume(ctx context.Context, config bus.ConsumerConfig, handle bus.Handler) error
}

// Options tune a queue. The zero value will do.
type Options struct {
	Concurrency int           // runs at work at once in this process; default 8
	AckWait     time.Duration // how long an order stays with a silent worker; default 30 s
	StopTimeout time.Duration // how long runs may go on when stopping; default 5 s
}

// Queue implements job.Queue.
type Queue struct {
	bus     Bus
	decode  func([]byte) (job.Order, error)
	options Options
	logger  *slog.Logger
}

// New makes a queue on the bus, whose orders decode reads.
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

// Consume hands out orders until ctx ends, and then waits StopTimeout for those at work.
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
