package sqldb

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// The tables that every service has, in the SQL dialect of each engine.
//
//go:embed migrations
var shared embed.FS

// Migrate migrates the tables of this package, then those of the service, and counts the bytes of tables that are not
// counted yet. It is idempotent.
func (db *DB) Migrate(ctx context.Context, schema Schema) error {
	engine := "sqlite"
	if db.postgres {
		engine = "postgres"
	}
	own, err := fs.Sub(shared, "migrations/"+engine)
	if err != nil {
		return fmt.Errorf("open the shared migrations: %w", err)
	}
	if err := db.apply(ctx, "goose_sqldb_version", own); err != nil {
		return err
	}
	files, err := fs.Sub(schema.Files, "migrations")
	if err != nil {
		return fmt.Errorf("open the migrations: %w", err)
	}
	if err := db.apply(ctx, "goose_db_version", files); err != nil {
		return err
	}
	return db.count(ctx, schema)
}

func (db *DB) apply(ctx context.Context, table string, migrations fs.FS) error {
	dialect := goose.DialectSQLite3
	if db.postgres {
		dialect = goose.DialectPostgres
	}
	versions, err := database.NewStore(dialect, table)
	if err != nil {
		return fmt.Errorf("keep versions in %s: %w", table, err)
	}
	provider, err := goose.NewProvider("", db.write, migrations, goose.WithStore(versions))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", translate(err))
	}
	return nil
}
