// Package events applies events of vehicles on the bus to trips.
//
// Each event is delivered at least once, to one of the processes. An event that cannot be decoded, or that the
// service refuses, is dropped with a log line; after another error it is redelivered. Without a shared bus no event
// arrives, and the trip service polls instead (trip.TaskRunner).
package events

import (
	"context"
	"log/slog"

	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/worker"
	"github.com/sluicehq/sluice/services/trip"
)

// Bus is the part of *bus.Bus that the consumer uses.
type Bus interface {
	Consume(ctx context.Context, config bus.ConsumerConfig, handle bus.Handler) error
}

// Decoders decode the payloads of events.
type Decoders struct {
	Opening  func(data []byte) (o trip.Opening, ok bool, err error)
	Position func(data []byte) (vehicleID string, at trip.Position, ok bool, err error)
}

// Consumer applies events to trips.
type Consumer struct {
	bus      Bus
	service  *trip.Service
	decoders Decoders
	logger   *slog.Logger
}

// New returns a Consumer, whose loops a worker runs.
func New(b Bus, service *trip.Service, decoders Decoders, logger *slog.Logger) *Consumer {
	return &Consumer{bus: b, service: service, decoders: decoders, logger: logger}
}

// Loops describes the background loops, one per subscription.
func (c *Consumer) Loops() []worker.Loop {
	subscribe := func(durable, filter string, handle bus.Handler) worker.Loop {
		config := bus.ConsumerConfig{Stream: bus.Events, Durable: durable, Filter: filter, Prefetch: 32}
		return worker.Continuous(durable, func(ctx context.Context) error { return c.bus.Consume(ctx, config, handle) })
	}
	return []worker.Loop{
		subscribe("trip-openings", "event.command.*.*", c.handleCommand),
		subscribe("trip-positions", "event.position.observed.*", c.handlePosition),
	}
}

func (c *Consumer) handleCommand(ctx context.Context, m bus.Message) error {
	opening, ok, err := c.decoders.Opening(m.Data)
	if err == nil && ok && opening.Done {
		_, err = c.service.ApplyOpening(ctx, opening)
		return c.dropRefused(ctx, m, err)
	}
	c.logDropped(ctx, m, err)
	return nil
}

func (c *Consumer) handlePosition(ctx context.Context, m bus.Message) error {
	vehicleID, at, ok, err := c.decoders.Position(m.Data)
	if err == nil && ok {
		return c.dropRefused(ctx, m, c.service.ApplyVehiclePosition(ctx, vehicleID, at))
	}
	c.logDropped(ctx, m, err)
	return nil
}

// dropRefused returns nil for an error that a redelivery would repeat, so that the event is acknowledged.
func (c *Consumer) dropRefused(ctx context.Context, m bus.Message, err error) error {
	if errs.Final(err) {
		c.logDropped(ctx, m, err)
		return nil
	}
	return err
}

func (c *Consumer) logDropped(ctx context.Context, m bus.Message, err error) {
	if err != nil {
		c.logger.WarnContext(ctx, "an event of a vehicle is dropped", "subject", m.Subject, "id", m.ID, "error", err)
	}
}
