package sqldb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Schema is what a service stores: its migrations, in goose files (migrations/00001_name.sql), and the tables whose
// bytes are counted for their owners.
type Schema struct {
	Files   fs.FS
	Counted []Counted
}

// Counted is a table whose rows count for the storage of their owners. Triggers count each insert, update and delete
// in its transaction, so no write path can miss it.
//
// In the expressions, "row." names a column of the row.
type Counted struct {
	Table string
	Owner string // expression: the id of an account or a device, "" for no owner
	Bytes string // expression: an estimate of the row with its part of the indexes
	// StoreInserts states that the store counts inserts itself, with Tx.CountStorage: a trigger for each row would
	// slow down mass inserts.
	StoreInserts bool
}

// TextBytes returns the expression for the bytes of texts and the fixed size of a row.
func TextBytes(fixed int, columns ...string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d", fixed)
	for _, column := range columns {
		fmt.Fprintf(&out, " + COALESCE(octet_length(row.%s), 0)", column)
	}
	return out.String()
}

func of(row, expression string) string { return strings.ReplaceAll(expression, "row.", row+".") }

// Sums returns the query of the owners of all rows and their bytes.
func (c Counted) Sums() string {
	return `SELECT ` + of("counted", c.Owner) + ` AS owner, SUM(` + of("counted", c.Bytes) + `) AS bytes FROM ` + c.Table + ` AS counted GROUP BY 1`
}

func (c Counted) digest() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []any{c, triggerVersion}))
	return hex.EncodeToString(sum[:])
}

// triggerVersion changes with the triggers that this file writes, so that old ones are replaced.
const triggerVersion = 1

const addUsage = ` ON CONFLICT (owner, kind) DO UPDATE SET bytes = storage_usage.bytes + excluded.bytes`

// AllCounted returns all counted tables: those of the service, and the results that are stored for retries.
func (s Schema) AllCounted() []Counted {
	results := Counted{Table: "idempotency", Owner: "row.account_id", Bytes: TextBytes(200, "caller", "value", "fingerprint", "result")}
	return append([]Counted{results}, s.Counted...)
}

// count makes the triggers of all counted tables, and counts the rows that are stored.
func (db *DB) count(ctx context.Context, schema Schema) error {
	for _, c := range schema.AllCounted() {
		if err := db.countTable(ctx, c); err != nil {
			return fmt.Errorf("count the bytes of %s: %w", c.Table, err)
		}
	}
	return nil
}

func (db *DB) countTable(ctx context.Context, c Counted) error {
	if current, err := isCounted(ctx, db.Read(), c); err != nil || current {
		return err
	}
	return db.Write(ctx, func(tx *Tx) error {
		if db.postgres { // another process may start at the same time
			if _, err := tx.ExecContext(ctx, `LOCK TABLE storage_counted IN EXCLUSIVE MODE`); err != nil {
				return err
			}
		}
		if current, err := isCounted(ctx, tx, c); err != nil || current {
			return err
		}
		statements := c.sqliteTriggers()
		if db.postgres {
			statements = c.postgresTriggers()
		}
		statements = append(statements,
			`DELETE FROM storage_usage WHERE kind = '`+c.Table+`'`,
			`INSERT INTO storage_usage (owner, kind, bytes) SELECT owner, '`+c.Table+`', bytes FROM (`+c.Sums()+`) AS sums`,
			`INSERT INTO storage_counted (name, digest) VALUES ('`+c.Table+`', '`+c.digest()+`')
				ON CONFLICT (name) DO UPDATE SET digest = excluded.digest`)
		for _, statement := range statements {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

func isCounted(ctx context.Context, from Source, c Counted) (bool, error) {
	digests, err := Select(ctx, from, Text, `SELECT digest FROM storage_counted WHERE name = $1`, c.Table)
	return err == nil && len(digests) == 1 && digests[0] == c.digest(), err
}

// sqliteTriggers run for each row, since SQLite has no others.
func (c Counted) sqliteTriggers() []string {
	change := func(row, sign string) string {
		return `INSERT INTO storage_usage (owner, kind, bytes) VALUES (` + of(row, c.Owner) + `, '` + c.Table + `', ` + sign + `(` + of(row, c.Bytes) + `))` + addUsage + `; `
	}
	create := func(what, when, body string) []string {
		name := `storage_` + c.Table + `_` + what
		return []string{`DROP TRIGGER IF EXISTS ` + name, `CREATE TRIGGER ` + name + ` ` + when + ` BEGIN ` + body + `END`}
	}
	statements := create("delete", `AFTER DELETE ON `+c.Table, change("OLD", "-"))
	if !c.StoreInserts {
		statements = append(statements, create("insert", `AFTER INSERT ON `+c.Table, change("NEW", ""))...)
	}
	differs := of("OLD", c.Bytes) + ` <> ` + of("NEW", c.Bytes) + ` OR ` + of("OLD", c.Owner) + ` <> ` + of("NEW", c.Owner)
	return append(statements, create("update", `AFTER UPDATE ON `+c.Table+` WHEN `+differs, change("OLD", "-")+change("NEW", ""))...)
}

// postgresTriggers run once for each statement, and write to storage_changes.
func (c Counted) postgresTriggers() []string {
	removed := `SELECT ` + of("removed", c.Owner) + ` AS owner, -(` + of("removed", c.Bytes) + `) AS bytes FROM removed`
	added := `SELECT ` + of("added", c.Owner) + ` AS owner, ` + of("added", c.Bytes) + ` AS bytes FROM added`
	create := func(event, tables, changes string) []string {
		name := `storage_` + c.Table + `_` + strings.ToLower(event)
		return []string{
			`CREATE OR REPLACE FUNCTION ` + name + `() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				INSERT INTO storage_changes (owner, kind, bytes)
				SELECT owner, '` + c.Table + `', SUM(bytes) FROM (` + changes + `) AS changes GROUP BY owner HAVING SUM(bytes) <> 0;
				RETURN NULL; END $$`,
			`DROP TRIGGER IF EXISTS ` + name + ` ON ` + c.Table,
			`CREATE TRIGGER ` + name + ` AFTER ` + event + ` ON ` + c.Table + ` REFERENCING ` + tables + ` FOR EACH STATEMENT EXECUTE FUNCTION ` + name + `()`,
		}
	}
	statements := create("DELETE", "OLD TABLE AS removed", removed)
	if !c.StoreInserts {
		statements = append(statements, create("INSERT", "NEW TABLE AS added", added)...)
	}
	return append(statements, create("UPDATE", "OLD TABLE AS removed NEW TABLE AS added", removed+` UNION ALL `+added)...)
}

// CountStorage adds the bytes of inserted rows of the table to their owners, for a table with StoreInserts.
func (tx *Tx) CountStorage(ctx context.Context, table string, bytes map[string]int64) error {
	rows := make([][]any, 0, len(bytes))
	for _, owner := range slices.Sorted(maps.Keys(bytes)) {
		if bytes[owner] != 0 {
			rows = append(rows, []any{owner, table, bytes[owner]})
		}
	}
	into, onConflict := "storage_usage", addUsage
	if tx.db.postgres {
		into, onConflict = "storage_changes", ""
	}
	_, err := tx.Insert(ctx, into, "owner, kind, bytes", rows, onConflict)
	return err
}
