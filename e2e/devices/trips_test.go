package devices

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
)

// contenders is how many clients want the same thing at once.
const contenders = 64

const startTrip = `mutation($input: StartTripInput!) { startTrip(input: $input) { id version distance fee { amountMinor } } }`

type startedTrip struct {
	StartTrip struct {
		ID      string
		Version int
	}
}

// The rules of trips, through a program that nobody else writes to.
func TestTripsHaveOneWinnerPerVehicleAndAccount(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
	vehicles := registerVehicles(t, p, p.SignIn(t, "admin"), contenders)
	t.Run("64 clients want one vehicle", func(t *testing.T) { testOneVehicle(t, p, vehicles[0]) })
	t.Run("one account wants 64 vehicles", func(t *testing.T) { testOneAccount(t, p, vehicles) })
	t.Run("distance and fee", func(t *testing.T) { testDistanceAndFee(t, p, vehicles[0]) })
	t.Run("idempotency key", func(t *testing.T) { testIdempotencyKey(t, p, vehicles) })
	t.Run("expected version", func(t *testing.T) { testExpectedVersion(t, p, vehicles[0]) })
	p.StopCleanly(t)
}

func registerVehicles(t *testing.T, p *harness.Program, admin string, n int) []string {
	t.Helper()
	vehicles := make([]string, 0, n)
	for ; n > 0; n -= 25 { // a document has at most 30 fields at its top
		vehicles = append(vehicles, registerSome(t, p, admin, min(n, 25))...)
	}
	return vehicles
}

func registerSome(t *testing.T, p *harness.Program, admin string, n int) []string {
	t.Helper()
	var query strings.Builder
	query.WriteString("mutation {")
	for i := range n {
		fmt.Fprintf(&query, " v%d: registerDevice(input: {name: \"Scooter %d\", kind: VEHICLE, lock: false}) { device { id } }", i, i)
	}
	query.WriteString(" }")
	made := harness.Query[map[string]struct{ Device struct{ ID string } }](t, p, admin, query.String(), nil)
	vehicles := make([]string, n)
	for i := range vehicles {
		vehicles[i] = made[fmt.Sprint("v", i)].Device.ID
	}
	return vehicles
}

func here(more harness.Vars) harness.Vars {
	position := harness.Vars{"latitude": 50.0, "longitude": 10.0}
	for name, value := range more {
		position[name] = value
	}
	return position
}

// contend starts trips all at once, for the i-th contender by its token on its vehicle. It gives the
// trips that were started, and how often each reason was the answer.
func contend(t *testing.T, p *harness.Program, token, vehicle func(i int) string) (started []string, refused map[string]int) {
	t.Helper()
	answers := make([]harness.Response, contenders)
	var ready, all sync.WaitGroup
	gate := make(chan struct{})
	ready.Add(contenders)
	for i := range contenders {
		all.Go(func() {
			input := harness.Vars{"vehicleId": vehicle(i), "position": here(nil)}
			ready.Done()
			<-gate
			ctx, cancel := context.WithTimeout(t.Context(), harness.Timeout)
			defer cancel()
			var err error
			if answers[i], err = p.Post(ctx, token(i), startTrip, harness.Vars{"input": input}); err != nil {
				t.Errorf("contender %d: %v", i, err)
			}
		})
	}
	ready.Wait()
	close(gate)
	all.Wait()
	refused = map[string]int{}
	for _, a := range answers {
		if len(a.Errors) == 0 {
			started = append(started, harness.Data[startedTrip](t, a).StartTrip.ID)
			continue
		}
		e := a.Errors[0].Extensions
		if e.Code != "FAILED_PRECONDITION" && e.Code != "ALREADY_EXISTS" || e.Service != "TRIP" {
			t.Errorf("refused with %v", a.Errors)
		}
		refused[e.Reason]++
	}
	return started, refused
}

func testOneVehicle(t *testing.T, p *harness.Program, vehicle string) {
	var tokens []string
	for _, who := range []string{"admin", "operator", "alice", "bob"} {
		tokens = append(tokens, p.SignIn(t, who))
	}
	started, refused := contend(t, p, func(i int) string { return tokens[i%len(tokens)] }, func(int) string { return vehicle })
	if len(started) != 1 || refused["VEHICLE_IN_USE"]+refused["TRIP_ALREADY_OPEN"] != contenders-1 || refused["VEHICLE_IN_USE"] == 0 {
		t.Fatalf("%d trips were started, the rest was refused with %v", len(started), refused)
	}
	const open = `query($vehicles: [ID!]) { trips(filter: {vehicleIds: $vehicles}, first: 5) { totalCount nodes { id } } }`
	if got := harness.Query[struct{ Trips harness.Count }](t, p, tokens[1], open, harness.Vars{"vehicles": []string{vehicle}}).Trips; got.TotalCount != 1 || got.Nodes[0].ID != started[0] {
		t.Errorf("the vehicle has the trips %+v, want %s", got, started[0])
	}
	endTrip(t, p, tokens[0], started[0])
}

func testOneAccount(t *testing.T, p *harness.Program, vehicles []string) {
	bob := p.SignIn(t, "bob")
	started, refused := contend(t, p, func(int) string { return bob }, func(i int) string { return vehicles[i] })
	if len(started) != 1 || refused["TRIP_ALREADY_OPEN"] != contenders-1 {
		t.Fatalf("%d trips were started, the rest was refused with %v", len(started), refused)
	}
	endTrip(t, p, bob, started[0])
}

type tripState struct {
	Version         int
	Status          string
	Distance        float64
	DurationSeconds int64
	Fee             struct{ AmountMinor int64 }
	Track           []struct {
		At      string
		Counted bool
	}
}

const tripFields = `{ version status distance durationSeconds fee { amountMinor } track { at counted } }`

func endTrip(t *testing.T, p *harness.Program, token, id string) tripState {
	t.Helper()
	const query = `mutation($id: ID!) { endTrip(tripId: $id) ` + tripFields + ` }`
	return harness.Query[struct{ EndTrip tripState }](t, p, token, query, harness.Vars{"id": id}).EndTrip
}

// testDistanceAndFee drives north along a meridian, where a thousandth of a degree is the same way
// anywhere: R × π/180 000, with R = 6371.0088 km.
func testDistanceAndFee(t *testing.T, p *harness.Program, vehicle string) {
	const step = 6371008.8 * math.Pi / 180_000
	alice := p.SignIn(t, "alice")
	began := time.Now().Add(-4 * time.Minute).Truncate(time.Second)
	at := func(seconds int, more harness.Vars) harness.Vars {
		position := here(harness.Vars{"at": began.Add(time.Duration(seconds) * time.Second).UTC().Format(time.RFC3339)})
		for name, value := range more {
			position[name] = value
		}
		return position
	}
	id := harness.Query[startedTrip](t, p, alice, startTrip, harness.Vars{"input": harness.Vars{"vehicleId": vehicle, "position": at(0, nil)}}).StartTrip.ID
	for _, fix := range []struct {
		name     string
		position harness.Vars
		steps    float64 // the way so far
		version  int
	}{
		{"counts", at(60, harness.Vars{"latitude": 50.001}), 1, 2},
		{"again", at(60, harness.Vars{"latitude": 50.001}), 1, 2},
		{"out of order", at(30, harness.Vars{"latitude": 50.5}), 1, 3},
		{"vague", at(90, harness.Vars{"latitude": 50.002, "accuracy": 150}), 1, 4},
		{"too fast", at(91, harness.Vars{"latitude": 51.0}), 1, 5},
		{"counts again", at(120, harness.Vars{"latitude": 50.003, "accuracy": 5}), 3, 6},
	} {
		const query = `mutation($id: ID!, $position: PositionInput!) { reportPosition(tripId: $id, position: $position) ` + tripFields + ` }`
		got := harness.Query[struct{ ReportPosition tripState }](t, p, alice, query, harness.Vars{"id": id, "position": fix.position}).ReportPosition
		if math.Abs(got.Distance-fix.steps*step) > 0.001 || got.Version != fix.version {
			t.Errorf("%s: %v m at version %d, want %v m at %d", fix.name, got.Distance, got.Version, fix.steps*step, fix.version)
		}
	}
	checkEnded(t, endTrip(t, p, alice, id), math.Round(3*step))
	const again = `mutation($id: ID!) { endTrip(tripId: $id) { id } }`
	harness.RequireError(t, p.Execute(t, alice, again, harness.Vars{"id": id}), "FAILED_PRECONDITION", "TRIP_FINISHED")
}

// checkEnded wants the default tariff: 100 + 120 a kilometre + 19 a minute, rounded once, half up.
func checkEnded(t *testing.T, ended tripState, metres float64) {
	t.Helper()
	fee := (100*3000 + 120*3*int64(metres) + 19*50*ended.DurationSeconds + 1500) / 3000
	if ended.Status != "FINISHED" || math.Round(ended.Distance) != metres || ended.Fee.AmountMinor != fee {
		t.Errorf("the trip ended as %+v, want %v m for %d", ended, metres, fee)
	}
	if ended.DurationSeconds < 240 || ended.DurationSeconds > 240+int64(harness.Timeout.Seconds()) {
		t.Errorf("it took %d s, want about 240", ended.DurationSeconds)
	}
	counted := ""
	for _, fix := range ended.Track {
		counted += map[bool]string{true: "+", false: "-"}[fix.Counted]
	}
	if counted != "+-+--+" { // by time
		t.Errorf("of the track %s count, want +-+--+", counted)
	}
}

func testIdempotencyKey(t *testing.T, p *harness.Program, vehicles []string) {
	alice := p.SignIn(t, "alice")
	input := harness.Vars{"vehicleId": vehicles[1], "position": here(harness.Vars{"at": time.Now().UTC().Format(time.RFC3339)}), "idempotencyKey": "once"}
	first := harness.Query[startedTrip](t, p, alice, startTrip, harness.Vars{"input": input}).StartTrip
	if again := harness.Query[startedTrip](t, p, alice, startTrip, harness.Vars{"input": input}).StartTrip; again.ID != first.ID {
		t.Errorf("the same key and input start %s and %s", first.ID, again.ID)
	}
	input["vehicleId"] = vehicles[2]
	harness.RequireError(t, p.Execute(t, alice, startTrip, harness.Vars{"input": input}), "ABORTED", "IDEMPOTENCY_KEY_REUSED")
	endTrip(t, p, alice, first.ID)
}

func testExpectedVersion(t *testing.T, p *harness.Program, vehicle string) {
	bob := p.SignIn(t, "bob")
	trip := harness.Query[startedTrip](t, p, bob, startTrip, harness.Vars{"input": harness.Vars{"vehicleId": vehicle, "position": here(nil)}}).StartTrip
	const end = `mutation($id: ID!, $version: Int) { endTrip(tripId: $id, expectedVersion: $version) ` + tripFields + ` }`
	harness.RequireError(t, p.Execute(t, bob, end, harness.Vars{"id": trip.ID, "version": trip.Version + 1}), "ABORTED", "VERSION_CONFLICT")
	got := harness.Query[struct{ EndTrip tripState }](t, p, bob, end, harness.Vars{"id": trip.ID, "version": trip.Version}).EndTrip
	if got.Status != "FINISHED" || got.Version != trip.Version+1 {
		t.Errorf("the trip ended as %+v", got)
	}

	const update = `mutation($input: UpdateDeviceInput!) { updateDevice(input: $input) { version } }`
	admin := p.SignIn(t, "admin")
	harness.Query[any](t, p, admin, update, harness.Vars{"input": harness.Vars{"id": vehicle, "name": "Renamed", "expectedVersion": 1}})
	harness.RequireError(t, p.Execute(t, admin, update, harness.Vars{"input": harness.Vars{"id": vehicle, "name": "Late", "expectedVersion": 1}}), "ABORTED", "VERSION_CONFLICT")
}
