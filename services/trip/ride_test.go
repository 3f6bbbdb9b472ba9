package trip_test

import (
	"context"
	"fmt"
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

// garage is a device service that stores rides and can fail.
type garage struct {
	trip.Vehicles
	err   error                       // of PutRide, which is then not stored
	lost  error                       // of PutRide, after it is stored
	rides map[string]trip.VehicleRide // by trip
}

func (*garage) CheckRentable(context.Context, string) (trip.Vehicle, error) {
	return trip.Vehicle{}, nil
}

func (*garage) Kind(context.Context, string) (string, error) { return "", nil }

func (g *garage) PutRide(ctx context.Context, ride trip.VehicleRide) (string, error) {
	if caller.FromContext(ctx).Role != caller.System {
		return "", errs.Denied("not the system")
	}
	if g.err != nil {
		return "", g.err
	}
	for id, other := range g.rides {
		if ride.EndedAt == nil && !ride.Cancelled && id != ride.TripID && other.EndedAt == nil && other.VehicleID == ride.VehicleID {
			return id, nil
		}
	}
	if ride.Cancelled {
		delete(g.rides, ride.TripID)
	} else {
		g.rides[ride.TripID] = ride
	}
	return "", g.lost
}

// open lists the open rides.
func (g *garage) open() (open []string) {
	for id, ride := range g.rides {
		if ride.EndedAt == nil {
			open = append(open, id)
		}
	}
	return open
}

type depot struct {
	*trip.Service
	t      *testing.T
	garage *garage
	store  *store.Store
	clock  *clock.Manual
	tasks  *trip.TaskRunner
}

func openDepot(t *testing.T) *depot {
	t.Helper()
	d := &depot{t: t, garage: &garage{rides: map[string]trip.VehicleRide{}}, clock: clock.NewManual(noon())}
	d.store = store.New(sqltest.OpenSQLite(t, store.Migrations()), subjectOnly)
	d.restart()
	return d
}

func (d *depot) restart() {
	d.Service = trip.New(d.store, d.garage, d.clock, tariff(), trip.SpeedLimits{})
	d.tasks = trip.NewTaskRunner(d.Service)
}

func (d *depot) member() context.Context {
	return caller.NewContext(d.t.Context(), caller.Caller{AccountID: ids.New(ids.Account), Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)})
}

func (d *depot) begin(ctx context.Context, vehicleID string) (trip.Trip, error) {
	return d.Start(ctx, trip.StartInput{VehicleID: vehicleID, Position: trip.Position{Latitude: 48, Longitude: 11}})
}

func (d *depot) later(wait time.Duration) {
	d.t.Helper()
	d.clock.Advance(wait)
	if err := d.tasks.RunDue(d.t.Context()); err != nil && d.garage.err == nil {
		d.t.Fatal(err)
	}
}

var errAway = errs.New(errs.Unavailable, errs.ReasonServiceDown, "away")

func TestRideIsStoredBeforeItsTripAndEndsAfterIt(t *testing.T) {
	t.Parallel()
	d := openDepot(t)
	alice, bob, vehicle := d.member(), d.member(), ids.New(ids.Device)
	d.garage.err = errAway
	if made, err := d.begin(alice, vehicle); errs.From(err).Code != errs.Unavailable {
		t.Fatalf("a trip starts although its ride is not stored: %+v, %v", made, err)
	}
	d.garage.err, d.garage.lost = nil, errAway // the ride is stored, and the trip is not created
	if _, err := d.begin(alice, vehicle); err == nil || len(d.garage.open()) != 1 {
		t.Fatalf("%v, %v", err, d.garage.open())
	}
	d.garage.lost = nil
	d.restart()
	if _, err := d.begin(bob, vehicle); errs.From(err).Reason != trip.ReasonVehicleInUse {
		t.Errorf("a start while another is in doubt: %v", err)
	}
	d.later(2 * time.Minute)
	if open := d.garage.open(); len(open) != 0 {
		t.Errorf("the ride without a trip is still open: %v", open)
	}
	made, err := d.begin(alice, vehicle)
	if err != nil || fmt.Sprint(d.garage.open()) != fmt.Sprint([]string{made.ID}) {
		t.Fatalf("%v, %v", err, d.garage.open())
	}
	d.later(time.Hour)
	if open := d.garage.open(); len(open) != 1 {
		t.Errorf("during the trip the rides %v are open", open)
	}
	for name, who := range map[string]context.Context{"the rider": alice, "another": bob} {
		if _, err := d.begin(who, vehicle); err == nil || len(d.garage.rides) != 1 {
			t.Errorf("a second start by %s: %v, rides %v", name, err, d.garage.rides)
		}
	}
	d.garage.err = errAway
	d.clock.Advance(time.Minute)
	ended, err := d.End(alice, trip.EndInput{TripID: made.ID})
	if err != nil || len(d.garage.open()) != 1 {
		t.Fatalf("the end: %v, %v", err, d.garage.open())
	}
	d.restart()
	d.later(3 * time.Second)
	d.garage.err = nil
	d.later(3 * time.Second)
	if ride := d.garage.rides[made.ID]; ride.EndedAt == nil || !ride.EndedAt.Equal(ended.End.At) || !ride.StartedAt.Equal(made.Start.At) {
		t.Errorf("the ride is %+v, the trip %+v", ride, ended)
	}
}

// The end of a ride that is not stored yet does not prevent the next start.
func TestNextStartEndsTheLastRide(t *testing.T) {
	t.Parallel()
	d := openDepot(t)
	alice, bob, vehicle := d.member(), d.member(), ids.New(ids.Device)
	first, err := d.begin(alice, vehicle)
	if err != nil {
		t.Fatal(err)
	}
	d.garage.err = errAway
	if _, err := d.End(alice, trip.EndInput{TripID: first.ID}); err != nil {
		t.Fatal(err)
	}
	d.garage.err = nil
	d.garage.rides["trip_gone"] = trip.VehicleRide{TripID: "trip_gone", VehicleID: ids.New(ids.Device)}
	second, err := d.begin(bob, vehicle)
	if err != nil || d.garage.rides[first.ID].EndedAt == nil || d.garage.rides[second.ID].EndedAt != nil {
		t.Errorf("%v, %+v", err, d.garage.rides)
	}
	if _, err := d.begin(d.member(), d.garage.rides["trip_gone"].VehicleID); err != nil {
		t.Errorf("a ride without a trip prevents a start: %v", err)
	}
}

func TestImportedTripsAreRides(t *testing.T) {
	t.Parallel()
	d := openDepot(t)
	account, vehicle := ids.New(ids.Account), ids.New(ids.Device)
	system := caller.NewContext(t.Context(), caller.OfSystem())
	recording := trip.Recording{Source: "test", AccountID: account, VehicleID: vehicle}
	for part := range 2 { // the second part extends the trip
		at := noon().Add(time.Duration(part) * time.Minute)
		_, err := d.ImportFixes(system, trip.FixesInput{Recording: recording, ExternalID: "a", Fixes: []trip.Position{
			{Latitude: 48, Longitude: 11, At: at}, {Latitude: 48.001, Longitude: 11, At: at.Add(30 * time.Second)},
		}})
		if err != nil {
			t.Fatal(err)
		}
		d.later(time.Second)
	}
	if len(d.garage.rides) != 1 {
		t.Fatalf("the rides are %+v", d.garage.rides)
	}
	for _, ride := range d.garage.rides {
		if ride.AccountID != account || ride.VehicleID != vehicle || !ride.StartedAt.Equal(noon()) || !ride.EndedAt.Equal(noon().Add(90*time.Second)) {
			t.Errorf("the ride is %+v", ride)
		}
	}
}
