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

// Recording has the owner of imported trips.
type Recording struct {
	Source    string // the recorder
	AccountID string
	VehicleID string
}

func (r Recording) check(ctx context.Context) error {
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

func (s *Service) newRecording(r Recording, kind, externalID string, first Position) Trip {
	return Trip{
		ID: ids.New(ids.Trip), Status: Finished, AccountID: r.AccountID, VehicleID: r.VehicleID, Start: first,
		DistanceSource: FromTrack, MaxSpeed: s.speeds.of(kind), Tariff: s.tariff, Source: r.Source, ExternalID: externalID,
	}
}

// FixesInput is a part of a recorded trip.
type FixesInput struct {
	Recording
	ExternalID string     // id of the trip in the source
	Fixes      []Position // 1 to 5,000, in the order of the recording
}

// FixesImport is the result of an import of fixes.
type FixesImport struct {
	Trip    Trip
	Created bool
	Stored  int64 // fixes that were new
	// Rejected is the change in the number of rejected fixes, by reason; negative where a later fix confirms an
	// earlier one.
	Rejected map[Rejection]int64
}

func (c *Change) rejected() map[Rejection]int64 {
	if c == nil {
		return nil
	}
	counts := map[Rejection]int64{}
	for _, fix := range c.Fixes {
		counts[fix.Rejection]++
	}
	for _, r := range c.Recounts {
		counts[r.Before]--
		counts[r.After]++
	}
	delete(counts, "")
	return counts
}

// ImportFixes adds recorded fixes to a finished trip, which it creates for a new external id. Duplicates have no
// effect. The trip starts at its first counted fix and ends at its last one.
func (s *Service) ImportFixes(ctx context.Context, in FixesInput) (FixesImport, error) {
	if err := in.check(ctx); err != nil {
		return FixesImport{}, err
	}
	if err := input.Key("externalId", in.ExternalID, maxExternalID); err != nil {
		return FixesImport{}, err
	}
	fixes, err := normalizeFixes(in.Fixes)
	if err != nil {
		return FixesImport{}, err
	}
	kind, err := s.vehicles.Kind(ctx, in.VehicleID)
	if err != nil {
		return FixesImport{}, fmt.Errorf("look up the vehicle: %w", err)
	}
	now := s.clock.Now()
	var out FixesImport
	draft := s.newRecording(in.Recording, kind, in.ExternalID, fixes[0])
	out.Trip, out.Created, err = s.store.ChangeImported(ctx, draft, fixes, func(t Trip, fresh []Position) (*Change, error) {
		if t.AccountID != in.AccountID || t.VehicleID != in.VehicleID {
			return nil, errImportMismatch(t)
		}
		change, err := addFixes(t, fresh, now)
		out.Stored, out.Rejected = int64(len(fresh)), change.rejected()
		return change, err
	})
	if err != nil {
		return FixesImport{}, err
	}
	return out, nil
}

func normalizeFixes(fixes []Position) ([]Position, error) {
	if len(fixes) == 0 || len(fixes) > maxImportedFixes {
		return nil, errs.Invalid("fixes", "must be 1 to %d", maxImportedFixes)
	}
	checked := make([]Position, len(fixes))
	var err error
	for i, p := range fixes {
		if checked[i], err = p.normalize(fmt.Sprintf("fixes[%d]", i)); err != nil {
			return nil, err
		}
	}
	return checked, nil
}

func addFixes(t Trip, fresh []Position, now time.Time) (*Change, error) {
	if len(fresh) == 0 {
		return nil, nil
	}
	if t.Fixes+int64(len(fresh)) > maxFixes {
		return nil, errTrackFull()
	}
	begun := t.Last != nil
	t, fixes, recounts := observeAll(t, recorder, fresh, now)
	if i := slices.IndexFunc(fixes, Fix.Counted); !begun && i >= 0 {
		t.Start = fixes[i].Position
	}
	end := t.Current()
	t.Version++
	t.End = &end
	return &Change{Trip: t.chargeUntil(end.At).withRideDue(now), Fixes: fixes, Recounts: recounts, Event: Imported, At: now}, nil
}

// RidesInput is an import of rides.
type RidesInput struct {
	Recording
	Rides []Ride // at most 1,000
}

// Ride is a recorded trip with only a start and an end.
type Ride struct {
	ExternalID string // id of the trip in the source
	Start, End Position
	Metered    *float64 // metres by the meter of the vehicle; nil without a reading
}

// Fault is the reason why a ride was not imported.
type Fault struct {
	ExternalID string
	Reason     string
}

// ImportRides stores the valid rides as finished trips: new ones, and those that differ from the stored ride of their
// external id, which they replace. It returns a fault for each invalid ride.
//
// The distance is the reading of the meter, 0 included, or else the great-circle distance between both ends.
// Recorders write 0, 0 without a position: with a meter, that end is stored as not counted; without one, the ride is
// a fault.
func (s *Service) ImportRides(ctx context.Context, in RidesInput) (counts ImportCounts, faults []Fault, err error) {
	if err := in.check(ctx); err != nil {
		return counts, nil, err
	}
	if len(in.Rides) > maxImportedRides {
		return counts, nil, errs.Invalid("rides", "are more than %d", maxImportedRides)
	}
	kind, err := s.vehicles.Kind(ctx, in.VehicleID)
	if err != nil {
		return counts, nil, fmt.Errorf("look up the vehicle: %w", err)
	}
	now := s.clock.Now()
	changes := make([]Change, 0, len(in.Rides))
	rides := make(map[string]Ride, len(in.Rides))
	for _, ride := range in.Rides {
		if ride, err = ride.normalize(); err != nil {
			faults = append(faults, Fault{ExternalID: ride.ExternalID, Reason: err.Error()})
			continue
		}
		draft := s.newRecording(in.Recording, kind, ride.ExternalID, ride.Start)
		changes = append(changes, draft.ridden(ride, now))
		rides[ride.ExternalID] = ride
	}
	if len(changes) == 0 {
		return counts, faults, nil
	}
	counts, err = s.store.CreateImported(ctx, changes, func(stored Trip, imported Change) *Change {
		return stored.correctedBy(rides[imported.Trip.ExternalID], in.Recording, now)
	})
	return counts, faults, err
}

// correctedBy returns the ride as the correction of a stored trip, at its tariff and speed limit; nil when nothing has
// changed, and for a trip of another owner or vehicle.
func (t Trip) correctedBy(r Ride, owner Recording, now time.Time) *Change {
	metered := t.DistanceSource == FromMeter
	same := t.End != nil && t.Start.sameFix(r.Start) && t.End.sameFix(r.End) &&
		metered == (r.Metered != nil) && (!metered || t.DistanceMetres == *r.Metered)
	if same || t.AccountID != owner.AccountID || t.VehicleID != owner.VehicleID {
		return nil
	}
	draft := Trip{
		ID: t.ID, Status: Finished, AccountID: t.AccountID, VehicleID: t.VehicleID, Start: r.Start, DistanceSource: FromTrack,
		MaxSpeed: t.MaxSpeed, Tariff: t.Tariff, Source: t.Source, ExternalID: t.ExternalID, Version: t.Version,
	}
	change := draft.ridden(r, now)
	return &change
}

func (r Ride) normalize() (Ride, error) {
	err := input.Key("externalId", r.ExternalID, maxExternalID)
	if err != nil {
		return r, err
	}
	if r.Start, err = r.Start.normalize("start"); err != nil {
		return r, err
	}
	if r.End, err = r.End.normalize("end"); err != nil {
		return r, err
	}
	switch {
	case r.End.At.Before(r.Start.At):
		return r, errs.Invalid("end.at", "is before the start")
	case r.Metered != nil && !(*r.Metered >= 0 && *r.Metered <= maxMetered):
		return r, errs.Invalid("meteredMetres", "must be between 0 and %d", maxMetered)
	case r.Metered == nil && r.Start.isNull():
		return r, errs.Invalid("start", "has no position, and no meter says how far it went")
	case r.Metered == nil && r.End.isNull():
		return r, errs.Invalid("end", "has no position, and no meter says how far it went")
	}
	return r, nil
}

// ridden returns the draft of a trip as the finished ride.
func (t Trip) ridden(ride Ride, now time.Time) Change {
	if ride.Metered != nil {
		t.DistanceSource, t.DistanceMetres = FromMeter, *ride.Metered
	}
	fixes := make([]Fix, 0, 2)
	for _, end := range []Position{ride.Start, ride.End} {
		if len(fixes) == 1 && end.At.Equal(ride.Start.At) && end.samePlace(ride.Start) {
			break // a track stores a fix once
		}
		var fix Fix
		t, fix = t.observeBy(recorder, end)
		fixes = append(fixes, fix)
	}
	t.Version++
	t.End = &ride.End
	return Change{Trip: t.chargeUntil(ride.End.At).withRideDue(now), Fixes: fixes, Event: Imported, At: now}
}

func (p Position) sameFix(q Position) bool { return p.At.Equal(q.At) && p.samePlace(q) }

func (p Position) samePlace(q Position) bool {
	return p.Latitude == q.Latitude && p.Longitude == q.Longitude
}
