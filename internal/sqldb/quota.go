package sqldb

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

// ReasonStorageQuota is the reason of a write that exceeds the storage of its owner.
const ReasonStorageQuota = "STORAGE_QUOTA_EXHAUSTED"

// StorageLimits are the bytes that one owner may have stored in this database. 0 is unlimited.
type StorageLimits struct {
	Account int64
	Device  int64
}

func (l StorageLimits) of(owner string) int64 {
	switch kind, _ := ids.Parse(owner); kind {
	case ids.Account:
		return l.Account
	case ids.Device:
		return l.Device
	}
	return 0
}

// Storage is the bytes that an owner has stored, and may have stored; 0 is unlimited.
type Storage struct {
	Used, Limit int64
}

// Left returns how many bytes more the owner may store; a negative number when it has too many.
func (s Storage) Left() int64 {
	if s.Limit == 0 {
		return 1 << 62
	}
	return s.Limit - s.Used
}

// LimitStorage sets the limits of CheckStorage. It is called before the first write.
func (db *DB) LimitStorage(limits StorageLimits) { db.limits = limits }

// CheckStorage refuses what this transaction has stored for the owner when the owner has more than its limit
// afterwards: RESOURCE_EXHAUSTED, STORAGE_QUOTA_EXHAUSTED.
func (tx *Tx) CheckStorage(ctx context.Context, owner string) error {
	if tx.db.limits.of(owner) == 0 {
		return nil
	}
	found, err := tx.StorageOf(ctx, []string{owner})
	if err != nil || found[owner].Left() >= 0 {
		return err
	}
	return StorageExhausted(found[owner])
}

// StorageExhausted returns the refusal of a write that the owner's storage has no bytes left for.
func StorageExhausted(s Storage) error {
	return errs.New(errs.ResourceExhausted, ReasonStorageQuota,
		"no storage is left: %d of %d bytes would be used. Delete something, or ask an operator for more", s.Used, s.Limit)
}

// Storage returns the storage of each of the owners.
func (db *DB) Storage(ctx context.Context, owners []string) (map[string]Storage, error) {
	return db.storage(ctx, db.Read(), "storage_usage", owners)
}

// StorageOf is DB.Storage within the transaction.
func (tx *Tx) StorageOf(ctx context.Context, owners []string) (map[string]Storage, error) {
	from := "storage_usage"
	if tx.db.postgres {
		from = `(SELECT owner, bytes FROM storage_usage UNION ALL SELECT owner, bytes FROM storage_changes WHERE tx = pg_current_xact_id()) AS uses`
	}
	return tx.db.storage(ctx, tx, from, owners)
}

const ownersPerQuery = 200

func (db *DB) storage(ctx context.Context, from Source, table string, owners []string) (map[string]Storage, error) {
	all := make(map[string]Storage, len(owners))
	for _, owner := range owners {
		all[owner] = Storage{Limit: db.limits.of(owner)}
	}
	for len(owners) > 0 {
		n := min(len(owners), ownersPerQuery)
		var w Where
		w.In("owner", owners[:n])
		_, err := Select(ctx, from, func(row Row) (struct{}, error) {
			var owner string
			var bytes int64
			err := row.Scan(&owner, &bytes)
			s := all[owner]
			s.Used += bytes
			all[owner] = s
			return struct{}{}, err
		}, `SELECT owner, bytes FROM `+table+w.SQL(), w.Args()...)
		if err != nil {
			return nil, fmt.Errorf("read the storage: %w", err)
		}
		owners = owners[n:]
	}
	return all, nil
}
