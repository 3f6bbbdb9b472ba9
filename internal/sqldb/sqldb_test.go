package sqldb_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
)

func things() sqldb.Schema {
	return sqldb.Schema{Files: fstest.MapFS{"migrations/00001_things.sql": {Data: []byte(`-- +goose Up
CREATE TABLE things (id TEXT PRIMARY KEY, name TEXT NOT NULL, size BIGINT NOT NULL);
CREATE UNIQUE INDEX things_name ON things (name) WHERE size > 0;
`)}}}
}

func TestDBOnEachEngineKeepsItsPromises(t *testing.T) {
	t.Parallel()
	sqltest.OnEachEngine(t, things(), func(t *testing.T, open func(*testing.T) *sqldb.DB) {
		t.Run("write, failed, is rolled back", func(t *testing.T) { t.Parallel(); failedWrite(t, open(t)) })
		t.Run("events, several commits, are pending in order", func(t *testing.T) { t.Parallel(); eventsInOrder(t, open(t)) })
		t.Run("index, violated, is named", func(t *testing.T) { t.Parallel(); violatedIndex(t, open(t)) })
		t.Run("key, replayed, returns the first result", func(t *testing.T) { t.Parallel(); repeat(t, open(t)) })
		t.Run("key, call failed, is released", func(t *testing.T) { t.Parallel(); failedCallFreesKey(t, open(t)) })
		t.Run("key, 32 concurrent replays, writes once", func(t *testing.T) { t.Parallel(); repeatsAtOnce(t, open(t)) })
		t.Run("migrations, applied twice, change nothing", func(t *testing.T) { t.Parallel(); migrateAgain(t, open(t)) })
	})
}

func insert(t *testing.T, id, name string) func(tx *sqldb.Tx) error {
	return func(tx *sqldb.Tx) error {
		if _, err := tx.ExecContext(t.Context(), `INSERT INTO things (id, name, size) VALUES ($1, $2, $3)`, id, name, 1); err != nil {
			return err
		}
		return tx.Emit(t.Context(), time.Now(), "event.thing."+id, []byte(name))
	}
}

func count(t *testing.T, db *sqldb.DB, table string) int {
	t.Helper()
	var n int
	if err := db.Read().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func failedWrite(t *testing.T, db *sqldb.DB) {
	refused := errors.New("refused")
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		if err := insert(t, "a", "a")(tx); err != nil {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Fatalf("got %v", err)
	}
	if n := count(t, db, "things") + count(t, db, "outbox"); n != 0 {
		t.Errorf("%d rows stay", n)
	}
}

func eventsInOrder(t *testing.T, db *sqldb.DB) {
	for i := range 5 {
		if err := db.Write(t.Context(), insert(t, fmt.Sprint(i), fmt.Sprint("n", i))); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-db.Emitted():
	default:
		t.Error("no signal of events")
	}
	first, err := db.PendingEvents(t.Context(), 3)
	if err != nil || len(first) != 3 {
		t.Fatalf("%d events, %v", len(first), err)
	}
	if err := db.DropEvents(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	rest, err := db.PendingEvents(t.Context(), 10)
	if err != nil || len(rest) != 2 || rest[0].Subject != "event.thing.3" || string(rest[1].Data) != "n4" {
		t.Errorf("rest: %+v, %v", rest, err)
	}
}

func violatedIndex(t *testing.T, db *sqldb.DB) {
	if err := db.Write(t.Context(), insert(t, "a", "same")); err != nil {
		t.Fatal(err)
	}
	err := db.Write(t.Context(), insert(t, "b", "same"))
	if !sqldb.Violates(err, "things_name", "things.name") {
		t.Errorf("index not told: %v", err)
	}
	if sqldb.Violates(err, "things_pkey", "things.id") || sqldb.Violates(nil, "things_name", "things.name") {
		t.Error("another index is told")
	}
	if err := db.Write(t.Context(), insert(t, "a", "other")); !sqldb.Violates(err, "things_pkey", "things.id") {
		t.Errorf("primary key not told: %v", err)
	}
}

func key(value, fingerprint string) idempotency.Key {
	return idempotency.Key{Caller: "account_1", Value: value, Fingerprint: fingerprint}
}

func create(t *testing.T, db *sqldb.DB, k idempotency.Key, id string, now time.Time) (string, error) {
	return sqldb.WriteOnce(t.Context(), db, k, now, func(tx *sqldb.Tx) (string, error) {
		return id, insert(t, id, id)(tx)
	})
}

func repeat(t *testing.T, db *sqldb.DB) {
	now := time.Now()
	first, err := create(t, db, key("k", "f"), "a", now)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := create(t, db, key("k", "f"), "b", now); err != nil || again != first {
		t.Errorf("repeat: %q, %v; want %q", again, err, first)
	}
	if _, err := create(t, db, key("k", "other"), "c", now); errs.From(err).Code != errs.Aborted {
		t.Errorf("other input: %v", err)
	}
	if later, err := create(t, db, key("k", "f"), "d", now.Add(idempotency.Retention+time.Second)); err != nil || later != "d" {
		t.Errorf("after retention: %q, %v", later, err)
	}
	if n := count(t, db, "things"); n != 2 {
		t.Errorf("%d things, want 2", n)
	}
}

func failedCallFreesKey(t *testing.T, db *sqldb.DB) {
	now := time.Now()
	refused := errors.New("refused")
	_, err := sqldb.WriteOnce(t.Context(), db, key("k", "f"), now, func(*sqldb.Tx) (string, error) { return "", refused })
	if !errors.Is(err, refused) {
		t.Fatal(err)
	}
	if got, err := create(t, db, key("k", "f"), "a", now); err != nil || got != "a" {
		t.Errorf("after a failure: %q, %v", got, err)
	}
}

func repeatsAtOnce(t *testing.T, db *sqldb.DB) {
	var wg sync.WaitGroup
	results := make([]string, 32)
	for i := range results {
		wg.Go(func() {
			got, err := create(t, db, key("k", "f"), fmt.Sprint("id", i), time.Now())
			if err != nil {
				t.Error(err)
			}
			results[i] = got
		})
	}
	wg.Wait()
	for _, r := range results {
		if r != results[0] {
			t.Errorf("results differ: %q and %q", r, results[0])
		}
	}
	if n := count(t, db, "things"); n != 1 {
		t.Errorf("%d things, want 1", n)
	}
}

func migrateAgain(t *testing.T, db *sqldb.DB) {
	if err := db.Write(t.Context(), insert(t, "a", "a")); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), things()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, "things"); n != 1 {
		t.Errorf("%d things, want 1", n)
	}
}

func TestOpenSQLiteFilesAreReadableByOwnerOnly(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(folder, "t.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.Migrate(t.Context(), things()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}
