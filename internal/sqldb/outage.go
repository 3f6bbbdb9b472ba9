package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sluicehq/sluice/internal/errs"
)

// Reasons of errors of the database itself. The request is valid and can succeed later.
const (
	ReasonUnavailable = "DATABASE_UNAVAILABLE" // no connection, or no resources for one more
	ReasonReadOnly    = "DATABASE_READ_ONLY"   // a standby before its promotion
	ReasonDiskFull    = "DISK_FULL"
)

// outageRetry is the delay before a retry. A restart or a failover of PostgreSQL takes seconds.
const outageRetry = 2 * time.Second

// translate returns the *errs.Error of an outage, and every other error unchanged. An ended context remains one,
// although its connection fails too.
func translate(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, known := errors.AsType[*errs.Error](err); known {
		return err
	}
	switch reason := outageOf(err); reason {
	case "":
		return err
	case ReasonReadOnly:
		return outage(reason, "the database accepts no writes at the moment", err)
	case ReasonDiskFull:
		return outage(reason, "the disk of the database is full", err)
	default:
		return outage(reason, "the database is unavailable", err)
	}
}

func outage(reason, message string, cause error) error {
	e := errs.New(errs.Unavailable, reason, "%s", message).Because(cause)
	e.RetryAfter = outageRetry
	return e
}

// outageOf returns the reason of an outage, or "".
func outageOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return postgresOutage(e.Code)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return sqliteOutage(e.Code())
	}
	if isConnectionLoss(err) {
		return ReasonUnavailable
	}
	return ""
}

// postgresOutage reads an SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
func postgresOutage(state string) string {
	switch {
	case state == "53100":
		return ReasonDiskFull
	case state == "25006":
		return ReasonReadOnly
	case strings.HasPrefix(state, "08"), strings.HasPrefix(state, "53"), strings.HasPrefix(state, "57P0"), strings.HasPrefix(state, "58"):
		return ReasonUnavailable
	}
	return ""
}

// sqliteOutage reads an extended result code, whose low byte is the primary one: https://sqlite.org/rescode.html
func sqliteOutage(code int) string {
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return ReasonDiskFull
	case sqlite3.SQLITE_READONLY:
		return ReasonReadOnly
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM:
		return ReasonUnavailable
	}
	return ""
}

// isConnectionLoss reports whether the connection could not be opened or was lost.
func isConnectionLoss(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, net.ErrClosed) {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	_, ok := errors.AsType[net.Error](err)
	return ok || pgconn.SafeToRetry(err) || strings.Contains(err.Error(), "conn closed")
}

// commitError returns the error of a failed commit. The outcome is unknown if the connection ended before the reply,
// or the file system failed.
func commitError(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && !strings.HasPrefix(e.Code, "57P0") {
		return err // a reply: the transaction is rolled back
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff != sqlite3.SQLITE_IOERR {
		return err
	}
	if outageOf(err) == "" {
		return err
	}
	return errs.New(errs.Unavailable, errs.ReasonOutcomeUnknown,
		"the database was lost during the commit: read the state before you send the request again").Because(err)
}
