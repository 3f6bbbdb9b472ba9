// Package store persists devices in SQL, on SQLite or PostgreSQL. It implements the Store of each package. A change
// locks the device's row first, by an update without effect, so changes of one device are serial on both engines.
// Labels are stored twice: as JSON to read, and one row each to search.
package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/registry"
)

//go:embed migrations
var migrations embed.FS

// Migrations returns the schema, for sqldb.DB.Migrate. What an account does to devices counts for the account, and the
// rest for the device.
func Migrations() sqldb.Schema {
	ofDevice := func(table, bytes string) sqldb.Counted {
		return sqldb.Counted{Table: table, Owner: "row.device_id", Bytes: bytes}
	}
	readings := ofDevice(readingsTable, sqldb.TextBytes(readingBytes, "key", "key"))
	readings.StoreInserts = true
	return sqldb.Schema{Files: migrations, Counted: []sqldb.Counted{
		readings,
		ofDevice("readings_rolled", sqldb.TextBytes(280, "key", "key")),
		ofDevice("device_events", sqldb.TextBytes(350, "type", "message", "actor", "data")),
		ofDevice("device_config_versions", sqldb.TextBytes(350, "desired", "actor")),
		ofDevice("commands", sqldb.TextBytes(700, "name", "arguments", "caller", "reference", "result", "reason", "error")),
		ofDevice("command_log", sqldb.TextBytes(500, "stream", "text")),
		{Table: "device_calls", Owner: "row.account_id", Bytes: sqldb.TextBytes(600, "name", "outcome", "reason", "trace_id")},
	}}
}

var _ assembly.Store = (*Store)(nil)

// Store persists the rows of all packages of the device service. It is safe for concurrent use.
type Store struct {
	db     *sqldb.DB
	encode assembly.Encoding
	node   string // name of this process in a shared database
}

// New returns a store over a migrated database. encode encodes the payloads of events.
func New(db *sqldb.DB, encode assembly.Encoding) *Store {
	return &Store{db: db, encode: encode, node: rand.Text()}
}

// Create implements registry.Store.
func (s *Store) Create(ctx context.Context, key idempotency.Key, made device.Change) (device.Device, error) {
	d, err := sqldb.WriteOnce(ctx, s.db, key, made.Event.At, func(tx *sqldb.Tx) (device.Device, error) {
		_, err := s.insert(ctx, tx, made)
		return made.Device, err
	})
	if err != nil {
		return device.Device{}, fmt.Errorf("create device: %w", err)
	}
	return d, nil
}

// Change implements registry.Store.
func (s *Store) Change(ctx context.Context, id string, decide registry.Decide) (device.Device, error) {
	var d device.Device
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		known, err := lockDevice(ctx, tx, "id = $1", id)
		if errors.Is(err, sql.ErrNoRows) {
			return device.Missing(id)
		}
		if err != nil {
			return err
		}
		d, err = s.apply(ctx, tx, known, decide)
		return err
	})
	if err != nil {
		return device.Device{}, fmt.Errorf("change device: %w", err)
	}
	return d, nil
}

// Import implements registry.Store. It locks in the order of external ids, so that two imports cannot deadlock.
func (s *Store) Import(ctx context.Context, made []device.Change, merge registry.Merge) (devices []device.Device, created int64, err error) {
	sorted := slices.Clone(made)
	slices.SortStableFunc(sorted, func(a, b device.Change) int {
		return strings.Compare(a.Device.ExternalID, b.Device.ExternalID)
	})
	var final map[string]device.Device
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		final, created = make(map[string]device.Device, len(made)), 0
		for _, change := range sorted {
			d, isNew, err := s.importOne(ctx, tx, change, merge)
			if err != nil {
				return err
			}
			final[d.ExternalID] = d
			if isNew {
				created++
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("import devices: %w", err)
	}
	devices = make([]device.Device, len(made))
	for i, change := range made {
		devices[i] = final[change.Device.ExternalID]
	}
	return devices, created, nil
}

func (s *Store) importOne(ctx context.Context, tx *sqldb.Tx, made device.Change, merge registry.Merge) (d device.Device, isNew bool, err error) {
	if isNew, err = s.insert(ctx, tx, made); err != nil || isNew {
		return made.Device, isNew, err
	}
	known, err := lockDevice(ctx, tx, "source = $1 AND external_id = $2 AND source <> ''", made.Device.Source, made.Device.ExternalID)
	if errors.Is(err, sql.ErrNoRows) {
		return device.Device{}, false, errs.New(errs.Aborted, errs.ReasonVersionConflict,
			"device %.80q was deleted at this moment: import again", made.Device.ExternalID)
	}
	if err != nil {
		return device.Device{}, false, err
	}
	d, err = s.apply(ctx, tx, known, func(known device.Device) (*device.Change, error) { return merge(known, made.Device) })
	return d, false, err
}

// insert stores a new device, unless its source and external id exist.
func (s *Store) insert(ctx context.Context, tx *sqldb.Tx, made device.Change) (isNew bool, err error) {
	if isNew, err = insertDevice(ctx, tx, made.Device); err != nil || !isNew {
		return false, err
	}
	if err := insertLabels(ctx, tx, made.Device); err != nil {
		return false, err
	}
	return true, s.follow(ctx, tx, nil, made)
}

func (s *Store) apply(ctx context.Context, tx *sqldb.Tx, known device.Device, decide registry.Decide) (device.Device, error) {
	change, err := decide(known)
	if err != nil || change == nil {
		return known, err
	}
	if !device.SamePosition(known.Position, change.Device.Position) { // an administrator stated it
		if change.Device, err = located(ctx, tx, known, change.Device); err != nil {
			return device.Device{}, err
		}
	}
	if err := updateDevice(ctx, tx, change.Device, known.Version); err != nil {
		return device.Device{}, err
	}
	if err := replaceLabels(ctx, tx, change.Device); err != nil {
		return device.Device{}, err
	}
	return change.Device, s.follow(ctx, tx, &known, *change)
}

// follow writes the event row and emits the event of a device whose row was just written.
func (s *Store) follow(ctx context.Context, tx *sqldb.Tx, before *device.Device, change device.Change) error {
	if err := insertEvent(ctx, tx, change.Event); err != nil {
		return err
	}
	if err := writeSecret(ctx, tx, change); err != nil {
		return err
	}
	if err := endSessions(ctx, tx, change); err != nil {
		return err
	}
	return s.emit(ctx, tx, change.Event.At, strings.ToLower(string(change.Event.Type)), before, change.Device)
}

// emit publishes a change of a device. While rides conceal a part of it, staff receive the device as it is, and each
// other audience receives it as that audience sees it, if it sees a change. before is nil for a new device.
func (s *Store) emit(ctx context.Context, tx *sqldb.Tx, at time.Time, what string, before *device.Device, after device.Device) error {
	subject := "event.device." + what + "." + after.ID
	if before == nil || before.Privacy == nil && after.Privacy == nil {
		return s.emitTo(ctx, tx, at, subject, after, nil)
	}
	if err := s.emitTo(ctx, tx, at, subject, after, &entity.Audience{Staff: true}); err != nil {
		return err
	}
	return s.emitViews(ctx, tx, at, subject, *before, after)
}

// emitViews publishes a change of a device to riders and to other members, each if it sees a change.
func (s *Store) emitViews(ctx context.Context, tx *sqldb.Tx, at time.Time, subject string, before, after device.Device) error {
	riders := append(before.Riders(), after.Riders()...)
	slices.Sort(riders)
	riders = slices.Compact(riders)
	for _, rider := range append(slices.Clone(riders), "") {
		audience := &entity.Audience{Account: rider}
		if rider == "" {
			audience.Excluded = riders
		}
		who := caller.Caller{Role: caller.Member, AccountID: rider}
		was, err := s.encode.Device(before.SeenBy(who))
		if err != nil {
			return fmt.Errorf("encode device %s: %w", after.ID, err)
		}
		is, err := s.encode.Device(after.SeenBy(who))
		if err != nil {
			return fmt.Errorf("encode device %s: %w", after.ID, err)
		}
		if bytes.Equal(was, is) {
			continue
		}
		if err := s.emitTo(ctx, tx, at, subject, after.SeenBy(who), audience); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) emitTo(ctx context.Context, tx *sqldb.Tx, at time.Time, subject string, d device.Device, audience *entity.Audience) error {
	d.Audience = audience
	payload, err := s.encode.Device(d)
	if err != nil {
		return fmt.Errorf("encode device %s: %w", d.ID, err)
	}
	return tx.Emit(ctx, at, subject, payload)
}

// lockDevice locks the row of a device until the end of the transaction, and reads it; sql.ErrNoRows if there is
// none.
func lockDevice(ctx context.Context, tx *sqldb.Tx, condition string, args ...any) (device.Device, error) {
	return lockAnyDevice(ctx, tx, condition+" AND NOT deleted", args...)
}

func lockAnyDevice(ctx context.Context, tx *sqldb.Tx, condition string, args ...any) (device.Device, error) {
	d, err := scanDevice(tx.QueryRowContext(ctx, `UPDATE devices SET version = version
		WHERE `+condition+` RETURNING `+columns, args...))
	if err != nil {
		return device.Device{}, fmt.Errorf("lock: %w", err)
	}
	return d, nil
}
