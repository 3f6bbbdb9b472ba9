package trip

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/page"
)

// Store persists trips and their tracks. Each write is one durable transaction over the trip, its fixes and its
// event.
type Store interface {
	// Create stores a new trip. A repeat under the idempotency key returns the first result. AlreadyOpen if the
	// account has an open trip, VehicleInUse if the vehicle has, also for concurrent requests.
	Create(ctx context.Context, key idempotency.Key, change Change) (Trip, error)

	// Change stores the change that decide returns. decide receives the trip and the positions that are new in its
	// track. Changes of one trip are serial. The store may retry decide, so it must have no side effects. Its error
	// is returned unchanged.
	//
	// A trip that does not exist, or that is not the account's ("" for any account), is NOT_FOUND. Both run the same
	// query, and neither waits for a lock.
	Change(ctx context.Context, id, accountID string, positions []Position, decide Decide) (Trip, error)

	// ChangeImported is Change for the trip with the source and the external id of the draft. Without one it inserts
	// the draft, which decide receives as version 0.
	ChangeImported(ctx context.Context, draft Trip, positions []Position, decide Decide) (t Trip, created bool, err error)

	// CreateImported stores trips whose source and external id are new. For each other one correct decides, with the
	// stored trip and the imported change, what replaces the stored trip and its track; nil for nothing.
	CreateImported(ctx context.Context, changes []Change, correct func(stored Trip, imported Change) *Change) (ImportCounts, error)

	// Get returns the existing trips, in any order.
	Get(ctx context.Context, ids []string) ([]Trip, error)

	// Open returns the open trips of the vehicles or accounts, in any order.
	Open(ctx context.Context, vehicleIDs, accountIDs []string) ([]Trip, error)

	// List returns a page of trips, the newest start first.
	List(ctx context.Context, filter Filter, request page.Request) (page.Page[Trip], error)

	// DueTasks lists trips whose vehicle task is due at now, the earliest due first.
	DueTasks(ctx context.Context, now time.Time, limit int) ([]Trip, error)

	// SetTask replaces the vehicle task of a trip, if the task is from.
	SetTask(ctx context.Context, id string, from, to VehicleTask, due *time.Time) error

	// PlanRide stores a ride whose trip will be created, or has failed at due. Create deletes it with Change.Planned.
	PlanRide(ctx context.Context, ride VehicleRide, due time.Time) error

	// Planned reports whether the ride of the trip is planned.
	Planned(ctx context.Context, tripID string) (bool, error)

	// Plans returns the planned rides that are due at now, the earliest due first.
	Plans(ctx context.Context, now time.Time, limit int) ([]VehicleRide, error)

	// DropPlan deletes the planned ride, if there is one.
	DropPlan(ctx context.Context, tripID string) error

	// DueRides lists trips whose ride is due at now, the latest due first.
	DueRides(ctx context.Context, now time.Time, limit int) ([]Trip, error)

	// SetRideDue replaces Trip.RideDue; nil when the ride is stored. It does nothing when Trip.RideDue is not from.
	SetRideDue(ctx context.Context, id string, from time.Time, to *time.Time) error

	// Tracks returns the tracks of those trips that are the account's ("" for any account), ordered by time. Each is
	// thinned to at most limit fixes, at least 1: the first, the last, and others evenly spread; only the last for a
	// limit of 1.
	Tracks(ctx context.Context, ids []string, accountID string, limit int) ([]Track, error)
}

// ImportCounts counts the trips of an import.
type ImportCounts struct {
	Stored  int64 // new
	Updated int64 // known, and their source has changed
}

// Decide returns the change of a trip; nil for no change.
type Decide func(t Trip, fresh []Position) (*Change, error)

// Change is a trip in the state to store.
type Change struct {
	Trip     Trip
	Fixes    []Fix     // to append to the track
	Recounts []Recount // stored fixes whose rejection has changed
	Refusal  error     // returned by Create instead of a write, unless the idempotency key is repeated
	Limited  bool      // refused when the account has no storage left
	Planned  bool      // Create deletes the planned ride, and fails when there is none
	Event    Event     // "" emits no event and leaves the version unchanged
	At       time.Time // the time of the change
}

// Event names a change in the subject of its event.
type Event string

// The events: event.trip.<event>.<id>.
const (
	Started      Event = "started"
	Moved        Event = "moved"
	Ended        Event = "finished"
	Opened       Event = "unlocked"
	UnlockFailed Event = "failed"
	Imported     Event = "imported"
)

// Filter selects trips. An empty field matches all.
type Filter struct {
	AccountIDs    []string
	VehicleIDs    []string
	Statuses      []Status
	StartedFrom   *time.Time // inclusive
	StartedBefore *time.Time // exclusive
}
