package trip_test

import (
	"context"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/trip"
	"github.com/sluicehq/sluice/services/trip/store"
)

// fleet is a device service with vehicles that open on command, controlled by the test.
type fleet struct {
	opening trip.Opening
	err     error // of Unlock and Lock
	hangs   bool  // until the context of the caller ends
	locked  int
}

func (f *fleet) CheckRentable(context.Context, string) (trip.Vehicle, error) {
	return trip.Vehicle{Opens: true}, nil
}

func (f *fleet) PutRide(context.Context, trip.VehicleRide) (string, error) { return "", nil }

func (f *fleet) Kind(context.Context, string) (string, error) { return "", nil }

func (f *fleet) Unlock(ctx context.Context, _, tripID string, _ time.Time) (trip.Opening, error) {
	if f.hangs {
		<-ctx.Done()
		return trip.Opening{}, ctx.Err()
	}
	f.opening.TripID = tripID
	return f.opening, f.err
}

func (f *fleet) Lock(ctx context.Context, _, _ string) error {
	if f.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	if f.err == nil {
		f.locked++
	}
	return f.err
}

// rental is the trip service with a fleet.
type rental struct {
	*trip.Service
	t     *testing.T
	fleet *fleet
	clock *clock.Manual
	tasks *trip.TaskRunner
	alice context.Context
}

func openRental(t *testing.T) *rental {
	t.Helper()
	r := &rental{t: t, fleet: &fleet{}, clock: clock.NewManual(noon())}
	r.Service = trip.New(store.New(sqltest.OpenSQLite(t, store.Migrations()), subjectOnly), r.fleet, r.clock, tariff(), trip.SpeedLimits{})
	r.tasks = trip.NewTaskRunner(r.Service)
	r.alice = caller.NewContext(t.Context(), caller.Caller{AccountID: ids.New(ids.Account), Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)})
	return r
}

func (r *rental) begin() trip.Trip {
	r.t.Helper()
	t, err := r.Start(r.alice, trip.StartInput{VehicleID: ids.New(ids.Device), Position: trip.Position{Latitude: 48, Longitude: 11}})
	if err != nil {
		r.t.Fatal(err)
	}
	return t
}

func (r *rental) now(id string) trip.Trip {
	r.t.Helper()
	found, err := r.BatchGet(r.alice, []string{id})
	if err != nil || len(found) != 1 {
		r.t.Fatal(found, err)
	}
	return found[0]
}

// later advances the clock in steps of a second, and runs the due tasks at each step.
func (r *rental) later(seconds int) {
	r.t.Helper()
	for range seconds {
		r.clock.Advance(time.Second)
		_ = r.tasks.RunDue(r.t.Context()) // a failed task is retried
	}
}

func TestTripVehicleOpensStartsThen(t *testing.T) {
	t.Parallel()
	r := openRental(t)
	made := r.begin()
	r.later(10)
	if got := r.now(made.ID); got.Status != trip.Unlocking || got.Fee.AmountMinor != 0 || got.DurationSeconds != 0 {
		t.Errorf("before, it is %+v", got)
	}
	if _, err := r.ReportPosition(r.alice, made.ID, trip.Position{Latitude: 48, Longitude: 11}); errs.From(err).Reason != trip.ReasonTripUnlocking {
		t.Errorf("a fix before the start: %v", err)
	}
	opened := trip.Opening{TripID: made.ID, Done: true, Open: true, At: r.clock.Now()}
	for range 2 { // the second is a duplicate
		if _, err := r.ApplyOpening(t.Context(), opened); err != nil {
			t.Fatal(err)
		}
	}
	r.clock.Advance(time.Minute)
	got := r.now(made.ID)
	if got.Status != trip.InProgress || !got.Start.At.Equal(opened.At) || got.DurationSeconds != 60 || got.Fee.AmountMinor != 130 || got.Version != 2 {
		t.Errorf("then, it is %+v", got)
	}
	for _, place := range []trip.Position{
		{Latitude: 48.001, Longitude: 11, At: r.clock.Now()},
		{Latitude: 48.002, Longitude: 11, At: opened.At.Add(-time.Second)}, // before the start
		{Latitude: 48.003, Longitude: 11, At: r.clock.Now().Add(30 * time.Second)},
	} {
		if err := r.ApplyVehiclePosition(t.Context(), got.VehicleID, place); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.now(made.ID); got.Fixes != 3 || got.DistanceMetres < 300 {
		t.Errorf("moved by its vehicle, it is %+v", got)
	}
	over, err := r.End(r.alice, trip.EndInput{TripID: made.ID})
	if err != nil || over.Status != trip.Finished || r.fleet.locked != 1 {
		t.Errorf("ended as %+v, %v, locked %d times", over, err, r.fleet.locked)
	}
	if err := r.ApplyVehiclePosition(t.Context(), got.VehicleID, trip.Position{Latitude: 49, Longitude: 11, At: r.clock.Now()}); err != nil {
		t.Error(err)
	}
	r.later(10)
	if r.fleet.locked != 1 {
		t.Errorf("locked %d times", r.fleet.locked)
	}
}

func TestTripVehicleDoesNotOpenFails(t *testing.T) {
	t.Parallel()
	away := errs.New(errs.Unavailable, errs.ReasonServiceDown, "away")
	cases := map[string]struct {
		fleet   fleet
		then    func(r *rental, made trip.Trip)
		failure string
		locked  int
	}{
		"vehicle does not open": {fleet{opening: trip.Opening{Done: true, Reason: "COMMAND_FAILED"}}, nil, "COMMAND_FAILED", 0},
		"unlock is refused":     {fleet{err: errs.New(errs.FailedPrecondition, "LOCK_BUSY", "busy")}, nil, "LOCK_BUSY", 0},
		"device service is unavailable": {fleet{err: away}, func(r *rental, _ trip.Trip) {
			r.later(50)
			r.fleet.err = nil
			r.later(5)
		}, trip.ReasonUnlockTimeout, 1},
		"trip is ended": {fleet{}, func(r *rental, made trip.Trip) {
			if _, err := r.End(r.alice, trip.EndInput{TripID: made.ID}); err != nil {
				r.t.Error(err)
			}
		}, trip.ReasonEndedEarly, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := openRental(t)
			*r.fleet = c.fleet
			made := r.begin()
			if c.then != nil {
				c.then(r, made)
			}
			got := r.now(made.ID)
			if got.Status != trip.Failed || got.Failure != c.failure || got.Fee.AmountMinor != 0 || r.fleet.locked != c.locked {
				t.Errorf("it is %+v, locked %d times", got, r.fleet.locked)
			}
			*r.fleet = fleet{}
			r.begin() // the account and the vehicle are free
			if _, err := r.ApplyOpening(t.Context(), trip.Opening{TripID: made.ID, Done: true, Open: true, At: r.clock.Now()}); err != nil {
				t.Fatal(err)
			}
			r.later(3)
			if got := r.now(made.ID); got.Status != trip.Failed || r.fleet.locked != 1 {
				t.Errorf("when it opens after all it is %+v, locked %d times", got, r.fleet.locked)
			}
		})
	}
}

func TestDeviceServiceHangsStartAndEndReturnAtOnce(t *testing.T) {
	t.Parallel()
	r := openRental(t)
	r.fleet.hangs = true
	ctx, cancel := context.WithTimeout(r.alice, 30*time.Second)
	defer cancel()
	r.alice = ctx
	made := r.begin()
	if _, err := r.End(r.alice, trip.EndInput{TripID: made.ID}); err != nil || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
	r.fleet.hangs = false
	r.later(3)
	if r.fleet.locked != 1 {
		t.Errorf("locked %d times", r.fleet.locked)
	}
}
