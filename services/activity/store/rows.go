package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/activity"
)

// columns lists the columns of an activity, in the order of scan.
const columns = `id, kind, source, external_id, account_id, title, content, started_at, ended_at,
	actor, organisation, subject, amount, unit, position, right_ascension, declination, epoch,
	site, telescope, instrument, programme, observer, target, status,
	device_id, trip_id, job_id, links, data, created_at, version, updated_at, digest`

// compared lists the columns that only filters read.
const compared = `actor_folded, telescope_folded, instrument_folded, programme_folded, observer_folded,
	target_folded, status_folded, sky_x, sky_y, sky_z`

func insert(ctx context.Context, tx *sqldb.Tx, a activity.Activity) (isNew bool, err error) {
	kept, err := values(a)
	if err != nil {
		return false, err
	}
	kept = append(append(kept, comparedValues(a)...), caller.FromContext(ctx).AccountID)
	inserted, err := tx.Insert(ctx, "activities", columns+`, `+compared+`, recorded_by`, [][]any{kept},
		`ON CONFLICT (source, external_id, account_id) WHERE external_id <> '' DO NOTHING`)
	return inserted == 1, err
}

// update writes all columns of the row of an activity.
func update(ctx context.Context, tx *sqldb.Tx, a activity.Activity) error {
	kept, err := values(a)
	if err != nil {
		return err
	}
	kept = append(kept, comparedValues(a)...)
	_, err = tx.ExecContext(ctx, `UPDATE activities SET (`+columns+`, `+compared+`) = `+sqldb.Tuples(1, len(kept))+` WHERE id = $1`, kept...)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return nil
}

func values(a activity.Activity) ([]any, error) {
	links, err := json.Marshal(a.Links)
	if err != nil {
		return nil, fmt.Errorf("write the links: %w", err)
	}
	position, err := sqldb.NullJSON(a.Position)
	if err != nil {
		return nil, fmt.Errorf("write the position: %w", err)
	}
	ra, dec, epoch := skyValues(a.Sky)
	o := a.Observation
	return []any{
		a.ID, string(a.Kind), a.Source, a.ExternalID, a.AccountID, a.Title, a.Content,
		sqldb.Micros(a.StartedAt), sqldb.NullMicros(a.EndedAt),
		a.Actor, a.Organisation, a.Subject, a.Amount, a.Unit, position, ra, dec, epoch,
		o.Site, o.Telescope, o.Instrument, o.Programme, o.Observer, o.Target, o.Status,
		a.DeviceID, a.TripID, a.JobID, string(links), a.Data, sqldb.Micros(a.CreatedAt),
		a.Version, sqldb.Micros(a.UpdatedAt), a.Digest,
	}, nil
}

func comparedValues(a activity.Activity) []any {
	o := a.Observation
	out := []any{
		sqldb.Fold(a.Actor), sqldb.Fold(o.Telescope), sqldb.Fold(o.Instrument), sqldb.Fold(o.Programme), sqldb.Fold(o.Observer),
		sqldb.Fold(o.Target), sqldb.Fold(o.Status),
	}
	if a.Sky == nil || !a.Sky.Standard() {
		return append(out, nil, nil, nil)
	}
	v := a.Sky.Direction()
	return append(out, v.X, v.Y, v.Z)
}

func skyValues(s *activity.Sky) (ra, dec sql.NullFloat64, epoch sql.NullString) {
	if s == nil {
		return ra, dec, epoch
	}
	return sql.NullFloat64{Float64: s.RightAscension, Valid: true},
		sql.NullFloat64{Float64: s.Declination, Valid: true},
		sql.NullString{String: s.Epoch, Valid: true}
}

func scan(row sqldb.Row) (activity.Activity, error) {
	var a activity.Activity
	var started, created, updated int64
	var ended sql.NullInt64
	var ra, dec sql.NullFloat64
	var epoch, position sql.NullString
	var links string
	o := &a.Observation
	err := row.Scan(&a.ID, &a.Kind, &a.Source, &a.ExternalID, &a.AccountID, &a.Title, &a.Content, &started, &ended,
		&a.Actor, &a.Organisation, &a.Subject, &a.Amount, &a.Unit, &position, &ra, &dec, &epoch,
		&o.Site, &o.Telescope, &o.Instrument, &o.Programme, &o.Observer, &o.Target, &o.Status,
		&a.DeviceID, &a.TripID, &a.JobID, &links, &a.Data, &created, &a.Version, &updated, &a.Digest)
	if err != nil {
		return activity.Activity{}, fmt.Errorf("scan activity: %w", err)
	}
	a.StartedAt, a.EndedAt, a.CreatedAt = sqldb.Time(started), sqldb.NullTime(ended), sqldb.Time(created)
	a.UpdatedAt = sqldb.Time(updated)
	if epoch.Valid {
		a.Sky = &activity.Sky{RightAscension: ra.Float64, Declination: dec.Float64, Epoch: epoch.String}
	}
	if err := json.Unmarshal([]byte(links), &a.Links); err != nil {
		return activity.Activity{}, fmt.Errorf("read the links of %s: %w", a.ID, err)
	}
	if a.Position, err = sqldb.NullValue[activity.Position](position); err != nil {
		return activity.Activity{}, fmt.Errorf("read the position of %s: %w", a.ID, err)
	}
	return a, nil
}
