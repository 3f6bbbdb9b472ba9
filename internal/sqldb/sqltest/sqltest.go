// Package sqltest runs a store's test suite on each engine that Sluice supports.
package sqltest

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/testserver"
)

// OnEachEngine runs the suite on SQLite and on PostgreSQL. Each call of open gives a fresh, migrated
// database that is closed with the test that asked for it.
func OnEachEngine(t *testing.T, migrations fs.FS, suite func(t *testing.T, open func(t *testing.T) *sqldb.DB)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		suite(t, func(t *testing.T) *sqldb.DB { return OpenSQLite(t, migrations) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		server := testserver.StartPostgres(t)
		suite(t, func(t *testing.T) *sqldb.DB { return open(t, server.NewDatabase(t), migrations) })
	})
}

// OpenSQLite gives a fresh, migrated SQLite database.
func OpenSQLite(t testing.TB, migrations fs.FS) *sqldb.DB {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"), migrations)
}

func open(t testing.TB, dsn string, migrations fs.FS) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), migrations); err != nil {
		t.Fatal(err)
	}
	return db
}
