package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
)

// WriteOnce is Write for a creating call that gives a result. Under a key that was seen within
// idempotency.Retention it changes nothing: it gives the first result again, or ABORTED when the
// input is another one. The result must read back from JSON as it was. The zero key makes it a
// plain Write.
func WriteOnce[T any](ctx context.Context, db *DB, key idempotency.Key, now time.Time, change func(tx *Tx) (T, error)) (T, error) {
	var result T
	err := db.Write(ctx, func(tx *Tx) error {
		done, err := recall(ctx, tx, key, now, &result)
		if err != nil || done {
			return err
		}
		if result, err = change(tx); err != nil {
			return err
		}
		return remember(ctx, tx, key, result)
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return result, nil
}

// recall claims the key, which makes a second call at the same moment wait for this one; when the
// key was taken it fills result from the first call.
func recall(ctx context.Context, tx *Tx, key idempotency.Key, now time.Time, result any) (done bool, err error) {
	if key.Zero() {
		return false, nil
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM idempotency WHERE created_at < $1`, Micros(now.Add(-idempotency.Retention))); err != nil {
		return false, fmt.Errorf("forget old idempotency keys: %w", err)
	}
	claimed, err := Affects(tx.ExecContext(ctx, `INSERT INTO idempotency (caller, value, fingerprint, result, created_at)
		VALUES ($1, $2, $3, '', $4) ON CONFLICT (caller, value) DO NOTHING`, key.Caller, key.Value, key.Fingerprint, Micros(now)))
	if err != nil {
		return false, fmt.Errorf("claim the idempotency key: %w", err)
	}
	if claimed {
		return false, nil
	}
	return true, firstResult(ctx, tx, key, result)
}

func firstResult(ctx context.Context, tx *Tx, key idempotency.Key, result any) error {
	var fingerprint, stored string
	err := tx.QueryRowContext(ctx, `SELECT fingerprint, result FROM idempotency WHERE caller = $1 AND value = $2`,
		key.Caller, key.Value).Scan(&fingerprint, &stored)
	if errors.Is(err, sql.ErrNoRows) {
		return errs.New(errs.Aborted, "IDEMPOTENCY_KEY_BUSY", "another call under this idempotency key has just failed: try again")
	}
	if err != nil {
		return fmt.Errorf("read the idempotency key: %w", err)
	}
	if fingerprint != key.Fingerprint {
		return errs.New(errs.Aborted, errs.ReasonKeyReused, "this idempotency key was used with another input")
	}
	if err := json.Unmarshal([]byte(stored), result); err != nil {
		return fmt.Errorf("read the first result: %w", err)
	}
	return nil
}

func remember(ctx context.Context, tx *Tx, key idempotency.Key, result any) error {
	if key.Zero() {
		return nil
	}
	stored, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("keep the result: %w", err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE idempotency SET result = $1 WHERE caller = $2 AND value = $3`, string(stored), key.Caller, key.Value)
	if err != nil {
		return fmt.Errorf("keep the result: %w", err)
	}
	return nil
}
