package sqldb_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
)

const boxTables = `-- +goose Up
CREATE TABLE boxes (id TEXT PRIMARY KEY, owner TEXT NOT NULL);
CREATE TABLE items (id TEXT PRIMARY KEY, box TEXT NOT NULL, text TEXT, note TEXT NOT NULL DEFAULT '');
`

func uncounted() sqldb.Schema {
	return sqldb.Schema{Files: fstest.MapFS{"migrations/00001_boxes.sql": {Data: []byte(boxTables)}}}
}

func boxes() sqldb.Schema {
	s := uncounted()
	s.Counted = []sqldb.Counted{
		{Table: "boxes", Owner: "row.owner", Bytes: "10"},
		{Table: "items", Owner: "(SELECT owner FROM boxes WHERE id = row.box)", Bytes: sqldb.TextBytes(100, "text", "note")},
	}
	return s
}

func TestStorageOnEachEngineIsTheSumOfTheRows(t *testing.T) {
	t.Parallel()
	sqltest.OnEachEngine(t, uncounted(), func(t *testing.T, open func(*testing.T) *sqldb.DB) {
		t.Run("random writes", func(t *testing.T) { t.Parallel(); randomWrites(t, open(t)) })
		t.Run("rows from before they were counted", func(t *testing.T) { t.Parallel(); oldRows(t, open(t)) })
		t.Run("concurrent writers of several owners", func(t *testing.T) { t.Parallel(); concurrentOwners(t, open(t)) })
		t.Run("results for retries", func(t *testing.T) { t.Parallel(); retriesCount(t, open(t)) })
		t.Run("a limit, reached, refuses and rolls back", func(t *testing.T) { t.Parallel(); limitRefuses(t, open(t)) })
	})
}

func counted(t *testing.T, db *sqldb.DB) *sqldb.DB {
	t.Helper()
	if err := db.Migrate(t.Context(), boxes()); err != nil {
		t.Fatal(err)
	}
	return db
}

func exec(t *testing.T, db *sqldb.DB, statement string, args ...any) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(t.Context(), statement, args...)
		return err
	})
	if err != nil {
		t.Fatal(statement, err)
	}
}

func used(t *testing.T, db *sqldb.DB, owner string) int64 {
	t.Helper()
	all, err := db.Storage(t.Context(), []string{owner})
	if err != nil {
		t.Fatal(err)
	}
	return all[owner].Used
}

func randomWrites(t *testing.T, db *sqldb.DB) {
	counted(t, db)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	text := func() any {
		if random.IntN(5) == 0 {
			return nil
		}
		return fmt.Sprintf("%*s", random.IntN(300), "ü")
	}
	for i := range 4 {
		exec(t, db, `INSERT INTO boxes (id, owner) VALUES ($1, $2)`, fmt.Sprint(i), fmt.Sprint("owner ", i%3))
	}
	for range 300 {
		id, box := fmt.Sprint(random.IntN(40)), fmt.Sprint(random.IntN(4))
		switch random.IntN(7) {
		case 0, 1:
			exec(t, db, `INSERT INTO items (id, box, text) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, id, box, text())
		case 2:
			exec(t, db, `INSERT INTO items (id, box, text) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET text = excluded.text, box = excluded.box`, id, box, text())
		case 3:
			exec(t, db, `UPDATE items SET text = $1, note = 'changed' WHERE id = $2`, text(), id)
		case 4:
			exec(t, db, `UPDATE items SET box = $1 WHERE box = $2`, box, fmt.Sprint(random.IntN(4)))
		case 5:
			exec(t, db, `DELETE FROM items WHERE id = $1`, id)
		case 6:
			exec(t, db, `INSERT INTO items (id, box, text) SELECT id || $1, box, text FROM items WHERE box = $2 ON CONFLICT DO NOTHING`, ".", box)
			exec(t, db, `DELETE FROM items WHERE length(id) > 2`)
		}
	}
	sqltest.CheckStorage(t, db, boxes())
	exec(t, db, `DELETE FROM items`)
	if got := used(t, db, "owner 1"); got != 10 {
		t.Errorf("%d bytes are left of one box, want 10", got)
	}
}

func oldRows(t *testing.T, db *sqldb.DB) {
	exec(t, db, `INSERT INTO boxes (id, owner) VALUES ('a', 'x'), ('b', 'y')`)
	exec(t, db, `INSERT INTO items (id, box, text) VALUES ('1', 'a', 'four'), ('2', 'a', NULL), ('3', 'b', 'é')`)
	counted(t, db)
	for owner, want := range map[string]int64{"x": 214, "y": 112, "z": 0} {
		if got := used(t, db, owner); got != want {
			t.Errorf("%s has %d bytes, want %d", owner, got, want)
		}
	}
	counted(t, db)
	exec(t, db, `DELETE FROM items WHERE id = '1'`)
	if got := used(t, db, "x"); got != 110 {
		t.Errorf("after a delete, x has %d bytes, want 110", got)
	}
	changed := boxes()
	changed.Counted[0].Bytes = "20"
	if err := db.Migrate(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	exec(t, db, `INSERT INTO boxes (id, owner) VALUES ('c', 'x')`)
	sqltest.CheckStorage(t, db, changed)
}

func concurrentOwners(t *testing.T, db *sqldb.DB) {
	counted(t, db)
	const writers, writes = 6, 20
	for i := range writers {
		exec(t, db, `INSERT INTO boxes (id, owner) VALUES ($1, $2)`, fmt.Sprint(i), fmt.Sprint("owner ", i))
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range writes {
				err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
					for box := range writers { // each in an order of its own
						_, err := tx.ExecContext(t.Context(), `INSERT INTO items (id, box, text) VALUES ($1, $2, 'text')`,
							fmt.Sprint(w, "-", i, "-", box), fmt.Sprint((box+w)%writers))
						if err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	sqltest.CheckStorage(t, db, boxes())
	if got, want := used(t, db, "owner 0"), int64(10+writers*writes*104); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}

func retriesCount(t *testing.T, db *sqldb.DB) {
	counted(t, db)
	k := idempotency.Key{Caller: "apikey_1", AccountID: "account_1", Value: "k", Fingerprint: "f"}
	_, err := sqldb.WriteOnce(t.Context(), db, k, time.Now(), func(*sqldb.Tx) (string, error) { return string(make([]byte, 1000)), nil })
	if err != nil {
		t.Fatal(err)
	}
	if got := used(t, db, "account_1"); got < 1000 {
		t.Errorf("a result of 1,000 bytes counts %d", got)
	}
}

func limitRefuses(t *testing.T, db *sqldb.DB) {
	counted(t, db)
	account, device := ids.New(ids.Account), ids.New(ids.Device)
	db.LimitStorage(sqldb.StorageLimits{Account: 1_000})
	exec(t, db, `INSERT INTO boxes (id, owner) VALUES ('a', $1), ('b', $2), ('c', '')`, account, device)
	add := func(box, id string, size int) error {
		return db.Write(t.Context(), func(tx *sqldb.Tx) error {
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO items (id, box, text) VALUES ($1, $2, $3)`, id, box, fmt.Sprintf("%*s", size, "")); err != nil {
				return err
			}
			var owner string
			if err := tx.QueryRowContext(t.Context(), `SELECT owner FROM boxes WHERE id = $1`, box).Scan(&owner); err != nil {
				return err
			}
			return tx.CheckStorage(t.Context(), owner)
		})
	}
	if err := add("a", "exactly", 890); err != nil {
		t.Errorf("the limit exactly: %v", err)
	}
	err := add("a", "beyond", 1)
	if e := errs.From(err); e.Code != errs.ResourceExhausted || e.Reason != "STORAGE_QUOTA_EXHAUSTED" || e.Retryable() {
		t.Errorf("beyond the limit: %v", err)
	}
	for _, box := range []string{"b", "c"} {
		if err := add(box, box, 10_000); err != nil {
			t.Errorf("without a limit: %v", err)
		}
	}
	exec(t, db, `DELETE FROM items WHERE id = 'exactly'`)
	if err := add("a", "again", 0); err != nil {
		t.Errorf("after a delete: %v", err)
	}
	sqltest.CheckStorage(t, db, boxes())
}
