package sqldb_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/internal/testserver"
)

// wantOutage fails unless err is a retryable UNAVAILABLE with the reason.
func wantOutage(t *testing.T, err error, reason string) {
	t.Helper()
	e := errs.From(err)
	if e == nil || e.Code != errs.Unavailable || e.Reason != reason || !e.Retryable() || e.RetryAfter <= 0 {
		t.Errorf("got %+v, want UNAVAILABLE %s with a delay", e, reason)
	}
}

func execute(t *testing.T, db *sqldb.DB, statement string) error {
	t.Helper()
	return db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(t.Context(), statement)
		return err
	})
}

func TestPostgresStateIsTranslated(t *testing.T) {
	t.Parallel()
	db := openAt(t, testserver.StartPostgres(t).NewDatabase(t))
	for state, reason := range map[string]string{
		"08006": sqldb.ReasonUnavailable, "57P01": sqldb.ReasonUnavailable, "57P03": sqldb.ReasonUnavailable,
		"53300": sqldb.ReasonUnavailable, "53200": sqldb.ReasonUnavailable, "58030": sqldb.ReasonUnavailable,
		"25006": sqldb.ReasonReadOnly, "53100": sqldb.ReasonDiskFull,
	} {
		wantOutage(t, execute(t, db, fmt.Sprintf(`DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '%s'; END $$`, state)), reason)
	}
	for _, state := range []string{"23505", "42P01", "22003", "57014"} {
		err := execute(t, db, fmt.Sprintf(`DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '%s'; END $$`, state))
		if e := errs.From(err); e == nil || e.Code != errs.Internal {
			t.Errorf("state %s: got %+v, want INTERNAL", state, e)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqldb.Select(ended, db.Read(), sqldb.Text, "SELECT 'a'"); errs.From(err).Code != errs.Cancelled {
		t.Errorf("with an ended context: got %v, want CANCELLED", err)
	}
}

func TestSQLiteFullOrReadOnlyOrLockedIsAnOutage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db, other := openAt(t, "sqlite:"+path), openAt(t, "sqlite:"+path)
	if err := execute(t, db, "PRAGMA busy_timeout = 1"); err != nil {
		t.Fatal(err)
	}
	if err := other.Write(t.Context(), func(*sqldb.Tx) error {
		wantOutage(t, execute(t, db, "DELETE FROM things"), sqldb.ReasonUnavailable)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := execute(t, db, "PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	wantOutage(t, execute(t, db, "INSERT INTO things (id, name, size) VALUES ('a', hex(zeroblob(1000000)), 1)"), sqldb.ReasonDiskFull)
	if err := execute(t, db, "PRAGMA query_only = 1"); err != nil {
		t.Fatal(err)
	}
	wantOutage(t, execute(t, db, "DELETE FROM things"), sqldb.ReasonReadOnly)
}

func TestPostgresAwayIsAnOutageUntilItIsBack(t *testing.T) {
	t.Parallel()
	proxy := startProxy(t, testserver.StartPostgres(t).NewDatabase(t))
	db := openAt(t, proxy.dsn)
	proxy.refuse.Store(true)
	for range 3 { // the pool has one connection, and opens others
		_, err := sqldb.Select(t.Context(), db.Read(), sqldb.Text, "SELECT name FROM things")
		wantOutage(t, err, sqldb.ReasonUnavailable)
		wantOutage(t, execute(t, db, "DELETE FROM things"), sqldb.ReasonUnavailable)
	}
	var n int
	wantOutage(t, db.Read().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM things").Scan(&n), sqldb.ReasonUnavailable)
	proxy.refuse.Store(false)
	if err := execute(t, db, "DELETE FROM things"); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

func TestConnectionLostDuringCommitIsAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	proxy := startProxy(t, testserver.StartPostgres(t).NewDatabase(t))
	db := openAt(t, proxy.dsn)
	for _, c := range []struct {
		name      string
		key       idempotency.Key
		retryable bool
	}{
		{"without a key, is not retryable", idempotency.Key{}, false},
		{"with a key, is retryable", idempotency.Key{Caller: "account_1", Value: "k", Fingerprint: "f"}, true},
	} {
		proxy.cutAtCommit.Store(true)
		write := func() (string, error) {
			return sqldb.WriteOnce(t.Context(), db, c.key, time.Now(), func(tx *sqldb.Tx) (string, error) {
				return "first", insert(t, c.name, c.name)(tx)
			})
		}
		_, err := write()
		if e := errs.From(err); e == nil || e.Code != errs.Unavailable || e.Reason != errs.ReasonOutcomeUnknown || e.Retryable() != c.retryable {
			t.Errorf("%s: got %+v", c.name, e)
		}
		proxy.cutAtCommit.Store(false)
		if !c.retryable {
			continue
		}
		if result, err := write(); err != nil || result != "first" {
			t.Errorf("%s: the retry returned %q, %v", c.name, result, err)
		}
	}
}

// proxy forwards connections to PostgreSQL and interrupts them.
type proxy struct {
	dsn         string
	target      string
	refuse      atomic.Bool // ends all connections
	cutAtCommit atomic.Bool // ends a connection after the commit is forwarded and before its reply
}

func startProxy(t *testing.T, dsn string) *proxy {
	t.Helper()
	address, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	p := &proxy{target: address.Host}
	address.Host = listener.Addr().String()
	// The simple protocol sends the text of each statement with its execution.
	p.dsn = address.String() + "&default_query_exec_mode=simple_protocol"
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.forward(client)
		}
	}()
	return p
}

func (p *proxy) forward(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.target)
	if err != nil || p.refuse.Load() {
		return
	}
	var muted atomic.Bool
	replies := make(chan struct{})
	go func() {
		defer close(replies)
		buffer := make([]byte, 32<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil || muted.Load() || p.refuse.Load() {
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	p.requests(client, server, &muted)
	if muted.Load() {
		<-replies // the server has executed the commit
	}
	_ = server.Close()
}

func (p *proxy) requests(client io.Reader, server io.Writer, muted *atomic.Bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil || p.refuse.Load() {
			return
		}
		cut := p.cutAtCommit.Load() && bytes.Contains(bytes.ToLower(buffer[:n]), []byte("commit"))
		muted.Store(cut)
		if _, err := server.Write(buffer[:n]); err != nil || cut {
			return
		}
	}
}

func openAt(t *testing.T, dsn string) *sqldb.DB { return sqltest.OpenAt(t, dsn, things()) }
