package rpc_test

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	"github.com/sluicehq/sluice/services/trip"
)

const (
	someAccount = "account_01jd2k0f3qe8x9w5t7v6m4n2p0"
	someVehicle = "device_01jd2k0f3qe8x9w5t7v6m4n2p0"
)

func fixesOf(externalID string, fixes ...*typesv1.Position) *tripv1.ImportFixesRequest {
	return &tripv1.ImportFixesRequest{Source: "test", ExternalId: externalID, AccountId: someAccount, VehicleId: someVehicle, Fixes: fixes}
}

func ridesOf(rides ...*tripv1.Ride) *tripv1.ImportRidesRequest {
	return &tripv1.ImportRidesRequest{Source: "test", AccountId: someAccount, VehicleId: someVehicle, Rides: rides}
}

func recording(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "trips", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func position(t *testing.T, latitude, longitude, layout, at string) *typesv1.Position {
	t.Helper()
	when, err := time.Parse(layout, at)
	if err != nil {
		t.Fatal(err)
	}
	return &typesv1.Position{Latitude: number(t, latitude), Longitude: number(t, longitude), At: timestamppb.New(when)}
}

func munich(t *testing.T) []*typesv1.Position {
	t.Helper()
	var fixes []*typesv1.Position
	for _, m := range regexp.MustCompile(`POINT\((\S+) (\S+)\)","time":"([^"]+)"`).FindAllStringSubmatch(recording(t, "munich-drive-15s.json"), -1) {
		fixes = append(fixes, position(t, m[2], m[1], "2006-01-02 15:04:05-0700", m[3]))
	}
	return fixes
}

func TestImportFixesInChunksEqualsOneImport(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	fixes := munich(t)
	chunks := [][]*typesv1.Position{fixes[:30], fixes[20:31], fixes[31:], fixes}
	wantStored := []int64{30, 1, 49, 0}
	var last *tripv1.Trip
	for i, chunk := range chunks {
		got, err := h.ImportFixes(system(t), fixesOf("drive", chunk...))
		if err != nil || got.GetStored() != wantStored[i] || got.GetCreated() != (i == 0) {
			t.Fatalf("chunk %d: %v, %v", i, got, err)
		}
		last = got.GetTrip()
	}
	if math.Round(last.GetDistanceMetres()) != 13371 || last.GetDurationSeconds() != 79*15 || last.GetFee().GetAmountMinor() != 1027 ||
		last.GetStatus() != tripv1.Status_STATUS_FINISHED || !proto.Equal(last.GetStart(), fixes[0]) || !proto.Equal(last.GetEnd(), fixes[79]) {
		t.Errorf("the drive is %v", last)
	}
	if n := len(h.events(t)); n != 3 {
		t.Errorf("%d events for 3 chunks with something new", n)
	}
	wantTrip(system(t), t, h, last)
	thin, err := h.BatchGetTracks(system(t), &tripv1.BatchGetTracksRequest{TripIds: []string{last.GetId()}, MaxPoints: 10})
	if err != nil || len(thin.GetTracks()) != 1 || len(thin.GetTracks()[0].GetPositions()) != 10 {
		t.Fatalf("thinned: %v, %v", thin, err)
	}
	if p := thin.GetTracks()[0].GetPositions(); !p[0].GetCounted() || !p[9].GetAt().AsTime().Equal(fixes[79].GetAt().AsTime()) {
		t.Errorf("the track goes from %v to %v", p[0], p[9])
	}
}

func TestImportFixesFirstFixRejectedStartsAtFirstCountedFix(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	poor := with(func(p *typesv1.Position) { p.Accuracy = proto.Float64(500) })
	got, err := h.ImportFixes(system(t), fixesOf("a", poor))
	if err != nil || !proto.Equal(got.GetTrip().GetEnd(), poor) || got.GetTrip().GetDurationSeconds() != 0 {
		t.Errorf("nothing counts: %v, %v", got, err)
	}
	got, err = h.ImportFixes(system(t), fixesOf("a", at(10), at(40), at(20)))
	if made := got.GetTrip(); err != nil || !proto.Equal(made.GetStart(), at(10)) || !proto.Equal(made.GetEnd(), at(40)) ||
		made.GetDurationSeconds() != 30 || math.Abs(made.GetDistanceMetres()-300) > 0.01 {
		t.Errorf("then: %v, %v", got, err)
	}
	other := fixesOf("a", at(50))
	other.VehicleId = strings.Replace(someVehicle, "01jd", "02jd", 1)
	_, err = h.ImportFixes(system(t), other)
	refused(t, "the trip for another vehicle", err, errs.FailedPrecondition, trip.ReasonImportMismatch)
}

func TestImportInvalidStoresNothing(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	for name, change := range map[string]func(*tripv1.ImportFixesRequest){
		"no source":          func(r *tripv1.ImportFixesRequest) { r.Source = "" },
		"a long source":      func(r *tripv1.ImportFixesRequest) { r.Source = strings.Repeat("x", 201) },
		"no external id":     func(r *tripv1.ImportFixesRequest) { r.ExternalId = "" },
		"a control":          func(r *tripv1.ImportFixesRequest) { r.ExternalId = "a\x00" },
		"another kind":       func(r *tripv1.ImportFixesRequest) { r.AccountId = someVehicle },
		"no vehicle":         func(r *tripv1.ImportFixesRequest) { r.VehicleId = "" },
		"no fixes":           func(r *tripv1.ImportFixesRequest) { r.Fixes = nil },
		"too many":           func(r *tripv1.ImportFixesRequest) { r.Fixes = make([]*typesv1.Position, 5001) },
		"a fix that is none": func(r *tripv1.ImportFixesRequest) { r.Fixes = append(r.Fixes, nil) },
		"a bad fix":          func(r *tripv1.ImportFixesRequest) { r.Fixes[1].Latitude = math.NaN() },
		"a fix without time": func(r *tripv1.ImportFixesRequest) { r.Fixes[1].At = nil },
	} {
		request := fixesOf("a", at(0), at(1))
		change(request)
		_, err := h.ImportFixes(system(t), request)
		refused(t, name, err, errs.InvalidArgument, errs.ReasonInvalidField)
	}
	if n := len(h.events(t)); n != 0 {
		t.Errorf("%d events", n)
	}
}

// taxi returns the recorded rides of a taxi driver.
func taxi(t *testing.T) []*tripv1.Ride {
	t.Helper()
	const metresPerMile, layout = 1609.344, "2006-01-02 15:04:05"
	rows, err := csv.NewReader(strings.NewReader(recording(t, "nyc-taxi-one-driver-2013-01.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rides []*tripv1.Ride
	for i, row := range rows[1:] {
		rides = append(rides, &tripv1.Ride{
			ExternalId: fmt.Sprint(i), Start: position(t, row[6], row[5], layout, row[0]), End: position(t, row[8], row[7], layout, row[1]),
			MeteredMetres: proto.Float64(number(t, row[4]) * metresPerMile),
		})
	}
	return rides
}

func TestImportRidesMonthOfTaxiHasKnownFees(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	rides := taxi(t)
	began := time.Now()
	got, err := h.ImportRides(system(t), ridesOf(rides...))
	if err != nil || got.GetStored() != 682 || len(got.GetFaults()) != 0 {
		t.Fatalf("stored %d, faults %v, %v", got.GetStored(), got.GetFaults(), err)
	}
	t.Logf("682 rides took %v", time.Since(began))
	if again, err := h.ImportRides(system(t), ridesOf(rides...)); err != nil || again.GetStored() != 0 {
		t.Errorf("again: %v, %v", again, err)
	}
	if n := len(h.events(t)); n != 682 {
		t.Errorf("%d events", n)
	}
	ctx, _ := as(t, caller.Operator)
	list, err := h.ListTrips(ctx, &tripv1.ListTripsRequest{
		Filter: &tripv1.TripFilter{VehicleIds: []string{someVehicle}, Statuses: []tripv1.Status{tripv1.Status_STATUS_FINISHED}},
		Page:   &typesv1.PageRequest{First: 1000, WithTotal: true},
	})
	if err != nil || list.GetPage().GetTotal() != 682 {
		t.Fatalf("%d are listed, %v", list.GetPage().GetTotal(), err)
	}
	metres := 0.0
	for _, ride := range list.GetTrips() {
		metres += ride.GetDistanceMetres()
		if ride.GetDistanceSource() != tripv1.DistanceSource_DISTANCE_SOURCE_METER {
			t.Errorf("not metered: %v", ride)
		}
	}
	if miles := metres / 1609.344; math.Abs(miles-1851.4) > 1e-6 {
		t.Errorf("%v miles", miles)
	}
}

func TestImportRidesVariousEndsHaveDistanceOrFault(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	nowhere := &typesv1.Position{At: at(60).GetAt()}
	ride := func(id string, start, end *typesv1.Position, metres ...float64) *tripv1.Ride {
		r := &tripv1.Ride{ExternalId: id, Start: start, End: end}
		if len(metres) > 0 {
			r.MeteredMetres = &metres[0]
		}
		return r
	}
	got, err := h.ImportRides(system(t), ridesOf(
		ride("by the ends", at(0), at(60)), ride("by the meter", at(0), at(60), 750), ride("by the meter", at(0), at(60), 750),
		ride("no end, metered", at(0), nowhere, 900), ride("stood still", at(0), at(0), 0),
		ride("", at(0), at(60)), ride("backwards", at(60), at(0)), ride("no end", at(0), nowhere), ride("no start", nowhere, at(90)),
		ride("nil", nil, at(60)), ride("nan", at(0), with(func(p *typesv1.Position) { p.Longitude = math.NaN() })),
		ride("meter", at(0), at(60), math.Inf(1)), ride("no time", at(0), &typesv1.Position{Latitude: 48}),
	))
	if err != nil || got.GetStored() != 4 {
		t.Fatalf("stored %d, %v", got.GetStored(), err)
	}
	wantFaults(t, got.GetFaults(), map[string]string{
		"": "externalId: is missing", "backwards": "end.at: is before", "no end": "end: has no position", "no start": "start: has no position",
		"nil": "start.at: is missing", "nan": "end.longitude: must", "meter": "meteredMetres: must", "no time": "end.at: is missing",
	})
	ctx, _ := as(t, caller.Operator)
	list, err := h.ListTrips(ctx, &tripv1.ListTripsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	distances := map[string]int{}
	for _, made := range list.GetTrips() {
		distances[fmt.Sprintf("%s %.0f m, %d s, %d", made.GetDistanceSource(), made.GetDistanceMetres(), made.GetDurationSeconds(), made.GetFee().GetAmountMinor())]++
	}
	for _, want := range []string{
		"DISTANCE_SOURCE_TRACK 600 m, 60 s, 145", "DISTANCE_SOURCE_METER 750 m, 60 s, 149",
		"DISTANCE_SOURCE_METER 900 m, 60 s, 153", "DISTANCE_SOURCE_METER 0 m, 0 s, 100",
	} {
		if distances[want] != 1 {
			t.Errorf("no ride of %s among %v", want, distances)
		}
	}
	wantCounted(t, h, list.GetTrips(), map[int64]string{145: "true true ", 149: "true true ", 153: "true false ", 100: "true "})
}

// wantCounted requires which fixes of the trips count. The fee identifies a trip.
func wantCounted(t *testing.T, h *env, trips []*tripv1.Trip, want map[int64]string) {
	t.Helper()
	for _, made := range trips {
		got, err := h.BatchGetTracks(system(t), &tripv1.BatchGetTracksRequest{TripIds: []string{made.GetId()}, MaxPoints: 10})
		if err != nil || len(got.GetTracks()) != 1 {
			t.Fatalf("track: %v, %v", got, err)
		}
		counted := ""
		for _, p := range got.GetTracks()[0].GetPositions() {
			counted += fmt.Sprint(p.GetCounted(), " ")
		}
		if fee := made.GetFee().GetAmountMinor(); counted != want[fee] {
			t.Errorf("of the trip for %d the fixes count: %q, want %q", fee, counted, want[fee])
		}
	}
}

func wantFaults(t *testing.T, got []*tripv1.Fault, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d faults, want %d", len(got), len(want))
	}
	for _, fault := range got {
		if reason, ok := want[fault.GetExternalId()]; !ok || !strings.HasPrefix(fault.GetReason(), reason) {
			t.Errorf("ride %q: %q, want %q", fault.GetExternalId(), fault.GetReason(), reason)
		}
	}
}
