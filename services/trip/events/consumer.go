// Package follow lets the trip service hear what becomes of vehicles, from the bus.
//
// Every event is handed on at least once, to one of all processes that follow. What cannot be read is
// dropped with a log line. When the bus does not reach the device service, nothing is heard; the trip
// service then asks (trip.Errands).
package follow

import (
	"context"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/trip"
)

// Bus is what is needed of *bus.Bus.
type Bus interface {
	Consume(ctx context.Context, config bus.ConsumerConfig, handle bus.Handler) error
}

// Decoding reads events.
type Decoding struct {
	Opening  func(data []byte) (o trip.Opening, ok bool, err error)
	Position func(data []byte) (vehicleID string, at trip.Position, ok bool, err error)
}

// Follower hands events on.
type Follower struct {
	bus      Bus
	service  *trip.Service
	decoding Decoding
	logger   *slog.Logger
}

// New makes a Follower; it does nothing until Run.
func New(b Bus, service *trip.Service, decoding Decoding, logger *slog.Logger) *Follower {
	return &Follower{bus: b, service: service, decoding: decoding, logger: logger}
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error {
		return f.bus.Consume(ctx, bus.ConsumerConfig{Stream: bus.Events, Durable: "trip-openings", Filter: "event.command.*.*", Prefetch: 32}, f.opening)
	})
	all.Go(func() error {
		return f.bus.Consume(ctx, bus.ConsumerConfig{Stream: bus.Events, Durable: "trip-positions", Filter: "event.position.observed.*", Prefetch: 32}, f.position)
	})
	return all.Wait()
}

func (f *Follower) opening(ctx context.Context, m bus.Message) error {
	opening, ok, err := f.decoding.Opening(m.Data)
	if err != nil || !ok || !opening.Done {
		f.drop(ctx, m, err)
		return nil
	}
	_, err = f.service.Heard(ctx, opening)
	return f.settle(ctx, m, err)
}

func (f *Follower) position(ctx context.Context, m bus.Message) error {
	vehicleID, at, ok, err := f.decoding.Position(m.Data)
	if err != nil || !ok {
		f.drop(ctx, m, err)
		return nil
	}
	return f.settle(ctx, m, f.service.VehicleAt(ctx, vehicleID, at))
}

// settle drops what would be refused again; after any other error the event comes again.
func (f *Follower) settle(ctx context.Context, m bus.Message, err error) error {
	if err == nil {
		return nil
	}
	switch errs.From(err).Code {
	case errs.InvalidArgument, errs.NotFound, errs.FailedPrecondition:
		f.drop(ctx, m, err)
		return nil
	}
	return err
}

func (f *Follower) drop(ctx context.Context, m bus.Message, err error) {
	if err != nil {
		f.logger.WarnContext(ctx, "an event of a vehicle is dropped", "subject", m.Subject, "id", m.ID, "error", err)
	}
}
