package trip

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

const (
	maxImportedFixes = 5_000
	maxImportedRides = 1_000
	maxSource        = 200           // bytes
	maxExternalID    = 1_024         // bytes
	maxMetered       = 1_000_000_000 // metres
)

// Recording says whose recorded trips are imported.
type Recording struct {
	Source    string // what recorded them
	AccountID string
	VehicleID string
}

func (r Recording) checked(ctx context.Context) error {
	who, err := caller.Require(ctx, caller.TripWrite)
	if err != nil {
		return err
	}
	if !who.Administers() {
		return errs.Denied("only administrators import recordings")
	}
	if err := input.Key("source", r.Source, maxSource); err != nil {
		return err
	}
	if err := input.ID("accountId", ids.Account, r.AccountID); err != nil {
		return err
	}
	return input.ID("vehicleId", ids.Device, r.VehicleID)
}

func (s *Service) recorded(r Recording, externalID string, first Position) Trip {
	return Trip{
		ID: ids.New(ids.Trip), Status: Finished, AccountID: r.AccountID, VehicleID: r.VehicleID, Start: first,
		DistanceSource: FromTrack, Tariff: s.tariff, Source: r.Source, ExternalID: externalID,
	}
}

// FixesInput is a stretch of a recorded trip.
type FixesInput struct {
	Recording
	ExternalID string     // of the trip in the source
	Fixes      []Position // 1 to 5,000, in the order recorded
}

// FixesImport is what became of a FixesInput.
type FixesImport struct {
	Trip    Trip
	Created bool
	Stored  int64 // fixes that were new
}

// ImportFixes adds recorded fixes to the finished trip that the recording names, which is made when
// it is new. Fixes that are there already change nothing; the trip begins with the first fix that
// counts and ends with the last.
func (s *Service) ImportFixes(ctx context.Context, in FixesInput) (FixesImport, error) {
	if err := in.checked(ctx); err != nil {
		return FixesImport{}, err
	}
	if err := input.Key("externalId", in.ExternalID, maxExternalID); err != nil {
		return FixesImport{}, err
	}
	fixes, err := checkedFixes(in.Fixes)
	if err != nil {
		return FixesImport{}, err
	}
	now := s.clock.Now()
	var out FixesImport
	draft := s.recorded(in.Recording, in.ExternalID, fixes[0])
	out.Trip, out.Created, err = s.store.ChangeImported(ctx, draft, fixes, func(t Trip, fresh []Position) (*Change, error) {
		if t.AccountID != in.AccountID || t.VehicleID != in.VehicleID {
			return nil, importMismatch(t)
		}
		out.Stored = int64(len(fresh))
		return extend(t, fresh, now)
	})
	if err != nil {
		return FixesImport{}, err
	}
	return out, nil
}

func checkedFixes(fixes []Position) ([]Position, error) {
	if len(fixes) == 0 || len(fixes) > maxImportedFixes {
		return nil, errs.Invalid("fixes", "must be 1 to %d", maxImportedFixes)
	}
	checked := make([]Position, len(fixes))
	var err error
	for i, p := range fixes {
		if checked[i], err = p.checked(fmt.Sprintf("fixes[%d]", i)); err != nil {
			return nil, err
		}
	}
	return checked, nil
}

// extend adds fixes to a recorded trip.
func extend(t Trip, fresh []Position, now time.Time) (*Change, error) {
	if len(fresh) == 0 {
		return nil, nil
	}
	if t.Fixes+int64(len(fresh)) > maxFixes {
		return nil, trackFull()
	}
	begun := t.Last != nil
	t, fixes := observeAll(t, fresh)
	if i := slices.IndexFunc(fixes, Fix.Counted); !begun && i >= 0 {
		t.Start = fixes[i].Position
	}
	end := t.Current()
	t.Version++
	t.End = &end
	return &Change{Trip: t.until(end.At), Fixes: fixes, Event: Imported, At: now}, nil
}

// RidesInput is recorded trips of which only the ends are known.
type RidesInput struct {
	Recording
	Rides []Ride // at most 1,000
}

// Ride is a recorded trip of which only the ends are known.
type Ride struct {
	ExternalID string // of the trip in the source
	Start, End Position
	Metered    *float64 // metres by the vehicle's meter; nil when it did not say
}

// Fault says why a ride was left out.
type Fault struct {
	ExternalID string
	Reason     string
}

// ImportRides adds the rides that are good and new as finished trips, tells how many they were and
// what is wrong with those that are not good.
//
// The distance is what the meter said, 0 too; without a meter it is the way over the ends. An end
// at exactly 0, 0 is how recorders write that they had no position: such a ride is kept as it was
// recorded, with that end not counted, when its meter says how far it went, and is a fault when
// nothing does.
func (s *Service) ImportRides(ctx context.Context, in RidesInput) (stored int64, faults []Fault, err error) {
	if err := in.checked(ctx); err != nil {
		return 0, nil, err
	}
	if len(in.Rides) > maxImportedRides {
		return 0, nil, errs.Invalid("rides", "are more than %d", maxImportedRides)
	}
	now := s.clock.Now()
	made := make([]Change, 0, len(in.Rides))
	for _, ride := range in.Rides {
		if ride, err = ride.checked(); err != nil {
			faults = append(faults, Fault{ExternalID: ride.ExternalID, Reason: err.Error()})
			continue
		}
		made = append(made, s.ridden(in.Recording, ride, now))
	}
	if len(made) == 0 {
		return 0, faults, nil
	}
	if stored, err = s.store.CreateImported(ctx, made); err != nil {
		return 0, nil, err
	}
	return stored, faults, nil
}

func (r Ride) checked() (Ride, error) {
	err := input.Key("externalId", r.ExternalID, maxExternalID)
	if err != nil {
		return r, err
	}
	if r.Start, err = r.Start.checked("start"); err != nil {
		return r, err
	}
	if r.End, err = r.End.checked("end"); err != nil {
		return r, err
	}
	switch {
	case r.End.At.Before(r.Start.At):
		return r, errs.Invalid("end.at", "is before the start")
	case r.Metered != nil && !(*r.Metered >= 0 && *r.Metered <= maxMetered):
		return r, errs.Invalid("meteredMetres", "must be between 0 and %d", maxMetered)
	case r.Metered == nil && r.Start.unknown():
		return r, errs.Invalid("start", "has no position, and no meter says how far it went")
	case r.Metered == nil && r.End.unknown():
		return r, errs.Invalid("end", "has no position, and no meter says how far it went")
	}
	return r, nil
}

// ridden is a ride as a finished trip.
func (s *Service) ridden(r Recording, ride Ride, now time.Time) Change {
	t := s.recorded(r, ride.ExternalID, ride.Start)
	if ride.Metered != nil {
		t.DistanceSource, t.DistanceMetres = FromMeter, *ride.Metered
	}
	fixes := make([]Fix, 0, 2)
	for _, end := range []Position{ride.Start, ride.End} {
		if len(fixes) == 1 && end.At.Equal(ride.Start.At) && end.samePlace(ride.Start) {
			break // a fix is kept once a trip
		}
		var fix Fix
		if end.unknown() {
			t.Fixes++
			fix = Fix{Position: end, Ordinal: t.Fixes, Rejection: NoPosition}
		} else {
			t, fix = Observe(t, end)
		}
		fixes = append(fixes, fix)
	}
	t.Version, t.End = 1, &ride.End
	return Change{Trip: t.until(ride.End.At), Fixes: fixes, Event: Imported, At: now}
}

func (p Position) samePlace(q Position) bool {
	return p.Latitude == q.Latitude && p.Longitude == q.Longitude
}
