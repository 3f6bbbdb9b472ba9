// Package storetest is what every trip.Store must pass.
package storetest

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/trip"
)

// Run runs the suite. Each call of open gives a store that holds nothing.
func Run(t *testing.T, open func(t *testing.T) trip.Store) {
	for name, test := range map[string]func(*testing.T, trip.Store){
		"a trip reads back as it was kept":             readsBack,
		"ids that nobody has are left out":             leavesOutUnknown,
		"DueTasks, some tasks due, finds them":         dueTasks,
		"a change without an event is kept":            quietChange,
		"64 starts on one vehicle: one wins":           oneOpenTripAVehicle,
		"64 starts of one account: one wins":           oneOpenTripAnAccount,
		"a trip that is over holds nobody":             finishedHoldsNobody,
		"a repeated start gives the first trip":        repeatedStart,
		"a change of no trip is NOT_FOUND":             changeOfNothing,
		"a change of another's trip is NOT_FOUND":      changeOfAnothers,
		"a refused change leaves nothing":              refusedChange,
		"a change that is none leaves the trip":        noChange,
		"fixes are fresh once":                         freshOnce,
		"32 changes at once: none is lost":             changesAtOnce,
		"one fix 32 times at once is kept once":        repeatsAtOnce,
		"an imported trip is made once and goes on":    importedOnce,
		"16 imports of one trip at once make it once":  importsAtOnce,
		"a refused import makes no trip":               refusedImport,
		"imported rides are stored once":               ridesOnce,
		"imported trips hold nobody":                   importedHoldNobody,
		"open trips are found by vehicle and account":  openTrips,
		"a list runs through all trips, newest first":  listsAll,
		"a list is narrowed by its filter":             listsFiltered,
		"lists and tracks follow the visibility rule":  visibilityFollowsTheRule,
		"a list refuses foreign cursors and bad sizes": listRefuses,
		"tracks are by time and only the account's":    tracksByTime,
		"long tracks are thinned evenly":               tracksThinned,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func noon() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

func tariff() trip.Tariff {
	return trip.Tariff{Currency: "EUR", StartFeeMinor: 100, PerKilometreMinor: 25, PerMinuteMinor: 30}
}

// at is a place some seconds after noon, as many times 10 metres north of the start.
func at(seconds int) trip.Position {
	return trip.Position{
		Latitude: 48 + float64(seconds)*10/111_195, Longitude: 11.5, At: noon().Add(time.Duration(seconds) * time.Second),
	}
}

// started is a new live trip of a new account on a new vehicle.
func started() trip.Trip {
	return trip.Trip{
		ID: ids.New(ids.Trip), Status: trip.InProgress, Version: 1,
		AccountID: ids.New(ids.Account), VehicleID: ids.New(ids.Device),
		Start: at(0), DistanceSource: trip.FromTrack, Tariff: tariff(), Fee: trip.Money{Currency: "EUR"},
	}
}

// recorded is a finished trip of a source.
func recorded(externalID string) trip.Trip {
	t := started()
	t.Status, t.Source, t.ExternalID = trip.Finished, "test", externalID
	return t
}

// making is the change that makes the trip, with its start as the first fix.
func making(t trip.Trip) trip.Change {
	t, fix := trip.Observe(t, t.Start)
	return trip.Change{Trip: t, Fixes: []trip.Fix{fix}, Event: trip.Started, At: noon()}
}

func create(t *testing.T, s trip.Store, made trip.Trip) trip.Trip {
	t.Helper()
	kept, err := s.Create(t.Context(), idempotency.Key{}, making(made))
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// observing is the decision to add the fresh positions.
func observing(t trip.Trip, fresh []trip.Position) (*trip.Change, error) {
	if len(fresh) == 0 {
		return nil, nil
	}
	var fixes []trip.Fix
	for _, p := range fresh {
		var fix trip.Fix
		t, fix = trip.Observe(t, p)
		fixes = append(fixes, fix)
	}
	t.Version++
	return &trip.Change{Trip: t, Fixes: fixes, Event: trip.Moved, At: noon()}, nil
}

// get reads one trip that must be there.
func get(t *testing.T, s trip.Store, id string) trip.Trip {
	t.Helper()
	trips, err := s.Get(t.Context(), []string{id})
	if err != nil || len(trips) != 1 {
		t.Fatalf("get %s: %d trips, %v", id, len(trips), err)
	}
	return trips[0]
}

// track reads a whole track.
func track(t *testing.T, s trip.Store, id string) []trip.Fix {
	t.Helper()
	tracks, err := s.Tracks(t.Context(), []string{id}, "", 10_000)
	if err != nil || len(tracks) != 1 {
		t.Fatalf("track of %s: %d tracks, %v", id, len(tracks), err)
	}
	return tracks[0].Fixes
}

func idsOf(trips []trip.Trip) []string {
	out := make([]string, len(trips))
	for i, t := range trips {
		out[i] = t.ID
	}
	return out
}
