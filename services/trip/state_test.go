package trip_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/trip"
	"github.com/sluicehq/sluice/services/trip/store"
)

// anyVehicle is always rentable and does not open on command.
type anyVehicle struct{ trip.Vehicles }

func (anyVehicle) CheckRentable(context.Context, string) (trip.Vehicle, error) {
	return trip.Vehicle{}, nil
}

func (anyVehicle) PutRide(context.Context, trip.VehicleRide) (string, error) { return "", nil }

func subjectOnly(trip.Trip) ([]byte, error) { return []byte{}, nil }

// Members start, report and end trips in random order. Each response is compared with a simple model.
func TestTripsRandomCallsMatchModel(t *testing.T) {
	t.Parallel()
	db := sqltest.OpenSQLite(t, store.Migrations())
	now := clock.NewManual(noon())
	service := trip.New(store.New(db, subjectOnly), anyVehicle{}, now, tariff(), trip.SpeedLimits{})
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{ctx: t.Context(), service: service, clock: now, trips: map[string]trip.Trip{}, seen: map[string]bool{}}
		for range 3 {
			m.accounts = append(m.accounts, ids.New(ids.Account))
			m.vehicles = append(m.vehicles, ids.New(ids.Device))
		}
		rt.Repeat(map[string]func(*rapid.T){
			"start": m.start, "report": m.report, "end": m.end, "wait": m.wait, "": m.check,
		})
	})
}

// model is the expected state.
type model struct {
	ctx                context.Context
	service            *trip.Service
	clock              *clock.Manual
	accounts, vehicles []string
	order              []string // trips in the order of creation
	trips              map[string]trip.Trip
	seen               map[string]bool // trip and fix
	last               *trip.Position
}

func (m *model) as(accountID string) context.Context {
	return caller.NewContext(m.ctx, caller.Caller{AccountID: accountID, Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)})
}

// position returns a new position, or the previous one.
func (m *model) position(rt *rapid.T) trip.Position {
	if m.last != nil && rapid.Bool().Draw(rt, "again") {
		return *m.last
	}
	back := rapid.IntRange(-3, 10).Draw(rt, "seconds back")
	p := trip.Position{
		Latitude:  48 + float64(rapid.IntRange(0, 5).Draw(rt, "step"))*0.0005,
		Longitude: 11,
		At:        m.clock.Now().Add(-time.Duration(back) * time.Second),
	}
	if rapid.Bool().Draw(rt, "poor") {
		p = accurate(p, 500)
	}
	m.last = &p
	return p
}

func (m *model) wait(rt *rapid.T) {
	m.clock.Advance(time.Duration(rapid.IntRange(1, 30).Draw(rt, "seconds")) * time.Second)
}

func (m *model) start(rt *rapid.T) {
	account, vehicle := rapid.SampledFrom(m.accounts).Draw(rt, "account"), rapid.SampledFrom(m.vehicles).Draw(rt, "vehicle")
	p := m.position(rt)
	got, err := m.service.Start(m.as(account), trip.StartInput{VehicleID: vehicle, Position: p})
	driving, driven := false, false
	for _, t := range m.trips {
		driving = driving || t.Status.Open() && t.AccountID == account
		driven = driven || t.Status.Open() && t.VehicleID == vehicle
	}
	if refused := errors.Is(err, trip.AlreadyOpen()) && driving || errors.Is(err, trip.VehicleInUse()) && driven; refused {
		return
	}
	if err != nil || driving || driven {
		rt.Fatalf("account drives: %v, vehicle is driven: %v, and the start gives %v", driving, driven, err)
	}
	if got.Status != trip.InProgress || got.Version != 1 || got.Fixes != 1 {
		rt.Fatalf("started as %+v", got)
	}
	m.keep(got, p)
}

func (m *model) keep(t trip.Trip, p trip.Position) {
	if _, known := m.trips[t.ID]; !known {
		m.order = append(m.order, t.ID)
	}
	m.trips[t.ID] = t
	m.seen[fixKey(t.ID, p)] = true
}

func fixKey(tripID string, p trip.Position) string {
	return fmt.Sprint(tripID, p.At, p.Latitude, p.Longitude)
}

// someTrip returns an existing trip and the account that calls.
func (m *model) someTrip(rt *rapid.T) (trip.Trip, string) {
	if len(m.order) == 0 {
		rt.Skip("no trips")
	}
	return m.trips[rapid.SampledFrom(m.order).Draw(rt, "trip")], rapid.SampledFrom(m.accounts).Draw(rt, "account")
}

func (m *model) report(rt *rapid.T) {
	before, account := m.someTrip(rt)
	p := m.position(rt)
	got, err := m.service.ReportPosition(m.as(account), before.ID, p)
	if m.refused(rt, before, account, err) {
		return
	}
	grown := int64(1)
	if m.seen[fixKey(before.ID, p)] {
		grown = 0
	}
	if got.Version != before.Version+grown || got.Fixes != before.Fixes+grown || got.DistanceMetres < before.DistanceMetres ||
		got.Current().At.Before(before.Current().At) && before.Last != nil {
		rt.Fatalf("reported %+v: from %+v to %+v", p, before, got)
	}
	m.keep(got, p)
}

func (m *model) end(rt *rapid.T) {
	before, account := m.someTrip(rt)
	in := trip.EndInput{TripID: before.ID, ExpectedVersion: &before.Version}
	got, err := m.service.End(m.as(account), in)
	if m.refused(rt, before, account, err) {
		return
	}
	if got.Status != trip.Finished || got.Version != before.Version+1 || got.End == nil || got.End.At.Before(got.Start.At) ||
		got.DistanceMetres != before.DistanceMetres {
		rt.Fatalf("ended as %+v", got)
	}
	m.trips[got.ID] = got
}

// refused reports whether the model requires a refusal, and fails the test when the response is another.
func (m *model) refused(rt *rapid.T, t trip.Trip, account string, err error) bool {
	var want error
	switch {
	case account != t.AccountID:
		want = errs.Missing("trip", t.ID)
	case !t.Status.Open():
		want = errs.New(errs.FailedPrecondition, trip.ReasonTripFinished, "")
	}
	if !errors.Is(err, want) {
		rt.Fatalf("account %s on trip %+v: %v, want %v", account, t, err, want)
	}
	return want != nil
}

// check reads back every trip.
func (m *model) check(rt *rapid.T) {
	staff := caller.NewContext(m.ctx, caller.OfSystem())
	got, err := m.service.BatchGet(staff, m.order)
	if err != nil || len(got) != len(m.order) {
		rt.Fatalf("%d trips of %d, %v", len(got), len(m.order), err)
	}
	for _, t := range got {
		want := m.trips[t.ID].AsOf(m.clock.Now())
		if t.Status != want.Status || t.Version != want.Version || t.Fee != want.Fee || t.DurationSeconds != want.DurationSeconds ||
			t.DistanceMetres != want.DistanceMetres {
			rt.Fatalf("reads as %+v, want %+v", t, want)
		}
	}
}
