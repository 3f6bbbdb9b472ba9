package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/seal"
	"github.com/sluicehq/sluice/internal/sqldb"
)

func secretRows() sqldb.Schema {
	return sqldb.Schema{Files: fstest.MapFS{"migrations/00001_rows.sql": {Data: []byte("-- +goose Up\nCREATE TABLE secret_rows (id TEXT PRIMARY KEY, a TEXT NOT NULL, b TEXT NOT NULL);")}}}
}

func openWith(t *testing.T, path string, texts ...string) *sqldb.DB {
	t.Helper()
	var options []sqldb.Option
	if len(texts) > 0 {
		keys, err := seal.New(texts...)
		if err != nil {
			t.Fatal(err)
		}
		options = append(options, sqldb.WithKeys(keys))
	}
	db, err := sqldb.Open(t.Context(), "sqlite:"+path, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), secretRows()); err != nil {
		t.Fatal(err)
	}
	return db
}

// Rows of an earlier version are sealed at the start, and again under a new key; a stranger's key is refused.
func TestSealAllSealsOldRowsAndRotates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	before, one, two := openWith(t, path), strings.Repeat("1", 32), strings.Repeat("2", 32)
	const rows = 1200 // more than one batch
	err := before.Write(t.Context(), func(tx *sqldb.Tx) error {
		for i := range rows {
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO secret_rows VALUES ($1, $2, '')`, fmt.Sprintf("%04d", i), fmt.Sprint("secret", i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	who := caller.NewContext(t.Context(), caller.Caller{AccountID: "account_1", Role: caller.Member})
	once(t, before, who, "of before")
	table := sqldb.Sealed{Table: "secret_rows", ID: "id", Columns: []string{"a", "b"}}
	for _, keys := range [][]string{{one}, {one}, {two, one}, {two}} {
		db := openWith(t, path, keys...)
		if err := db.SealAll(t.Context(), table); err != nil {
			t.Fatal(err)
		}
		newest, err := seal.New(keys[0])
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			id := fmt.Sprintf("%04d", i)
			var a, b string
			if err := db.Read().QueryRowContext(t.Context(), `SELECT a, b FROM secret_rows WHERE id = $1`, id).Scan(&a, &b); err != nil {
				t.Fatal(err)
			}
			if text, err := newest.Open("secret_rows.a "+id, a); err != nil || text != fmt.Sprint("secret", i) || b != "" {
				t.Fatalf("row %s under %d keys: %q %v, %q", id, len(keys), text, err, b)
			}
		}
		if got := once(t, db, who, "again"); got != "of before" {
			t.Errorf("a repeated call answers %q", got)
		}
	}
	if err := openWith(t, path, strings.Repeat("3", 32)).SealAll(t.Context(), table); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("another key: %v", err)
	}
}

func once(t *testing.T, db *sqldb.DB, who context.Context, answer string) string {
	t.Helper()
	key, err := idempotency.NewKey(who, "k", "m", "in")
	if err != nil {
		t.Fatal(err)
	}
	got, err := sqldb.WriteOnce(who, db, key, time.Now(), func(*sqldb.Tx) (string, error) { return answer, nil })
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestResultOfAnIdempotencyKeyIsSealed(t *testing.T) {
	t.Parallel()
	db := openWith(t, filepath.Join(t.TempDir(), "x.db"), strings.Repeat("1", 32))
	who := caller.NewContext(t.Context(), caller.Caller{AccountID: "account_1", Role: caller.Member})
	if got := once(t, db, who, "hunter2"); got != "hunter2" || once(t, db, who, "other") != "hunter2" {
		t.Errorf("answered %q", got)
	}
	var result, fingerprint string
	if err := db.Read().QueryRowContext(t.Context(), `SELECT result, fingerprint FROM idempotency`).Scan(&result, &fingerprint); err != nil {
		t.Fatal(err)
	}
	key, _ := idempotency.NewKey(who, "k", "m", "in") // it passed before
	if strings.Contains(result, "hunter2") || fingerprint == key.Fingerprint {
		t.Errorf("stored %q, %q", result, fingerprint)
	}
}
