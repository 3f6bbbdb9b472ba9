// Package sqltest runs the conformance suite of a store on each engine. Like testserver, it skips an engine without
// an installed server.
package sqltest

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/sluicehq/sluice/internal/seal"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/testserver"
)

// OnEachEngine runs the suite on SQLite and on PostgreSQL; open returns an empty, migrated database.
func OnEachEngine(t *testing.T, migrations fs.FS, suite func(t *testing.T, open func(t *testing.T) *sqldb.DB)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		suite(t, func(t *testing.T) *sqldb.DB { return OpenSQLite(t, migrations) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		server := testserver.StartPostgres(t)
		suite(t, func(t *testing.T) *sqldb.DB { return OpenAt(t, server.NewDatabase(t), migrations) })
	})
}

// OpenSQLite returns an empty, migrated SQLite database.
func OpenSQLite(t testing.TB, migrations fs.FS) *sqldb.DB {
	t.Helper()
	return OpenAt(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"), migrations)
}

// OpenAt returns the migrated database of the DSN. It is closed at the end of the test.
func OpenAt(t testing.TB, dsn string, migrations fs.FS) *sqldb.DB {
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
	if err := db.Migrate(t.Context(), migrations); err != nil {
		t.Fatal(err)
	}
	return db
}
