package trip

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// What a vehicle sends during a trip is hidden from other members, by the device service, which therefore knows the
// time of every trip as a ride. It knows the start before the trip exists, and the end after it: between the two, too
// much is hidden and never too little. A ride whose start is stored there, but whose trip was not created, is planned
// here first, so that it is cancelled after a crash. The end is due in the row of the trip until it is stored.

// VehicleRide is the time in which an account uses a vehicle.
type VehicleRide struct {
	TripID    string
	VehicleID string
	AccountID string
	StartedAt time.Time
	EndedAt   *time.Time // nil while it lasts
	Cancelled bool       // it did not take place
}

const (
	planTimeout   = time.Minute // within which a start creates its trip
	cancelTimeout = 2 * time.Second
	rideBatches   = 20 // of one pass
)

// ride returns the ride of the trip.
func (t Trip) ride() VehicleRide {
	r := VehicleRide{TripID: t.ID, VehicleID: t.VehicleID, AccountID: t.AccountID, StartedAt: t.Start.At}
	if !t.Status.Open() {
		end := t.Start.At
		if t.End != nil {
			end = t.End.At
		}
		r.EndedAt = &end
	}
	return r
}

func (t Trip) withRideDue(now time.Time) Trip {
	t.RideDue = &now
	return t
}

// startRide stores the ride of a new trip in the device service. It returns a refusal when the account or the vehicle
// has an open trip; the ride is then not stored.
func (s *Service) startRide(ctx context.Context, t Trip) (refusal error, err error) {
	open, err := s.store.Open(ctx, []string{t.VehicleID}, []string{t.AccountID})
	if err != nil {
		return nil, err
	}
	for _, other := range open {
		if other.AccountID == t.AccountID {
			return AlreadyOpen(), nil
		}
		refusal = VehicleInUse()
	}
	if refusal != nil {
		return refusal, nil
	}
	ride := t.ride()
	if err := s.store.PlanRide(ctx, ride, s.clock.Now().Add(planTimeout)); err != nil {
		return nil, err
	}
	system := caller.NewContext(ctx, caller.OfSystem())
	other, err := s.vehicles.PutRide(system, ride)
	if err == nil && other != "" && s.endOtherRide(system, other, ride.VehicleID) {
		other, err = s.vehicles.PutRide(system, ride)
	}
	if err != nil { // the plan stays, because the call may still arrive
		return nil, fmt.Errorf("start the ride: %w", err)
	}
	if other != "" {
		return VehicleInUse(), s.store.DropPlan(ctx, ride.TripID)
	}
	return nil, nil
}

// endOtherRide ends a ride that is open in the device service although its trip is over or was not created. It reports
// whether it did.
func (s *Service) endOtherRide(ctx context.Context, tripID, vehicleID string) bool {
	if planned, err := s.store.Planned(ctx, tripID); err != nil || planned {
		return false
	}
	found, err := s.store.Get(ctx, []string{tripID}) // after Planned, because Create replaces the plan by the trip
	if err != nil || len(found) > 0 && found[0].Status.Open() {
		return false
	}
	ride := VehicleRide{TripID: tripID, VehicleID: vehicleID, StartedAt: s.clock.Now(), Cancelled: true}
	if len(found) > 0 {
		ride = found[0].ride()
	}
	_, err = s.vehicles.PutRide(ctx, ride)
	return err == nil
}

// cancelRide cancels a ride whose trip was not created. After a failure the plan stays, and a TaskRunner cancels it.
func (s *Service) cancelRide(ctx context.Context, ride VehicleRide) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer cancel()
	_ = s.dropRide(ctx, ride)
}

func (s *Service) dropRide(ctx context.Context, ride VehicleRide) error {
	ride.Cancelled = true
	if _, err := s.vehicles.PutRide(caller.NewContext(ctx, caller.OfSystem()), ride); err != nil && errs.From(err).Code != errs.NotFound {
		return fmt.Errorf("cancel the ride %s: %w", ride.TripID, err)
	}
	return s.store.DropPlan(ctx, ride.TripID)
}

// storeRide stores the ride of a trip in the device service, if it is due. Rides of unknown vehicles are not stored.
func (s *Service) storeRide(ctx context.Context, t Trip) error {
	if t.RideDue == nil {
		return nil
	}
	_, err := s.vehicles.PutRide(caller.NewContext(ctx, caller.OfSystem()), t.ride())
	if err != nil && errs.From(err).Code != errs.NotFound {
		due := s.clock.Now().Add(taskRetryDelay)
		return errors.Join(err, s.store.SetRideDue(ctx, t.ID, *t.RideDue, &due))
	}
	return s.store.SetRideDue(ctx, t.ID, *t.RideDue, nil)
}

// storeRideNow stores the ride that the request has just ended, with a short timeout. It ignores a failure, because a
// TaskRunner retries it.
func (s *Service) storeRideNow(ctx context.Context, t Trip) {
	ctx, cancel := context.WithTimeout(ctx, taskWait)
	defer cancel()
	_ = s.storeRide(ctx, t)
}

// runRides cancels planned rides without a trip, and stores the rides that are due, the latest first.
func (s *Service) runRides(ctx context.Context) error {
	var failures []error
	plans, err := s.store.Plans(ctx, s.clock.Now(), taskBatch)
	failures = append(failures, err)
	for _, ride := range plans {
		failures = append(failures, s.dropRide(ctx, ride))
	}
	for range rideBatches {
		due, err := s.store.DueRides(ctx, s.clock.Now(), taskBatch)
		failures = append(failures, err)
		for _, t := range due {
			failures = append(failures, s.storeRide(ctx, t))
		}
		if len(due) < taskBatch || errors.Join(failures...) != nil {
			break
		}
	}
	return errors.Join(failures...)
}
