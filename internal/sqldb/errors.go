package sqldb

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Error codes of PostgreSQL: https://www.postgresql.org/docs/current/errcodes-appendix.html
const (
	pgUniqueViolation      = "23505"
	pgSerializationFailure = "40001"
	pgDeadlockDetected     = "40P01"
)

// Violates reports whether err violates the unique index: PostgreSQL names the index, SQLite the columns, as in
// "trips.account_id" or "trips.source, trips.external_id".
func Violates(err error, index, columns string) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == pgUniqueViolation && e.ConstraintName == index
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		unique := e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
		return unique && strings.Contains(e.Error()+" ", "failed: "+columns+" ")
	}
	return false
}

// isContention reports whether a transaction failed because of concurrent transactions, and can be retried.
func isContention(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == pgSerializationFailure || e.Code == pgDeadlockDetected
	}
	return false
}
