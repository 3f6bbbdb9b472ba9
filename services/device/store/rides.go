package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
)

const rideColumns = "device_id, started_at, ended_at, ride_id, account_id"

// PutRide stores a ride: see vehicle.Store.
func (s *Store) PutRide(ctx context.Context, ride device.Ride, now time.Time) (openID string, err error) {
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		d, err := lockAnyDevice(ctx, tx, "id = $1", ride.VehicleID)
		if errors.Is(err, sql.ErrNoRows) || err == nil && d.Deleted && ride.EndedAt == nil && !ride.Cancelled {
			return device.Missing(ride.VehicleID)
		}
		if err != nil {
			return err
		}
		after := d
		after.Privacy = &device.Privacy{}
		if d.Privacy != nil {
			*after.Privacy = *d.Privacy
		}
		openID, err = changeRides(ctx, tx, after.Privacy, d, ride, now)
		if err != nil || openID != "" {
			return err
		}
		if after, err = reviewed(ctx, tx, after); err != nil {
			return err
		}
		if err := writePrivacy(ctx, tx, after); err != nil {
			return err
		}
		return s.emitViews(ctx, tx, now, "event.device.ridden."+d.ID, d, after)
	})
	if err != nil {
		return "", fmt.Errorf("store a ride of %s: %w", ride.VehicleID, err)
	}
	return openID, nil
}

// changeRides changes the rows of the rides, and what p says of them. It returns the ride that is open instead.
func changeRides(ctx context.Context, tx *sqldb.Tx, p *device.Privacy, d device.Device, ride device.Ride, now time.Time) (openID string, err error) {
	if !ride.Cancelled && ride.EndedAt == nil {
		return openRide(ctx, tx, p, d, ride, now)
	}
	if ride.EndedAt != nil { // the rows keep the earlier start
		var start sql.NullInt64
		if err := tx.QueryRowContext(ctx, `SELECT MIN(started_at) FROM device_rides WHERE ride_id = $1 AND device_id = $2`, ride.ID, d.ID).Scan(&start); err != nil {
			return "", fmt.Errorf("find the ride: %w", err)
		}
		if at := sqldb.NullTime(start); at != nil && at.Before(ride.StartedAt) {
			ride.StartedAt = *at
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM device_rides WHERE ride_id = $1 AND device_id = $2`, ride.ID, d.ID); err != nil {
		return "", fmt.Errorf("delete the ride: %w", err)
	}
	if p.Open != nil && p.Open.ID == ride.ID {
		p.Open = nil
	}
	if ride.Cancelled {
		return "", nil
	}
	if p.LastEnd == nil || p.LastEnd.Before(*ride.EndedAt) {
		p.LastEnd = ride.EndedAt
	}
	return "", insertBetween(ctx, tx, ride)
}

func openRide(ctx context.Context, tx *sqldb.Tx, p *device.Privacy, d device.Device, ride device.Ride, now time.Time) (openID string, err error) {
	var known bool
	err = tx.QueryRowContext(ctx, `SELECT COUNT(*) > 0 FROM device_rides WHERE ride_id = $1 AND device_id = $2`, ride.ID, d.ID).Scan(&known)
	switch {
	case err != nil:
		return "", fmt.Errorf("find the ride: %w", err)
	case known:
		return "", nil
	case p.Open != nil:
		return p.Open.ID, nil
	}
	start := ride.StartedAt
	if start.After(now) { // the clock of the caller is ahead
		start = now
	}
	if p.LastEnd != nil && start.Before(*p.LastEnd) {
		start = *p.LastEnd
	}
	p.Open = &device.OpenRide{ID: ride.ID, AccountID: ride.AccountID, StartedAt: start, Presence: d.Presence}
	if d.Lock != nil {
		p.Open.Lock = d.Lock.State
	}
	return "", insertRide(ctx, tx, ride, start, nil)
}

func insertRide(ctx context.Context, tx *sqldb.Tx, ride device.Ride, start time.Time, end *time.Time) error {
	row := []any{ride.VehicleID, sqldb.Micros(start), sqldb.NullMicros(end), ride.ID, ride.AccountID}
	_, err := tx.Insert(ctx, "device_rides", rideColumns, [][]any{row}, "")
	return err
}

// insertBetween inserts the parts of a ride that has ended which no other ride has.
func insertBetween(ctx context.Context, tx *sqldb.Tx, ride device.Ride) error {
	rows, err := tx.QueryContext(ctx, `SELECT started_at, ended_at FROM device_rides WHERE device_id = $1 AND started_at < $2
		AND started_at >= COALESCE((SELECT MAX(started_at) FROM device_rides WHERE device_id = $1 AND started_at <= $3), $3)
		ORDER BY started_at`, ride.VehicleID, sqldb.Micros(*ride.EndedAt), sqldb.Micros(ride.StartedAt))
	if err != nil {
		return fmt.Errorf("find rides: %w", err)
	}
	others, err := sqldb.Collect(rows, func(row sqldb.Row) (other device.Ride, err error) {
		var start int64
		var end sql.NullInt64
		err = row.Scan(&start, &end)
		other.StartedAt, other.EndedAt = sqldb.Time(start), sqldb.NullTime(end)
		return other, err
	})
	if err != nil {
		return fmt.Errorf("find rides: %w", err)
	}
	from := ride.StartedAt
	for _, other := range others {
		if from.Before(other.StartedAt) {
			if err := insertRide(ctx, tx, ride, from, &other.StartedAt); err != nil {
				return err
			}
		}
		if other.EndedAt == nil {
			return nil
		}
		if from.Before(*other.EndedAt) {
			from = *other.EndedAt
		}
	}
	if !from.Before(*ride.EndedAt) {
		return nil
	}
	return insertRide(ctx, tx, ride, from, ride.EndedAt)
}

// reviewed returns the device after its rides have changed: what was sent may now be part of a ride, or of none.
func reviewed(ctx context.Context, tx *sqldb.Tx, d device.Device) (device.Device, error) {
	position := []*time.Time{d.PositionArrivedAt}
	if d.Position != nil {
		position = append(position, d.Position.At)
	}
	var riders [3]string
	for i, times := range [][]*time.Time{position, {d.BoardAt}, {d.LastSeenAt}} {
		var err error
		if riders[i], err = riderOf(ctx, tx, d, times...); err != nil {
			return d, err
		}
	}
	return d.Reviewed(riders[0], riders[1], riders[2]), nil
}

// riderOf returns the account in whose ride all of the times lie; "" when none lies in a ride, and ManyRiders when they
// lie in rides of different accounts. A time that is nil lies in no ride.
func riderOf(ctx context.Context, tx *sqldb.Tx, d device.Device, times ...*time.Time) (string, error) {
	rider := ""
	for _, at := range times {
		if d.Privacy == nil || at == nil {
			continue
		}
		one, err := riderAt(ctx, tx, d, *at)
		switch {
		case err != nil:
			return "", err
		case one == "" || one == rider:
		case rider == "":
			rider = one
		default:
			rider = device.ManyRiders
		}
	}
	return rider, nil
}

func riderAt(ctx context.Context, tx *sqldb.Tx, d device.Device, at time.Time) (string, error) {
	p := d.Privacy
	if p.Open != nil && !at.Before(p.Open.StartedAt) {
		return p.Open.AccountID, nil
	}
	if p.LastEnd == nil || !at.Before(*p.LastEnd) {
		return "", nil
	}
	var rider string
	err := tx.QueryRowContext(ctx, `SELECT `+riderIn("$1", "$2"), d.ID, sqldb.Micros(at)).Scan(&rider)
	if err != nil {
		return "", fmt.Errorf("find the ride of a time: %w", err)
	}
	return rider, nil
}

// riderIn selects the account in whose ride a time lies, or ”. Rides do not overlap, so the last one that started
// before the time decides.
func riderIn(deviceID, at string) string {
	return `COALESCE((SELECT CASE WHEN r.ended_at IS NULL OR r.ended_at > ` + at + ` THEN r.account_id ELSE '' END FROM device_rides r
		WHERE r.device_id = ` + deviceID + ` AND r.started_at <= ` + at + ` ORDER BY r.started_at DESC LIMIT 1), '')`
}

// writePrivacy writes the columns that rides change.
func writePrivacy(ctx context.Context, tx *sqldb.Tx, d device.Device) error {
	privacy, err := sqldb.NullJSON(d.Privacy)
	if err != nil {
		return fmt.Errorf("encode the privacy: %w", err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE devices SET privacy = $1, public_presence = $2 WHERE id = $3`, privacy, string(d.Public().Presence), d.ID)
	if err != nil {
		return fmt.Errorf("write the privacy of %s: %w", d.ID, err)
	}
	return nil
}
