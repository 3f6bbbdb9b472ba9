package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/twin"
)

const (
	configColumns = `device_id, desired, desired_version, desired_at, reported, reported_version, reported_at`
	// selectConfigs reads the configuration of every device; the empty one if none is stored.
	selectConfigs = `SELECT d.id, COALESCE(c.desired, '{}'), COALESCE(c.desired_version, 0), c.desired_at,
		COALESCE(c.reported, ''), c.reported_version, c.reported_at
		FROM devices d LEFT JOIN device_configs c ON c.device_id = d.id`
)

func scanConfig(row sqldb.Row) (twin.Config, error) {
	var c twin.Config
	var desiredAt, reportedVersion, reportedAt sql.NullInt64
	err := row.Scan(&c.DeviceID, &c.Desired, &c.DesiredVersion, &desiredAt, &c.Reported, &reportedVersion, &reportedAt)
	c.DesiredAt, c.ReportedAt = sqldb.NullTime(desiredAt), sqldb.NullTime(reportedAt)
	if reportedVersion.Valid {
		c.ReportedVersion = &reportedVersion.Int64
	}
	return c, err
}

// ChangeConfig implements twin.Store.
func (s *Store) ChangeConfig(ctx context.Context, deviceID string, decide twin.Decide) (twin.Config, error) {
	var c twin.Config
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		d, err := lockDevice(ctx, tx, "id = $1", deviceID)
		if errors.Is(err, sql.ErrNoRows) {
			return device.Missing(deviceID)
		}
		if err != nil {
			return err
		}
		if c, err = scanConfig(tx.QueryRowContext(ctx, selectConfigs+` WHERE d.id = $1`, deviceID)); err != nil {
			return fmt.Errorf("read the configuration: %w", err)
		}
		change, err := decide(d, c)
		if err != nil || change == nil {
			return err
		}
		c = change.Config
		return s.writeConfig(ctx, tx, d, change)
	})
	if err != nil {
		return twin.Config{}, fmt.Errorf("change configuration: %w", err)
	}
	return c, nil
}

func (s *Store) writeConfig(ctx context.Context, tx *sqldb.Tx, d device.Device, change *twin.Change) error {
	c := change.Config
	reported := sql.NullInt64{}
	if c.ReportedVersion != nil {
		reported = sql.NullInt64{Int64: *c.ReportedVersion, Valid: true}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO device_configs (`+configColumns+`, delivered_version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0)
		ON CONFLICT (device_id) DO UPDATE SET desired = excluded.desired, desired_version = excluded.desired_version,
			desired_at = excluded.desired_at, reported = excluded.reported, reported_version = excluded.reported_version,
			reported_at = excluded.reported_at`,
		c.DeviceID, c.Desired, c.DesiredVersion, sqldb.NullMicros(c.DesiredAt), c.Reported, reported, sqldb.NullMicros(c.ReportedAt))
	if err != nil {
		return fmt.Errorf("keep the configuration: %w", err)
	}
	if change.Desired != nil {
		if err := writeVersion(ctx, tx, *change.Desired); err != nil {
			return err
		}
	}
	if change.Event == nil {
		return nil
	}
	return s.follow(ctx, tx, &d, device.Change{Device: d, Event: *change.Event})
}

const versionColumns = `id, device_id, version, desired, at, actor`

// writeVersion stores a desired version, and deletes the oldest one over the limit.
func writeVersion(ctx context.Context, tx *sqldb.Tx, v twin.Version) error {
	row := []any{v.ID, v.DeviceID, v.Version, v.Desired, sqldb.Micros(v.At), v.Actor}
	if _, err := tx.Insert(ctx, "device_config_versions", versionColumns, [][]any{row}, ""); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM device_config_versions WHERE device_id = $1 AND version <= $2`,
		v.DeviceID, v.Version-twin.MaxVersions)
	if err != nil {
		return fmt.Errorf("forget an old version: %w", err)
	}
	return nil
}

// GetConfigs implements twin.Store.
func (s *Store) GetConfigs(ctx context.Context, deviceIDs []string) ([]twin.Config, error) {
	var w sqldb.Where
	w.In("d.id", deviceIDs)
	w.And("NOT d.deleted")
	configs, err := sqldb.Select(ctx, s.db.Read(), scanConfig, selectConfigs+w.SQL(), w.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read configurations: %w", err)
	}
	return configs, nil
}

func newestConfigs() sqldb.Newest {
	return sqldb.Newest{Name: "device-configs/newest", Column: "version", Kind: ids.Config}
}

func scanVersion(row sqldb.Row) (twin.Version, error) {
	var v twin.Version
	var at int64
	err := row.Scan(&v.ID, &v.DeviceID, &v.Version, &v.Desired, &at, &v.Actor)
	v.At = sqldb.Time(at)
	return v, err
}

// ConfigVersions implements twin.Store.
func (s *Store) ConfigVersions(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[twin.Version], error) {
	return sqldb.Children[twin.Version]{
		Table: "device_config_versions", Columns: versionColumns, Parent: "device_id", Order: newestConfigs(), Scan: scanVersion,
		ParentOf: func(v twin.Version) string { return v.DeviceID },
		CursorOf: func(v twin.Version) page.Cursor {
			return page.Cursor{Order: newestConfigs().Name, Key: fmt.Sprint(v.Version), ID: v.ID}
		},
	}.PagesOf(ctx, s.db, deviceIDs, request)
}

// UndeliveredConfigs implements twin.Store.
func (s *Store) UndeliveredConfigs(ctx context.Context, after string, limit int) ([]twin.Config, error) {
	configs, err := sqldb.Select(ctx, s.db.Read(), scanConfig, selectConfigs+`
		WHERE c.desired_version > c.delivered_version AND (c.reported_version IS NULL OR c.reported_version <> c.desired_version)
			AND d.presence <> $1 AND NOT d.deleted AND c.device_id > $2 AND NOT EXISTS (`+ownedElsewhere("c.device_id", "$3")+`)
		ORDER BY c.device_id LIMIT $4`, string(device.Offline), after, s.node, limit)
	if err != nil {
		return nil, fmt.Errorf("read what is to be delivered: %w", err)
	}
	return configs, nil
}

// MarkDelivered implements twin.Store.
func (s *Store) MarkDelivered(ctx context.Context, delivered []twin.Config) error {
	if len(delivered) == 0 {
		return nil
	}
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		for _, c := range delivered {
			_, err := tx.ExecContext(ctx, `UPDATE device_configs SET delivered_version = $1 WHERE device_id = $2 AND delivered_version < $1`,
				c.DesiredVersion, c.DeviceID)
			if err != nil {
				return fmt.Errorf("mark as delivered: %w", err)
			}
		}
		return nil
	})
}

// SetConfigSchema implements twin.Store.
func (s *Store) SetConfigSchema(ctx context.Context, schema twin.Schema) error {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if schema.Text == "" {
			_, err := tx.ExecContext(ctx, `DELETE FROM device_config_schemas WHERE kind = $1`, string(schema.Kind))
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO device_config_schemas (kind, schema, updated_at, actor) VALUES ($1, $2, $3, $4)
			ON CONFLICT (kind) DO UPDATE SET schema = excluded.schema, updated_at = excluded.updated_at, actor = excluded.actor`,
			string(schema.Kind), schema.Text, sqldb.Micros(schema.UpdatedAt), schema.Actor)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the schema: %w", err)
	}
	return nil
}

// ConfigSchemas implements twin.Store.
func (s *Store) ConfigSchemas(ctx context.Context) ([]twin.Schema, error) {
	schemas, err := sqldb.Select(ctx, s.db.Read(), func(row sqldb.Row) (twin.Schema, error) {
		var c twin.Schema
		var at int64
		err := row.Scan(&c.Kind, &c.Text, &at, &c.Actor)
		c.UpdatedAt = sqldb.Time(at)
		return c, err
	}, `SELECT kind, schema, updated_at, actor FROM device_config_schemas ORDER BY kind`)
	if err != nil {
		return nil, fmt.Errorf("read the schemas: %w", err)
	}
	return schemas, nil
}
