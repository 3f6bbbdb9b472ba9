package storetest

import (
	"errors"
	"reflect"
	"sync"
	"testing"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/trip"
)

var errRefused = errors.New("refused")

func changeOfNothing(t *testing.T, s trip.Store) {
	id := ids.New(ids.Trip)
	_, err := s.Change(t.Context(), id, "", nil, observing)
	if !errors.Is(err, errs.Missing("trip", id)) {
		t.Errorf("got %v", err)
	}
}

func changeOfAnothers(t *testing.T, s trip.Store) {
	made := create(t, s, started())
	_, err := s.Change(t.Context(), made.ID, ids.New(ids.Account), nil, func(trip.Trip, []trip.Position) (*trip.Change, error) {
		t.Error("the rule is asked about it")
		return nil, nil
	})
	if !errors.Is(err, errs.Missing("trip", made.ID)) {
		t.Errorf("got %v", err)
	}
	if got, err := s.Change(t.Context(), made.ID, made.AccountID, []trip.Position{at(10)}, observing); err != nil || got.Version != made.Version+1 {
		t.Errorf("its own account gets %+v, %v", got, err)
	}
}

func refusedChange(t *testing.T, s trip.Store) {
	before := create(t, s, started())
	_, err := s.Change(t.Context(), before.ID, "", []trip.Position{at(10)}, func(trip.Trip, []trip.Position) (*trip.Change, error) {
		return nil, errRefused
	})
	if !errors.Is(err, errRefused) {
		t.Errorf("got %v", err)
	}
	if got := get(t, s, before.ID); !reflect.DeepEqual(got, before) {
		t.Errorf("it is now %+v", got)
	}
}

func recounts(t *testing.T, s trip.Store) {
	made := create(t, s, started())
	measured := trip.Measurement{
		Origin: &trip.Position{Latitude: 1, Longitude: 2, At: noon()}, Base: 3, Path: 4, Farthest: 5, Support: 6, FirstOrdinal: 7,
		Candidates: []trip.Fix{{Position: at(30), Ordinal: 2, Rejection: trip.TooFast}},
		Vehicle:    &trip.Anchor{Last: at(10), Distance: 8}, ByRider: true,
	}
	after, err := s.Change(t.Context(), made.ID, "", []trip.Position{at(10)}, func(t trip.Trip, fresh []trip.Position) (*trip.Change, error) {
		change, err := observing(t, fresh)
		change.Trip.Measurement = measured
		change.Recounts = []trip.Recount{{Ordinal: 1, After: trip.TooFast}}
		return change, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, made.ID); !reflect.DeepEqual(got, after) || !reflect.DeepEqual(got.Measurement, measured) {
		t.Errorf("measured %+v, want %+v", got.Measurement, measured)
	}
	if fixes := track(t, s, made.ID); len(fixes) != 2 || fixes[0].Rejection != trip.TooFast || !fixes[1].Counted() {
		t.Errorf("fixes %+v", fixes)
	}
}

func refusedCreate(t *testing.T, s trip.Store) {
	change := making(started())
	change.Refusal = errRefused
	key := idempotency.Key{Caller: "account", Value: "key", Fingerprint: "input"}
	if _, err := s.Create(t.Context(), key, change); !errors.Is(err, errRefused) {
		t.Errorf("got %v", err)
	}
	if got, err := s.Get(t.Context(), []string{change.Trip.ID}); err != nil || len(got) != 0 {
		t.Errorf("it stored %+v, %v", got, err)
	}
	change.Refusal = nil
	if _, err := s.Create(t.Context(), key, change); err != nil {
		t.Fatal(err)
	}
	change.Refusal = errRefused
	if got, err := s.Create(t.Context(), key, change); err != nil || got.ID != change.Trip.ID {
		t.Errorf("a replay returns %+v, %v", got, err)
	}
}

func noChange(t *testing.T, s trip.Store) {
	before := create(t, s, started())
	got, err := s.Change(t.Context(), before.ID, "", nil, func(trip.Trip, []trip.Position) (*trip.Change, error) { return nil, nil })
	if err != nil || !reflect.DeepEqual(got, before) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func freshOnce(t *testing.T, s trip.Store) {
	made := create(t, s, started())
	elsewhere := at(20)
	elsewhere.Longitude += 0.001
	var fresh []trip.Position
	add := func(positions ...trip.Position) trip.Trip {
		got, err := s.Change(t.Context(), made.ID, "", positions, func(t trip.Trip, f []trip.Position) (*trip.Change, error) {
			fresh = f
			return observing(t, f)
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := add(at(20), at(0), at(10), at(20), elsewhere)
	if want := []trip.Position{at(20), at(10), elsewhere}; !reflect.DeepEqual(fresh, want) {
		t.Errorf("fresh are %+v, want %+v", fresh, want)
	}
	if got := get(t, s, made.ID); !reflect.DeepEqual(got, first) || got.Fixes != 4 || got.Version != 2 {
		t.Errorf("kept as %+v, want %+v", got, first)
	}
	if again := add(at(10), elsewhere); len(fresh) != 0 || !reflect.DeepEqual(again, first) {
		t.Errorf("again: %d are fresh, the trip is %+v", len(fresh), again)
	}
}

func changesAtOnce(t *testing.T, s trip.Store) {
	made := create(t, s, started())
	const n = 32
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			_, err := s.Change(t.Context(), made.ID, "", []trip.Position{at(i + 1)}, func(t trip.Trip, fresh []trip.Position) (*trip.Change, error) {
				change, err := observing(t, fresh)
				if change != nil {
					change.Trip.DistanceMetres = t.DistanceMetres + 1
				}
				return change, err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := get(t, s, made.ID)
	if got.Version != n+1 || got.Fixes != n+1 || got.DistanceMetres != n {
		t.Errorf("version %d, %d fixes, %v metres", got.Version, got.Fixes, got.DistanceMetres)
	}
	if fixes := track(t, s, made.ID); len(fixes) != n+1 {
		t.Errorf("the track has %d fixes", len(fixes))
	}
}

func repeatsAtOnce(t *testing.T, s trip.Store) {
	made := create(t, s, started())
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if _, err := s.Change(t.Context(), made.ID, "", []trip.Position{at(5)}, observing); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := get(t, s, made.ID); got.Version != 2 || got.Fixes != 2 {
		t.Errorf("version %d, %d fixes", got.Version, got.Fixes)
	}
}
