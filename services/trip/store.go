package trip

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/page"
)

// Store keeps trips and their tracks. Each write is one transaction: the trip, its fixes and its
// event are there together or not at all, and durable when the method returns nil.
type Store interface {
	// Create keeps a new trip. A repeat under the key gives the first result. AlreadyOpen when the
	// account, VehicleInUse when the vehicle has an open trip, however many ask at once.
	Create(ctx context.Context, key idempotency.Key, made Change) (Trip, error)

	// Change lets decide say what becomes of the trip and keeps it. Of one trip, changes happen one
	// after another. decide gets the trip and those of the positions that are not in its track yet,
	// each once; it may be called again, so it must not act. Its error comes back as it is.
	// NOT_FOUND when there is no such trip of the account ("" for any account's): what is another's
	// is looked for like what there is not, and never waited for.
	Change(ctx context.Context, id, accountID string, positions []Position, decide Decide) (Trip, error)

	// ChangeImported is Change for the trip that has the source and external id of the draft. When
	// there is none, it is made of the draft, which decide sees as version 0.
	ChangeImported(ctx context.Context, draft Trip, positions []Position, decide Decide) (t Trip, created bool, err error)

	// CreateImported keeps trips whose source and external id are new, and tells how many were.
	CreateImported(ctx context.Context, made []Change) (stored int64, err error)

	// Get gives the trips that there are, in any order.
	Get(ctx context.Context, ids []string) ([]Trip, error)

	// Open gives the open trips on the vehicles or of the accounts, in any order.
	Open(ctx context.Context, vehicleIDs, accountIDs []string) ([]Trip, error)

	// List gives a page of trips, the newest start first.
	List(ctx context.Context, filter Filter, request page.Request) (page.Page[Trip], error)

	// DueTasks lists trips whose vehicle task is due at now, the earliest due first.
	DueTasks(ctx context.Context, now time.Time, limit int) ([]Trip, error)

	// SetTask replaces the vehicle task of a trip. It does nothing when the task of the trip is not from.
	SetTask(ctx context.Context, id string, from, to VehicleTask, due *time.Time) error

	// Tracks gives the tracks of those of the trips that are the account's ("" for any account's),
	// by time, each thinned to at most most fixes, at least 1: the first, the last, and others
	// evenly spread; only the last when most is 1.
	Tracks(ctx context.Context, ids []string, accountID string, most int) ([]Track, error)
}

// Decide says what becomes of a trip; nil when it stays as it is.
type Decide func(t Trip, fresh []Position) (*Change, error)

// Change is a trip as it shall be kept.
type Change struct {
	Trip  Trip
	Fixes []Fix     // what the track has more than before
	Event Event     // "": nobody is told, and the trip stays at its version
	At    time.Time // when it changed
}

// Event names a change in the subject of its event.
type Event string

// The events: event.trip.<event>.<id>.
const (
	Started  Event = "started"
	Moved    Event = "moved"
	Ended    Event = "finished"
	Opened   Event = "unlocked"
	GaveUp   Event = "failed"
	Imported Event = "imported"
)

// Filter narrows a list; what is empty does not narrow.
type Filter struct {
	AccountIDs    []string
	VehicleIDs    []string
	Statuses      []Status
	StartedFrom   *time.Time // inclusive
	StartedBefore *time.Time // exclusive
}
