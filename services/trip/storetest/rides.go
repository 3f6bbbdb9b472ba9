package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/services/trip"
)

func plannedRides(t *testing.T, s trip.Store) {
	made := making(started())
	made.Planned = true
	if _, err := s.Create(t.Context(), idempotency.Key{}, made); errs.From(err).Code != errs.Aborted {
		t.Errorf("a trip without its plan is created: %v", err)
	}
	ride := trip.VehicleRide{TripID: made.Trip.ID, VehicleID: made.Trip.VehicleID, AccountID: made.Trip.AccountID, StartedAt: noon()}
	check := func(what string, want ...trip.VehicleRide) {
		t.Helper()
		early, err := s.Plans(t.Context(), noon(), 10)
		due, dueErr := s.Plans(t.Context(), noon().Add(time.Minute), 10)
		planned, plannedErr := s.Planned(t.Context(), ride.TripID)
		if err != nil || dueErr != nil || plannedErr != nil || len(early) > 0 || !slices.Equal(due, want) || planned != (len(want) > 0) {
			t.Errorf("%s: early %v, due %v, planned %t; want %v (%v %v %v)", what, early, due, planned, want, err, dueErr, plannedErr)
		}
	}
	for range 2 {
		if err := s.PlanRide(t.Context(), ride, noon().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		check("planned", ride)
		if err := s.DropPlan(t.Context(), ride.TripID); err != nil {
			t.Fatal(err)
		}
		check("dropped")
	}
	if err := s.PlanRide(t.Context(), ride, noon().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(t.Context(), idempotency.Key{}, made); err != nil {
		t.Fatal(err)
	}
	check("created")
}

func dueRides(t *testing.T, s trip.Store) {
	first, second := noon().Add(time.Minute), noon().Add(2*time.Minute)
	a, b := started(), started()
	a.RideDue, b.RideDue = &first, &second
	create(t, s, a)
	create(t, s, b)
	create(t, s, started())
	check := func(what string, at time.Time, want ...string) {
		t.Helper()
		got, err := s.DueRides(t.Context(), at, 10)
		if err != nil || !slices.Equal(idsOf(got), want) {
			t.Errorf("%s: %v, %v; want %v", what, idsOf(got), err, want)
		}
	}
	check("too early", noon())
	check("one", first, a.ID)
	check("both", second, b.ID, a.ID)
	if err := s.SetRideDue(t.Context(), a.ID, second, nil); err != nil { // it has become due again since
		t.Fatal(err)
	}
	check("of another time", second, b.ID, a.ID)
	if err := s.SetRideDue(t.Context(), a.ID, first, nil); err != nil {
		t.Fatal(err)
	}
	check("stored", second, b.ID)
}
