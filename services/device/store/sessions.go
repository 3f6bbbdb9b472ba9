package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/ingress"
)

var _ ingress.Sessions = (*Store)(nil)

// Node implements ingress.Sessions.
func (s *Store) Node() string { return s.node }

// ownedElsewhere is a subquery that has a row when only other processes have a connection of the device.
func ownedElsewhere(deviceID, node string) string {
	return `SELECT 1 FROM device_sessions h WHERE h.device_id = ` + deviceID + ` AND h.node <> '' AND h.node <> ` + node + `
		AND NOT EXISTS (SELECT 1 FROM device_sessions m WHERE m.device_id = ` + deviceID + ` AND m.node = ` + node + `)`
}

// sessionRow is a row of device_sessions.
type sessionRow struct {
	clientID, node, filters string
	generation              int64
	expiresAt               sql.NullInt64
}

// AcquireSession implements ingress.Sessions. It locks the row of the secret, so connects, rotations and the deletion
// of one device are serial.
func (s *Store) AcquireSession(ctx context.Context, claim ingress.Claim) (ingress.Ownership, error) {
	var got ingress.Ownership
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var hash string
		err := tx.QueryRowContext(ctx, `UPDATE device_secrets SET hash = hash WHERE device_id = $1 RETURNING hash`, claim.DeviceID).Scan(&hash)
		if errors.Is(err, sql.ErrNoRows) || err == nil && hash != claim.SecretHash {
			return ingress.ErrSecretChanged
		}
		if err != nil {
			return fmt.Errorf("lock the secret: %w", err)
		}
		got = ingress.Ownership{Generation: sqldb.Micros(claim.Now)}
		if err := s.evictSessions(ctx, tx, claim, &got); err != nil {
			return err
		}
		filters, err := json.Marshal(got.Filters)
		if err != nil {
			return fmt.Errorf("write the filters: %w", err)
		}
		will, err := sqldb.NullJSON(claim.Will)
		if err != nil {
			return fmt.Errorf("write the last will: %w", err)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO device_sessions (device_id, client_id, generation, node, connected_at, ttl, expires_at, filters, will)
			VALUES ($1, $2, $3, $4, $5, $6, NULL, $7, $8)
			ON CONFLICT (device_id, client_id) DO UPDATE SET generation = excluded.generation, node = excluded.node,
				connected_at = excluded.connected_at, ttl = excluded.ttl, expires_at = NULL, filters = excluded.filters,
				will = excluded.will, will_due_at = NULL`,
			claim.DeviceID, claim.ClientID, got.Generation, s.node, sqldb.Micros(claim.Now), claim.TTL.Microseconds(), string(filters), will)
		return err
	})
	if err != nil {
		return ingress.Ownership{}, fmt.Errorf("acquire a session: %w", err)
	}
	return got, nil
}

// evictSessions reads the sessions of the device, acquires that of the claim, and deletes those over the limit.
func (s *Store) evictSessions(ctx context.Context, tx *sqldb.Tx, claim ingress.Claim, got *ingress.Ownership) error {
	known, err := sqldb.Select(ctx, tx, func(row sqldb.Row) (r sessionRow, err error) {
		err = row.Scan(&r.clientID, &r.node, &r.filters, &r.generation, &r.expiresAt)
		return r, err
	}, `SELECT client_id, node, filters, generation, expires_at FROM device_sessions
		WHERE device_id = $1 ORDER BY CASE WHEN node = '' THEN 1 ELSE 0 END, connected_at DESC, client_id`, claim.DeviceID)
	if err != nil {
		return fmt.Errorf("read the sessions: %w", err)
	}
	others := 0
	for _, r := range known {
		own := r.clientID == claim.ClientID
		if !own {
			others++
		}
		if r.node != "" && r.node != s.node && (own || others >= claim.Limit) {
			got.Nodes = append(got.Nodes, r.node)
		}
		switch {
		case own:
			got.Generation = max(got.Generation, r.generation+1)
			if !claim.Clean && (!r.expiresAt.Valid || r.expiresAt.Int64 > sqldb.Micros(claim.Now)) {
				got.Present = true
				if err := json.Unmarshal([]byte(r.filters), &got.Filters); err != nil {
					return fmt.Errorf("read the filters: %w", err)
				}
			}
		case others >= claim.Limit:
			got.Evicted = append(got.Evicted, ingress.Key{DeviceID: claim.DeviceID, ClientID: r.clientID})
			if _, err := tx.ExecContext(ctx, `DELETE FROM device_sessions WHERE device_id = $1 AND client_id = $2`, claim.DeviceID, r.clientID); err != nil {
				return fmt.Errorf("evict a session: %w", err)
			}
		}
	}
	return nil
}

// SubscribeSession implements ingress.Sessions.
func (s *Store) SubscribeSession(ctx context.Context, key ingress.Key, generation int64, filters []ingress.Filter) error {
	text, err := json.Marshal(filters)
	if err != nil {
		return fmt.Errorf("write the filters: %w", err)
	}
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE device_sessions SET filters = $1 WHERE device_id = $2 AND client_id = $3 AND generation = $4`,
			string(text), key.DeviceID, key.ClientID, generation)
		return err
	})
}

// ReleaseSession implements ingress.Sessions.
func (s *Store) ReleaseSession(ctx context.Context, key ingress.Key, generation int64, end ingress.End) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var ttl *int64
		if end.TTL != nil {
			micros := end.TTL.Microseconds()
			ttl = &micros
		}
		if _, err := tx.ExecContext(ctx, `UPDATE device_sessions SET ttl = COALESCE(CAST($1 AS BIGINT), ttl), will = CASE WHEN $2 THEN will END
			WHERE device_id = $3 AND client_id = $4 AND generation = $5`, ttl, end.Will, key.DeviceID, key.ClientID, generation); err != nil {
			return fmt.Errorf("end a session: %w", err)
		}
		return releaseSessions(ctx, tx, end.Now, 0, `device_id = $1 AND client_id = $2 AND generation = $3`, key.DeviceID, key.ClientID, generation)
	})
}

// releaseSessions ends the ownership of sessions. Their wills become due after their delay, and not before grace.
func releaseSessions(ctx context.Context, tx *sqldb.Tx, now time.Time, grace time.Duration, condition string, args ...any) error {
	wills, err := sqldb.Select(ctx, tx, scanWill, `SELECT device_id, client_id, will FROM device_sessions WHERE will IS NOT NULL AND `+condition, args...)
	if err != nil {
		return fmt.Errorf("read last wills: %w", err)
	}
	for _, w := range wills {
		if _, err := tx.ExecContext(ctx, `UPDATE device_sessions SET will_due_at = $1 WHERE device_id = $2 AND client_id = $3`,
			sqldb.Micros(now.Add(max(w.Delay, grace))), w.DeviceID, w.ClientID); err != nil {
			return fmt.Errorf("make a last will due: %w", err)
		}
	}
	at := sqldb.Micros(now)
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`UPDATE device_sessions SET node = '', expires_at = %d + ttl WHERE `, at)+condition, args...); err != nil {
		return fmt.Errorf("release sessions: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM device_sessions WHERE ttl = 0 AND expires_at <= $1 AND will_due_at IS NULL`, at); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

// sessionWill is the last will of a session.
type sessionWill struct {
	ingress.Key
	ingress.Will
}

func scanWill(row sqldb.Row) (w sessionWill, err error) {
	var text string
	if err = row.Scan(&w.DeviceID, &w.ClientID, &text); err == nil {
		err = json.Unmarshal([]byte(text), &w.Will)
	}
	return w, err
}

// willsAtOnce bounds the last wills of one transaction.
const willsAtOnce = 100

// PublishWills implements ingress.Sessions.
func (s *Store) PublishWills(ctx context.Context, now time.Time, publish func(ctx context.Context, wills []device.UpMessage) error) error {
	return s.db.Group(ctx, func(ctx context.Context) error {
		var due []device.UpMessage
		err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
			// The update locks the rows: a will is published by one process.
			wills, err := sqldb.Select(ctx, tx, scanWill, `UPDATE device_sessions SET will_due_at = NULL
				WHERE will_due_at <= $1 AND (device_id, client_id) IN
					(SELECT device_id, client_id FROM device_sessions WHERE will_due_at <= $1 ORDER BY will_due_at LIMIT $2)
				RETURNING device_id, client_id, will`, sqldb.Micros(now), willsAtOnce)
			for _, w := range wills {
				due = append(due, w.Message)
			}
			return err
		})
		if err != nil || len(due) == 0 {
			return err
		}
		return publish(ctx, due)
	})
}

// OwnedSessions implements ingress.Sessions.
func (s *Store) OwnedSessions(ctx context.Context, deviceID string) (map[ingress.Key]int64, error) {
	var w sqldb.Where
	w.And("node = ?", s.node)
	if deviceID != "" {
		w.And("device_id = ?", deviceID)
	}
	owned := map[ingress.Key]int64{}
	_, err := sqldb.Select(ctx, s.db.Read(), func(row sqldb.Row) (struct{}, error) {
		var key ingress.Key
		var generation int64
		err := row.Scan(&key.DeviceID, &key.ClientID, &generation)
		owned[key] = generation
		return struct{}{}, err
	}, `SELECT device_id, client_id, generation FROM device_sessions`+w.SQL(), w.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read owned sessions: %w", err)
	}
	return owned, nil
}

// OwnerNodes implements ingress.Sessions.
func (s *Store) OwnerNodes(ctx context.Context, deviceID string) ([]string, error) {
	nodes, err := sqldb.Select(ctx, s.db.Read(), sqldb.Text, `SELECT DISTINCT node FROM device_sessions
		WHERE device_id = $1 AND node <> '' AND node <> $2`, deviceID, s.node)
	if err != nil {
		return nil, fmt.Errorf("read who holds %s: %w", deviceID, err)
	}
	return nodes, nil
}

// ConnectedDevices implements ingress.Sessions.
func (s *Store) ConnectedDevices(ctx context.Context) (map[string]time.Time, error) {
	connected := map[string]time.Time{}
	_, err := sqldb.Select(ctx, s.db.Read(), func(row sqldb.Row) (struct{}, error) {
		var id string
		var since int64
		err := row.Scan(&id, &since)
		connected[id] = sqldb.Time(since)
		return struct{}{}, err
	}, `SELECT device_id, MIN(connected_at) FROM device_sessions WHERE node <> '' GROUP BY device_id`)
	if err != nil {
		return nil, fmt.Errorf("read connected devices: %w", err)
	}
	return connected, nil
}

// Heartbeat implements ingress.Sessions.
func (s *Store) Heartbeat(ctx context.Context) (map[string]int64, error) {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO device_nodes (id, heartbeat) VALUES ($1, 1)
			ON CONFLICT (id) DO UPDATE SET heartbeat = device_nodes.heartbeat + 1`, s.node)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("record a heartbeat: %w", err)
	}
	// A session may name a process without a row: its heartbeat is 0.
	beats := map[string]int64{}
	_, err = sqldb.Select(ctx, s.db.Read(), func(row sqldb.Row) (struct{}, error) {
		var node string
		var beat int64
		err := row.Scan(&node, &beat)
		beats[node] = beat
		return struct{}{}, err
	}, `SELECT h.node, COALESCE(n.heartbeat, 0) FROM (SELECT DISTINCT node FROM device_sessions WHERE node <> ''
		UNION SELECT id FROM device_nodes) AS h LEFT JOIN device_nodes n ON n.id = h.node`)
	if err != nil {
		return nil, fmt.Errorf("read heartbeats: %w", err)
	}
	return beats, nil
}

// ReleaseNode implements ingress.Sessions.
func (s *Store) ReleaseNode(ctx context.Context, node string, now time.Time, grace time.Duration) (deviceIDs []string, err error) {
	if node == "" {
		node = s.node
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		deviceIDs, err = sqldb.Select(ctx, tx, sqldb.Text, `SELECT DISTINCT device_id FROM device_sessions WHERE node = $1`, node)
		if err != nil {
			return err
		}
		if err := releaseSessions(ctx, tx, now, grace, `node = $1`, node); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM device_nodes WHERE id = $1`, node)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("release a process: %w", err)
	}
	return deviceIDs, nil
}

// ExpireSessions implements ingress.Sessions.
func (s *Store) ExpireSessions(ctx context.Context, now time.Time) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM device_sessions WHERE expires_at <= $1 AND will_due_at IS NULL`, sqldb.Micros(now))
		return err
	})
}

// Group implements uplink.Store.
func (s *Store) Group(ctx context.Context, change func(ctx context.Context) error) error {
	return s.db.Group(ctx, change)
}

func endSessions(ctx context.Context, tx *sqldb.Tx, change device.Change) error {
	if !change.Device.Deleted && change.SecretHash == "" {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM device_sessions WHERE device_id = $1`, change.Device.ID); err != nil {
		return fmt.Errorf("end the sessions: %w", err)
	}
	return nil
}
