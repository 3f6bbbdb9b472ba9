// Package storetest is the conformance suite of trip.Store.
package storetest

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/trip"
)

// Run runs the suite; open returns an empty store.
func Run(t *testing.T, open func(t *testing.T) trip.Store) {
	for name, test := range map[string]func(*testing.T, trip.Store){
		"trip, created, is read back unchanged":                        readsBack,
		"Get, some ids unknown, omits them":                            leavesOutUnknown,
		"vehicle task, due, is listed until it is set again":           dueTasks,
		"change, without event, is stored and emits nothing":           quietChange,
		"vehicle, 64 concurrent starts, opens one trip":                oneOpenTripAVehicle,
		"account, 64 concurrent starts, opens one trip":                oneOpenTripAnAccount,
		"finished trip, account and vehicle start again, opens a trip": finishedTripsAllowOthers,
		"start, idempotency key replayed, returns the first trip":      repeatedStart,
		"change, unknown trip, is NOT_FOUND":                           changeOfNothing,
		"change, trip of another account, is NOT_FOUND":                changeOfAnothers,
		"change, refused, stores nothing":                              refusedChange,
		"change, with recounts, updates stored fixes":                  recounts,
		"create, refused, stores nothing but returns a replay":         refusedCreate,
		"change, nil decision, leaves the trip":                        noChange,
		"fix, reported twice, is new once":                             freshOnce,
		"trip, 32 concurrent changes, loses none":                      changesAtOnce,
		"fix, reported 32 times concurrently, is stored once":          repeatsAtOnce,
		"import, repeated, creates one trip and appends to it":         importedOnce,
		"import, 16 times concurrently, creates one trip":              importsAtOnce,
		"import, refused, creates no trip":                             refusedImport,
		"imported ride, repeated, is stored once":                      ridesOnce,
		"imported ride, corrected, replaces the stored one":            correctsRides,
		"imported trip, account and vehicle start, opens a trip":       importedTripsAllowOthers,
		"Open, by vehicle and account, returns open trips":             openTrips,
		"List, read page by page, returns all trips newest first":      listsAll,
		"List, with filter, returns matching trips":                    listsFiltered,
		"List, foreign cursor or invalid size, is refused":             listRefuses,
		"Tracks, with account, returns its fixes ordered by time":      tracksByTime,
		"Tracks, longer than the limit, are thinned evenly":            tracksThinned,
		"planned ride, due, is listed until dropped or created":        plannedRides,
		"ride, due, is listed until it is stored":                      dueRides,
		"lists and tracks, any caller, follow the visibility rule":     visibilityFollowsTheRule,
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

// at returns a position a number of seconds after noon, ten metres further north per second.
func at(seconds int) trip.Position {
	return trip.Position{
		Latitude: 48 + float64(seconds)*10/111_195, Longitude: 11.5, At: noon().Add(time.Duration(seconds) * time.Second),
	}
}

// started returns a new live trip of a new account on a new vehicle.
func started() trip.Trip {
	return trip.Trip{
		ID: ids.New(ids.Trip), Status: trip.InProgress, Version: 1,
		AccountID: ids.New(ids.Account), VehicleID: ids.New(ids.Device),
		Start: at(0), DistanceSource: trip.FromTrack, Tariff: tariff(), Fee: trip.Money{Currency: "EUR"},
	}
}

func recorded(externalID string) trip.Trip {
	t := started()
	t.Status, t.Source, t.ExternalID = trip.Finished, "test", externalID
	return t
}

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

func get(t *testing.T, s trip.Store, id string) trip.Trip {
	t.Helper()
	trips, err := s.Get(t.Context(), []string{id})
	if err != nil || len(trips) != 1 {
		t.Fatalf("get %s: %d trips, %v", id, len(trips), err)
	}
	return trips[0]
}

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
