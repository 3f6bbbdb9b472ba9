package trip_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/trip"
	"github.com/sluicehq/sluice/services/trip/store"
)

// kindOfAll is a device service whose devices are vehicles of one kind that do not open on command.
type kindOfAll struct {
	trip.Vehicles
	kind string
}

func (k kindOfAll) CheckRentable(context.Context, string) (trip.Vehicle, error) {
	return trip.Vehicle{Kind: k.kind}, nil
}

func (k kindOfAll) Kind(context.Context, string) (string, error) { return k.kind, nil }

func (kindOfAll) PutRide(context.Context, trip.VehicleRide) (string, error) { return "", nil }

// drive is the service with one live trip.
type drive struct {
	*trip.Service
	t     *testing.T
	db    *sqldb.DB
	clock *clock.Manual
	rider context.Context
	trip  trip.Trip
}

func newDrive(t *testing.T, kind string) *drive {
	t.Helper()
	d := &drive{t: t, db: sqltest.OpenSQLite(t, store.Migrations()), clock: clock.NewManual(noon())}
	limits := trip.SpeedLimits{Default: 80, ByKind: map[string]float64{"train": 170, "bicycle": 25}}
	d.Service = trip.New(store.New(d.db, subjectOnly), kindOfAll{kind: kind}, d.clock, tariff(), limits)
	d.rider = caller.NewContext(t.Context(), caller.Caller{AccountID: ids.New(ids.Account), Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)})
	return d
}

// start starts the trip at the position.
func (d *drive) start(at trip.Position) {
	d.t.Helper()
	started, err := d.Start(d.rider, trip.StartInput{VehicleID: ids.New(ids.Device), Position: at})
	if err != nil {
		d.t.Fatal(err)
	}
	d.trip = started
}

// at advances the clock to seconds after noon.
func (d *drive) at(seconds float64) {
	d.clock.Advance(noon().Add(time.Duration(seconds * float64(time.Second))).Sub(d.clock.Now()))
}

func (d *drive) byRider(p trip.Position) trip.Trip {
	d.t.Helper()
	got, err := d.ReportPosition(d.rider, d.trip.ID, p)
	if err != nil {
		d.t.Fatal(err)
	}
	return got
}

func (d *drive) byVehicle(p trip.Position) {
	d.t.Helper()
	if err := d.ApplyVehiclePosition(d.t.Context(), d.trip.VehicleID, p); err != nil {
		d.t.Fatal(err)
	}
}

func (d *drive) wantMetres(what string, want float64) {
	d.t.Helper()
	got, err := d.BatchGet(d.rider, []string{d.trip.ID})
	if err != nil || len(got) != 1 || math.Abs(got[0].DistanceMetres-want) > 0.5 {
		d.t.Errorf("%s: %+v, %v; want %v metres", what, got, err, want)
	}
}

// rejections returns why the fixes of the trip do not count, ordered by time.
func (d *drive) rejections(ctx context.Context, id string) []trip.Rejection {
	d.t.Helper()
	tracks, err := d.BatchGetTracks(ctx, []string{id}, 10_000)
	if err != nil || len(tracks) != 1 {
		d.t.Fatal(tracks, err)
	}
	var why []trip.Rejection
	for _, fix := range tracks[0].Fixes {
		why = append(why, fix.Rejection)
	}
	return why
}

func TestRiderFixAheadOfTimeDoesNotDisplaceVehicle(t *testing.T) {
	t.Parallel()
	d := newDrive(t, "")
	d.start(north(0, 0))
	for i := range 10 {
		s := float64(i+1) * 10
		d.at(s)
		d.byVehicle(north(s, s))
		if i == 3 {
			d.byRider(north(45, 339)) // 299 s ahead
		}
	}
	d.wantMetres("the vehicle drove 10 m each 10 s", 100)
}

func TestRiderFixAheadOfTimeIsMeasuredAsNow(t *testing.T) {
	t.Parallel()
	d := newDrive(t, "")
	d.start(north(0, 0))
	d.at(10)
	d.byRider(north(111, 309)) // 299 s ahead
	d.at(21)
	d.byRider(north(222, 21))
	d.wantMetres("the rider's next fix has the right time", 222)
}

func TestRiderFixWhileVehicleReportsDoesNotCount(t *testing.T) {
	t.Parallel()
	d := newDrive(t, "")
	d.start(north(0, 0))
	d.at(10)
	d.byVehicle(north(100, 10))
	d.at(69)
	if got := d.byRider(north(1000, 69)); got.Fixes != 3 || got.Last.Latitude != north(100, 0).Latitude {
		t.Errorf("59 s after the vehicle it moved to %+v", got.Last)
	}
	d.at(71)
	d.byRider(north(500, 71))
	d.wantMetres("61 s after the vehicle", 500)
}

func TestVehicleFixDisagreesWithRiderReturnsToVehicleAnchor(t *testing.T) {
	t.Parallel()
	for name, rider := range map[string]trip.Position{
		"another place": north(-4000, 80),
		"a later time":  north(150, 95),
	} {
		d := newDrive(t, "")
		d.start(north(0, 0))
		d.at(10)
		d.byVehicle(north(100, 10))
		d.at(95)
		d.byRider(rider)
		d.at(96)
		d.byVehicle(north(400, 94))
		d.byVehicle(north(450, 96))
		d.wantMetres("the vehicle's own way, after the rider reported "+name, 450)
	}
}

func TestVehicleFixAgreesWithRiderContinuesFromRider(t *testing.T) {
	t.Parallel()
	d := newDrive(t, "")
	d.start(north(0, 0))
	d.at(10)
	d.byVehicle(north(100, 10))
	d.at(120)
	d.byRider(north(600, 120))
	d.at(130)
	d.byVehicle(north(500, 130))
	d.wantMetres("100 m, 500 m by the rider's fix, and 100 m back", 700)
}

func TestStartMoreThanFiveMinutesAgoIsRefusedUnlessReplayed(t *testing.T) {
	t.Parallel()
	d := newDrive(t, "")
	in := trip.StartInput{VehicleID: ids.New(ids.Device), Position: north(0, -300), IdempotencyKey: "key"}
	first, err := d.Start(d.rider, in)
	if err != nil || !first.Start.At.Equal(noon().Add(-5*time.Minute)) {
		t.Fatal(first, err)
	}
	d.at(3600)
	if replayed, err := d.Start(d.rider, in); err != nil || replayed.ID != first.ID {
		t.Errorf("a replay an hour later: %v, %v", replayed.ID, err)
	}
	in.IdempotencyKey, in.Position.At = "", time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := d.Start(d.rider, in); errs.From(err).Code != errs.InvalidArgument {
		t.Errorf("a start in 2020: %v", err)
	}
	in.Position.At = d.clock.Now().Add(-5*time.Minute - time.Second)
	if _, err := d.Start(d.rider, in); errs.From(err).Code != errs.InvalidArgument {
		t.Errorf("a start 5 minutes and a second ago: %v", err)
	}
}

func TestLiveTripStartedAtStalePlaceMovesItsAnchor(t *testing.T) {
	t.Parallel()
	d := newDrive(t, "")
	d.start(north(500_000, 0))
	for i := 1; i <= 10; i++ {
		d.at(float64(i) * 10)
		d.byRider(north(float64(i)*100, float64(i)*10))
	}
	d.wantMetres("from the second fix", 900)
	why := d.rejections(d.rider, d.trip.ID)
	for i, r := range why {
		if (r == trip.TooFast) != (i == 0) {
			t.Errorf("fix %d: %q", i, r)
		}
	}
}

func TestLiveFixAtNullIslandIsNoPosition(t *testing.T) {
	t.Parallel()
	d := newDrive(t, "")
	d.start(trip.Position{})
	d.at(10)
	d.byRider(trip.Position{Latitude: 48, Longitude: 11, At: d.clock.Now()})
	d.at(20)
	got := d.byRider(trip.Position{At: d.clock.Now()})
	d.byVehicle(trip.Position{At: d.clock.Now().Add(time.Second)})
	if got.Current().Latitude != 48 || got.Start.Latitude != 48 || got.DistanceMetres != 0 {
		t.Errorf("it is at %+v, started at %+v, after %v metres", got.Current(), got.Start, got.DistanceMetres)
	}
	for i, want := range []trip.Rejection{trip.NoPosition, "", trip.NoPosition, trip.NoPosition} {
		if why := d.rejections(d.rider, d.trip.ID); why[i] != want {
			t.Errorf("fix %d: %q, want %q", i, why[i], want)
		}
	}
}

func TestParkedVehicleWithNoiseGathersLittle(t *testing.T) {
	t.Parallel()
	const metresPerDegree = 6371008.8 * math.Pi / 180
	for _, seed := range []uint64{1, 2, 3, 4, 5} {
		for _, interval := range []time.Duration{time.Second, 15 * time.Second} {
			random := rand.New(rand.NewPCG(seed, 1))
			tr := trip.Trip{DistanceSource: trip.FromTrack}
			for at := time.Duration(0); at < 8*time.Hour; at += interval {
				tr, _ = trip.Observe(tr, trip.Position{
					Latitude:  48 + random.NormFloat64()*5/metresPerDegree,
					Longitude: 11 + random.NormFloat64()*5/metresPerDegree/math.Cos(48*math.Pi/180),
					At:        noon().Add(at),
				})
			}
			if tr.DistanceMetres >= 100 {
				t.Errorf("seed %d, a fix each %v: %v metres in 8 hours", seed, interval, tr.DistanceMetres)
			}
		}
	}
}

func TestSpeedLimitByVehicleKindDecidesWhatCounts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind   string
		speed  float64
		metres float64
	}{
		{"train", 83.4, 834}, {"", 79, 790}, {"car", 83.4, 0}, {"bicycle", 30, 0}, {"bicycle", 20, 200}, {"train", 171, 0},
	} {
		d := newDrive(t, tt.kind)
		d.start(north(0, 0))
		d.at(10)
		d.byRider(north(tt.speed*10, 10))
		d.wantMetres(tt.kind, tt.metres)
	}
}

// recording returns a context of the system, and an empty recording of a new account.
func (d *drive) recording() (context.Context, trip.FixesInput) {
	return caller.NewContext(d.t.Context(), caller.OfSystem()), trip.FixesInput{
		Recording: trip.Recording{Source: "test", AccountID: ids.New(ids.Account), VehicleID: ids.New(ids.Device)}, ExternalID: "1",
	}
}

// The fixes are those of a recording whose first fix is wrong, and whose others are 55.6 m apart.
func TestImportFirstFixWrongCountsFromTheSecond(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]trip.Position{
		"null island":   {At: noon()},
		"another place": {Latitude: -33, Longitude: 151, At: noon()},
		"a later time":  {Latitude: 48, Longitude: 11, At: noon().AddDate(3, 0, 0)},
	} {
		for _, chunk := range []int{21, 2, 1} {
			d := newDrive(t, "")
			ctx, in := d.recording()
			fixes := []trip.Position{first}
			for i := range 20 {
				fixes = append(fixes, north(1000+55.6*float64(i), 60*float64(i+1)))
			}
			rejected := map[trip.Rejection]int64{}
			var got trip.FixesImport
			for len(fixes) > 0 {
				in.Fixes, fixes = fixes[:min(chunk, len(fixes))], fixes[min(chunk, len(fixes)):]
				var err error
				if got, err = d.ImportFixes(ctx, in); err != nil {
					t.Fatal(err)
				}
				for why, n := range got.Rejected {
					rejected[why] += n
				}
			}
			total := int64(0)
			for _, n := range rejected {
				total += n
			}
			if math.Abs(got.Trip.DistanceMetres-19*55.6) > 0.1 || !got.Trip.Start.At.Equal(noon().Add(time.Minute)) || total != 1 {
				t.Errorf("%s in chunks of %d: %v metres from %v, rejected %v", name, chunk, got.Trip.DistanceMetres, got.Trip.Start.At, rejected)
			}
			not := 0
			for _, why := range d.rejections(ctx, got.Trip.ID) {
				if why != "" {
					not++
				}
			}
			if not != 1 {
				t.Errorf("%s in chunks of %d: %d stored fixes do not count, want 1", name, chunk, not)
			}
		}
	}
}

func TestImportFastTrainCountsByKind(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]float64{"train": 59 * 834, "car": 0} {
		d := newDrive(t, kind)
		ctx, in := d.recording()
		for i := range 60 {
			in.Fixes = append(in.Fixes, north(float64(i)*834, float64(i)*10))
		}
		got, err := d.ImportFixes(ctx, in)
		if err != nil || math.Abs(got.Trip.DistanceMetres-want) > 1 || (got.Rejected[trip.TooFast] == 59) != (want == 0) {
			t.Errorf("%s: %v metres, rejected %v, %v", kind, got.Trip.DistanceMetres, got.Rejected, err)
		}
	}
}
