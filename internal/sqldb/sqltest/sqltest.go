// Package sqltest runs the conformance suite of a store on each engine. Like testserver, it skips an engine without
// an installed server.
package sqltest

import (
	"context"
	"maps"
	"path/filepath"
	"testing"

	"github.com/sluicehq/sluice/internal/seal"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/testserver"
)

// OnEachEngine runs the suite on SQLite and on PostgreSQL; open returns an empty, migrated database.
func OnEachEngine(t *testing.T, schema sqldb.Schema, suite func(t *testing.T, open func(t *testing.T) *sqldb.DB)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		suite(t, func(t *testing.T) *sqldb.DB { return OpenSQLite(t, schema) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		server := testserver.StartPostgres(t)
		suite(t, func(t *testing.T) *sqldb.DB { return OpenAt(t, server.NewDatabase(t), schema) })
	})
}

// OpenSQLite returns an empty, migrated SQLite database.
func OpenSQLite(t testing.TB, schema sqldb.Schema) *sqldb.DB {
	t.Helper()
	return OpenAt(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"), schema)
}

// OpenAt returns the migrated database of the DSN. At the end of the test the storage of its owners is compared with its
// rows, and it is closed.
func OpenAt(t testing.TB, dsn string, schema sqldb.Schema) *sqldb.DB {
	t.Helper()
	keys, err := seal.New("a sealing key of tests, which has 32 bytes")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), dsn, sqldb.WithKeys(keys))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if db.Ping(context.Background()) == nil {
			CheckStorage(t, db, schema)
		}
	})
	return db
}

// CheckStorage compares the bytes that are counted for each owner with the sums of the rows.
func CheckStorage(t testing.TB, db *sqldb.DB, schema sqldb.Schema) {
	t.Helper()
	for _, c := range schema.AllCounted() {
		counted := bytesByOwner(t, db, `SELECT owner, bytes FROM storage_usage WHERE bytes <> 0 AND kind = '`+c.Table+`'`)
		if stored := bytesByOwner(t, db, c.Sums()); !maps.Equal(counted, stored) {
			t.Errorf("%s: counted %v, stored %v", c.Table, counted, stored)
		}
	}
}

func bytesByOwner(t testing.TB, db *sqldb.DB, query string) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	_, err := sqldb.Select(context.Background(), db.Read(), func(row sqldb.Row) (struct{}, error) {
		var owner string
		var bytes int64
		err := row.Scan(&owner, &bytes)
		all[owner] = bytes
		return struct{}{}, err
	}, query)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
