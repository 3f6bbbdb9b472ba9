package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/internal/seal"
)

var errNoKeys = errors.New("the database was opened without sealing keys")

// Seal returns the text as a column stores it: sealed for the place, which names the column and the row. A text without
// content, "" or "{}", stays as it is.
func (db *DB) Seal(place, text string) (string, error) {
	switch {
	case text == "" || text == "{}":
		return text, nil
	case db.keys == nil:
		return "", errNoKeys
	}
	return db.keys.Seal(place, text), nil
}

// Unseal returns the text that Seal stored, or one that an earlier version stored without sealing it.
func (db *DB) Unseal(place, stored string) (string, error) {
	switch {
	case !seal.IsSealed(stored):
		return stored, nil
	case db.keys == nil:
		return "", errNoKeys
	}
	text, err := db.keys.Open(place, stored)
	if err != nil {
		return "", fmt.Errorf("open the secret of %s: %w", place, err)
	}
	return text, nil
}

// Sealed names columns that Seal writes.
type Sealed struct {
	Table   string
	ID      string // the column, or an expression, that identifies a row and has the order of its index
	Columns []string
}

// Place returns the place of a column in a row.
func Place(table, column, id string) string { return table + "." + column + " " + id }

// sealedResults are the results of idempotency keys.
func sealedResults() Sealed {
	return Sealed{Table: "idempotency", ID: "(caller || ' ' || value)", Columns: []string{"result"}}
}

const (
	checkPlace = "check"
	sealBatch  = 500 // rows of a transaction
)

// SealAll seals what an earlier version stored in plain text, and what is sealed under an older key. It refuses a
// database whose secrets the keys do not open. Called at the start; what is done is not done again.
func (db *DB) SealAll(ctx context.Context, all ...Sealed) error {
	if db.keys == nil {
		return errNoKeys
	}
	if err := db.checkKeys(ctx); err != nil {
		return err
	}
	cleared := false
	for _, s := range append(all, sealedResults()) {
		done, err := db.sealTable(ctx, s)
		if err != nil {
			return fmt.Errorf("seal the secrets of %s: %w", s.Table, err)
		}
		cleared = cleared || done
	}
	if cleared {
		return db.Checkpoint(ctx)
	}
	return nil
}

// Checkpoint empties the write-ahead log of SQLite, which still has what was overwritten.
func (db *DB) Checkpoint(ctx context.Context) error {
	if db.postgres {
		return nil
	}
	if _, err := db.write.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return fmt.Errorf("write the log of the database back: %w", err)
	}
	return nil
}

// checkKeys refuses keys that do not open what another process, or an earlier start, has sealed.
func (db *DB) checkKeys(ctx context.Context) error {
	return db.Write(ctx, func(tx *Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO sealing (place, mark) VALUES ($1, $2) ON CONFLICT (place) DO NOTHING`,
			checkPlace, db.keys.Seal(checkPlace, checkPlace))
		if err != nil {
			return fmt.Errorf("mark the sealing key: %w", err)
		}
		var mark string
		if err := tx.QueryRowContext(ctx, `SELECT mark FROM sealing WHERE place = $1`, checkPlace).Scan(&mark); err != nil {
			return fmt.Errorf("read the mark of the sealing key: %w", err)
		}
		if _, err := db.keys.Open(checkPlace, mark); err != nil {
			return fmt.Errorf("the secrets in this database do not open: %w", err)
		}
		if db.keys.Current(mark) {
			return nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE sealing SET mark = $1 WHERE place = $2`, db.keys.Seal(checkPlace, checkPlace), checkPlace)
		return err
	})
}

func (db *DB) sealTable(ctx context.Context, s Sealed) (changed bool, err error) {
	place := s.Table + " " + strings.Join(s.Columns, " ")
	var mark string
	err = db.read.QueryRowContext(ctx, `SELECT mark FROM sealing WHERE place = $1`, place).Scan(&mark)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	if err == nil && db.keys.Current(mark) {
		return false, nil
	}
	for last := ""; ; {
		rows, err := db.sealBatch(ctx, s, &last)
		if err != nil {
			return changed, err
		}
		if rows == 0 {
			break
		}
		changed = true
	}
	return changed, db.Write(ctx, func(tx *Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO sealing (place, mark) VALUES ($1, $2)
			ON CONFLICT (place) DO UPDATE SET mark = excluded.mark`, place, db.keys.Seal(place, place))
		return err
	})
}

// sealBatch seals rows after the id last, and moves last to the last one of them.
func (db *DB) sealBatch(ctx context.Context, s Sealed, last *string) (rows int, err error) {
	err = db.Write(ctx, func(tx *Tx) error {
		if !db.postgres {
			if _, err := tx.ExecContext(ctx, `PRAGMA secure_delete = ON`); err != nil {
				return err
			}
		}
		found, err := Select(ctx, tx, func(row Row) ([]string, error) { return scanTexts(row, 1+len(s.Columns)) },
			`SELECT `+s.ID+`, `+strings.Join(s.Columns, ", ")+` FROM `+s.Table+` WHERE `+s.ID+` > $1 ORDER BY 1 LIMIT $2`, *last, sealBatch)
		if err != nil {
			return err
		}
		for _, row := range found {
			for i, column := range s.Columns {
				if err := db.sealAgain(ctx, tx, s, column, row[0], row[1+i]); err != nil {
					return err
				}
			}
		}
		if rows = len(found); rows > 0 {
			*last = found[rows-1][0]
		}
		return nil
	})
	return rows, err
}

func (db *DB) sealAgain(ctx context.Context, tx *Tx, s Sealed, column, id, stored string) error {
	if db.keys.Current(stored) {
		return nil
	}
	place := Place(s.Table, column, id)
	text, err := db.Unseal(place, stored)
	if err != nil {
		return err
	}
	sealed, err := db.Seal(place, text)
	if err != nil || sealed == stored {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE `+s.Table+` SET `+column+` = $1 WHERE `+s.ID+` = $2`, sealed, id)
	return err
}

func scanTexts(row Row, n int) ([]string, error) {
	texts, into := make([]string, n), make([]any, n)
	for i := range texts {
		into[i] = &texts[i]
	}
	return texts, row.Scan(into...)
}
