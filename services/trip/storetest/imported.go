package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluicehq/sluice/services/trip"
)

func importedOnce(t *testing.T, s trip.Store) {
	first, created, err := s.ChangeImported(t.Context(), recorded("a"), []trip.Position{at(0), at(1)}, observing)
	if err != nil || !created || first.Version != 1 || first.Fixes != 2 {
		t.Fatalf("first: %+v, created %v, %v", first, created, err)
	}
	next, created, err := s.ChangeImported(t.Context(), recorded("a"), []trip.Position{at(1), at(2)}, observing)
	if err != nil || created || next.ID != first.ID || next.Version != 2 || next.Fixes != 3 {
		t.Errorf("next: %+v, created %v, %v", next, created, err)
	}
	again, created, err := s.ChangeImported(t.Context(), recorded("a"), []trip.Position{at(2), at(0)}, observing)
	if err != nil || created || !reflect.DeepEqual(again, next) {
		t.Errorf("again: %+v, created %v, %v", again, created, err)
	}
	other, created, err := s.ChangeImported(t.Context(), recorded("b"), []trip.Position{at(0)}, observing)
	if err != nil || !created || other.ID == first.ID {
		t.Errorf("other: %+v, created %v, %v", other, created, err)
	}
}

func importsAtOnce(t *testing.T, s trip.Store) {
	var made atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			_, created, err := s.ChangeImported(t.Context(), recorded("a"), []trip.Position{at(i)}, observing)
			if err != nil {
				t.Error(err)
			}
			if created {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	got, _, err := s.ChangeImported(t.Context(), recorded("a"), nil, observing)
	if err != nil || made.Load() != 1 || got.Fixes != 16 || got.Version != 16 {
		t.Errorf("made %d times; %+v, %v", made.Load(), got, err)
	}
}

func refusedImport(t *testing.T, s trip.Store) {
	draft := recorded("a")
	_, _, err := s.ChangeImported(t.Context(), draft, []trip.Position{at(0)}, func(trip.Trip, []trip.Position) (*trip.Change, error) {
		return nil, errRefused
	})
	if !errors.Is(err, errRefused) {
		t.Errorf("got %v", err)
	}
	if got, err := s.Get(t.Context(), []string{draft.ID}); err != nil || len(got) != 0 {
		t.Errorf("%d trips stay, %v", len(got), err)
	}
}

func rides(from, to int) []trip.Change {
	var made []trip.Change
	for i := from; i < to; i++ {
		made = append(made, making(recorded(fmt.Sprint("ride ", i))))
	}
	return made
}

func unchanged(trip.Trip, trip.Change) *trip.Change { return nil }

func correctsRides(t *testing.T, s trip.Store) {
	first := making(recorded("a"))
	if _, err := s.CreateImported(t.Context(), []trip.Change{first}, unchanged); err != nil {
		t.Fatal(err)
	}
	corrected := first.Trip
	corrected.Version, corrected.DistanceSource, corrected.DistanceMetres = 2, trip.FromMeter, 4321
	fixes := []trip.Fix{{Position: at(50), Ordinal: 1}, {Position: at(60), Ordinal: 2}}
	var decidedOn trip.Trip
	counts, err := s.CreateImported(t.Context(), []trip.Change{making(recorded("a")), making(recorded("b"))}, func(stored trip.Trip, _ trip.Change) *trip.Change {
		decidedOn = stored
		return &trip.Change{Trip: corrected, Fixes: fixes, Event: trip.Imported, At: first.At}
	})
	if err != nil || counts != (trip.ImportCounts{Stored: 1, Updated: 1}) || decidedOn.ID != first.Trip.ID {
		t.Errorf("%+v, %v, decided on %s", counts, err, decidedOn.ID)
	}
	got, err := s.Get(t.Context(), []string{first.Trip.ID})
	if err != nil || len(got) != 1 || got[0].Version != 2 || got[0].DistanceMetres != 4321 || got[0].DistanceSource != trip.FromMeter {
		t.Errorf("reads back as %+v, %v", got, err)
	}
	tracks, err := s.Tracks(t.Context(), []string{first.Trip.ID}, "", 10)
	if err != nil || len(tracks) != 1 || len(tracks[0].Fixes) != 2 || !tracks[0].Fixes[0].At.Equal(at(50).At) {
		t.Errorf("the track is %+v, %v", tracks, err)
	}
}

func ridesOnce(t *testing.T, s trip.Store) {
	for _, tt := range []struct {
		made []trip.Change
		want int64
	}{{rides(0, 10), 10}, {rides(0, 10), 0}, {rides(5, 15), 5}, {append(rides(20, 21), rides(20, 21)...), 1}} {
		if counts, err := s.CreateImported(t.Context(), tt.made, unchanged); err != nil || counts.Stored != tt.want || counts.Updated != 0 {
			t.Errorf("%+v, %v; want %d", counts, err, tt.want)
		}
	}
	var stored atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			counts, err := s.CreateImported(t.Context(), rides(100, 150), unchanged)
			if err != nil {
				t.Error(err)
			}
			stored.Add(counts.Stored)
		})
	}
	wg.Wait()
	if stored.Load() != 50 {
		t.Errorf("8 at once stored %d of 50", stored.Load())
	}
}

func importedTripsAllowOthers(t *testing.T, s trip.Store) {
	live := create(t, s, started())
	ride := recorded("a")
	ride.AccountID, ride.VehicleID = live.AccountID, live.VehicleID
	if counts, err := s.CreateImported(t.Context(), []trip.Change{making(ride)}, unchanged); err != nil || counts.Stored != 1 {
		t.Errorf("%+v, %v", counts, err)
	}
}
