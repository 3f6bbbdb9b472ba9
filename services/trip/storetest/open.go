package storetest

import (
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/trip"
)

func readsBack(t *testing.T, s trip.Store) {
	accuracy := 12.5
	want := started()
	want.Start.Accuracy, want.Start.Place = &accuracy, "Marienplatz"
	end := at(60)
	want.Status, want.End, want.Gap = trip.Finished, &end, true
	want.DistanceMetres, want.DistanceSource = 1.0/3, trip.FromMeter
	want.DurationSeconds, want.Fee.AmountMinor = 60, 131
	want.Source, want.ExternalID = "test", "ride 1"
	made := making(want)
	if _, err := s.Create(t.Context(), idempotency.Key{}, made); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, want.ID); !reflect.DeepEqual(got, made.Trip) {
		t.Errorf("reads back as\n%+v, want\n%+v", got, made.Trip)
	}
	if got := track(t, s, want.ID); !reflect.DeepEqual(got, made.Fixes) {
		t.Errorf("its track reads back as\n%+v, want\n%+v", got, made.Fixes)
	}
}

func leavesOutUnknown(t *testing.T, s trip.Store) {
	a := create(t, s, started())
	got, err := s.Get(t.Context(), []string{ids.New(ids.Trip), a.ID, "no id"})
	if err != nil || !slices.Equal(idsOf(got), []string{a.ID}) {
		t.Errorf("got %v, %v", idsOf(got), err)
	}
}

func oneOpenTripAVehicle(t *testing.T, s trip.Store) {
	vehicle := ids.New(ids.Device)
	oneOf64(t, s, trip.VehicleInUse(), func(made *trip.Trip) { made.VehicleID = vehicle })
	open, err := s.Open(t.Context(), []string{vehicle}, nil)
	if err != nil || len(open) != 1 {
		t.Errorf("%d open trips, %v", len(open), err)
	}
}

func oneOpenTripAnAccount(t *testing.T, s trip.Store) {
	account := ids.New(ids.Account)
	oneOf64(t, s, trip.AlreadyOpen(), func(made *trip.Trip) { made.AccountID = account })
	open, err := s.Open(t.Context(), nil, []string{account})
	if err != nil || len(open) != 1 {
		t.Errorf("%d open trips, %v", len(open), err)
	}
}

func oneOf64(t *testing.T, s trip.Store, refusal *errs.Error, with func(*trip.Trip)) {
	t.Helper()
	results := make([]error, 64)
	var wg sync.WaitGroup
	for i := range results {
		made := started()
		with(&made)
		wg.Go(func() { _, results[i] = s.Create(t.Context(), idempotency.Key{}, making(made)) })
	}
	wg.Wait()
	won, refused := 0, 0
	for _, err := range results {
		switch {
		case err == nil:
			won++
		case errors.Is(err, refusal):
			refused++
		default:
			t.Errorf("unexpected: %v", err)
		}
	}
	if won != 1 || refused != 63 {
		t.Errorf("%d won and %d were refused", won, refused)
	}
}

func finishedTripsAllowOthers(t *testing.T, s trip.Store) {
	first := create(t, s, started())
	_, err := s.Change(t.Context(), first.ID, "", nil, func(t trip.Trip, _ []trip.Position) (*trip.Change, error) {
		t.Version++
		t.Status = trip.Finished
		return &trip.Change{Trip: t, Event: trip.Ended, At: noon()}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	next := started()
	next.AccountID, next.VehicleID = first.AccountID, first.VehicleID
	create(t, s, next)
}

func repeatedStart(t *testing.T, s trip.Store) {
	key := idempotency.Key{Caller: "account_1", Value: "k", Fingerprint: "f"}
	first, err := s.Create(t.Context(), key, making(started()))
	if err != nil {
		t.Fatal(err)
	}
	again := started()
	again.AccountID, again.VehicleID = first.AccountID, first.VehicleID
	got, err := s.Create(t.Context(), key, making(again))
	if err != nil || !reflect.DeepEqual(got, first) {
		t.Errorf("the repeat gives %+v, %v; want %+v", got, err, first)
	}
	key.Fingerprint = "other"
	if _, err := s.Create(t.Context(), key, making(started())); errs.From(err).Reason != errs.ReasonKeyReused {
		t.Errorf("the key with another input: %v", err)
	}
}

func openTrips(t *testing.T, s trip.Store) {
	a, b, c := create(t, s, started()), create(t, s, started()), create(t, s, started())
	over := started()
	over.Status, over.VehicleID = trip.Finished, a.VehicleID
	over.Start.At = over.Start.At.Add(time.Hour)
	create(t, s, over)
	for name, tt := range map[string]struct{ vehicles, accounts, want []string }{
		"by vehicle":       {[]string{a.VehicleID, b.VehicleID}, nil, []string{a.ID, b.ID}},
		"by account":       {nil, []string{c.AccountID}, []string{c.ID}},
		"by either":        {[]string{a.VehicleID}, []string{c.AccountID, a.AccountID}, []string{a.ID, c.ID}},
		"nobody drives it": {[]string{ids.New(ids.Device)}, nil, nil},
		"a finished trip":  {nil, []string{over.AccountID}, nil},
	} {
		got, err := s.Open(t.Context(), tt.vehicles, tt.accounts)
		have := idsOf(got)
		slices.Sort(have)
		slices.Sort(tt.want)
		if err != nil || !slices.Equal(have, tt.want) {
			t.Errorf("%s: %v, %v; want %v", name, have, err, tt.want)
		}
	}
}

func dueTasks(t *testing.T, s trip.Store) {
	due := noon().Add(time.Minute)
	with := started()
	with.Status, with.UnlockBy, with.Task, with.TaskDue, with.Failure = trip.Failed, &due, trip.LockTask, &due, "WHY"
	create(t, s, with)
	create(t, s, started())
	if got := get(t, s, with.ID); !reflect.DeepEqual(got.UnlockBy, &due) || got.Task != trip.LockTask || !reflect.DeepEqual(got.TaskDue, &due) || got.Failure != "WHY" {
		t.Errorf("reads back as %+v", got)
	}
	check := func(what string, at time.Time, want ...string) {
		t.Helper()
		got, err := s.DueTasks(t.Context(), at, 10)
		if err != nil || !slices.Equal(idsOf(got), want) {
			t.Errorf("%s: %v, %v; want %v", what, idsOf(got), err, want)
		}
	}
	set := func(from, to trip.VehicleTask, at *time.Time) {
		t.Helper()
		if err := s.SetTask(t.Context(), with.ID, from, to, at); err != nil {
			t.Fatal(err)
		}
	}
	check("too early", due.Add(-time.Second))
	check("in time", due, with.ID)
	set(trip.UnlockTask, trip.NoTask, nil)
	check("another errand was done", due, with.ID)
	later := due.Add(time.Minute)
	set(trip.LockTask, trip.LockTask, &later)
	check("postponed", due)
	check("postponed, in time", later, with.ID)
	set(trip.LockTask, trip.NoTask, nil)
	check("done", later)
}

func quietChange(t *testing.T, s trip.Store) {
	made := create(t, s, started())
	got, err := s.Change(t.Context(), made.ID, "", nil, func(t trip.Trip, _ []trip.Position) (*trip.Change, error) {
		t.Failure = "quiet"
		return &trip.Change{Trip: t, At: noon()}, nil
	})
	if err != nil || got.Version != made.Version || get(t, s, made.ID).Failure != "quiet" {
		t.Errorf("%+v, %v", got, err)
	}
}
