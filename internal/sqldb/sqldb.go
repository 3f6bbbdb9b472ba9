// Package sqldb is the SQL layer of the services: one database per service, SQLite in the data folder or PostgreSQL,
// with one set of queries.
//
// A Write is one transaction, and durable when it returns nil. Its events and its idempotency key are rows of the
// same transaction (the outbox pattern). A deadlock is retried. A database that is away is UNAVAILABLE with a reason
// and a delay. Queries use $1 placeholders, row values and ON CONFLICT, which both engines support. Times are integer
// microseconds since 1970 in UTC.
package sqldb

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/XSAM/otelsql"
	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	_ "modernc.org/sqlite" // registers "sqlite"

	"github.com/sluicehq/sluice/internal/seal"
)

// DB is the database of one service. It is safe for concurrent use.
type DB struct {
	write    *sql.DB
	read     *sql.DB
	postgres bool
	emitted  chan struct{}
	keys     *seal.Keys // nil for a service without secrets
	limits   StorageLimits
}

const (
	maxReaders   = 4
	defaultPool  = 16
	busyTimeout  = 10 * time.Second
	writeRetries = 5
)

// Option configures how a database is opened.
type Option func(*opening)

type opening struct {
	tracer trace.TracerProvider
	pool   int // of connections to PostgreSQL
	keys   *seal.Keys
}

// WithTracing creates a span for every statement inside another span.
func WithTracing(tracer trace.TracerProvider) Option {
	return func(o *opening) { o.tracer = tracer }
}

// WithMaxConnections bounds the connections to PostgreSQL; default 16. SQLite has one writer and four readers.
func WithMaxConnections(n int) Option {
	return func(o *opening) { o.pool = n }
}

// WithKeys sets the keys that seal secrets: see DB.Seal. The stored results of idempotency keys are sealed, too.
func WithKeys(keys *seal.Keys) Option {
	return func(o *opening) { o.keys = keys }
}

// Open opens the database of the dsn: "postgres://…", or "sqlite:PATH", whose folder is created when it does not
// exist. It does not change the schema: see Migrate.
func Open(ctx context.Context, dsn string, options ...Option) (*DB, error) {
	o := opening{pool: defaultPool}
	for _, option := range options {
		option(&o)
	}
	switch {
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		return o.postgres(ctx, dsn)
	case strings.HasPrefix(dsn, "sqlite:"):
		return o.sqlite(ctx, strings.TrimPrefix(dsn, "sqlite:"))
	}
	return nil, fmt.Errorf("a database is named postgres://… or sqlite:PATH, not %.20q…", dsn)
}

func (o opening) connect(driver, dsn string) (*sql.DB, error) {
	if o.tracer == nil {
		return sql.Open(driver, dsn)
	}
	return otelsql.Open(driver, dsn,
		otelsql.WithTracerProvider(o.tracer),
		otelsql.WithAttributes(attribute.String("db.system.name", driver)),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			OmitConnResetSession: true, OmitConnPrepare: true, OmitRows: true, OmitConnectorConnect: true, DisableErrSkip: true,
			SpanFilter: func(ctx context.Context, _ otelsql.Method, _ string, _ []sqldriver.NamedValue) bool {
				return trace.SpanContextFromContext(ctx).IsValid()
			},
		}))
}

func (o opening) postgres(ctx context.Context, dsn string) (*DB, error) {
	pool, err := o.connect("pgx", dsn)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL: %w", err)
	}
	pool.SetMaxOpenConns(o.pool)
	pool.SetMaxIdleConns(o.pool)
	if err := pool.PingContext(ctx); err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("connect to PostgreSQL: %w", translate(err))
	}
	return &DB{write: pool, read: pool, postgres: true, emitted: make(chan struct{}, 1), keys: o.keys}, nil
}

func (o opening) sqlite(ctx context.Context, path string) (*DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	if err := restrictAccess(path); err != nil {
		return nil, err
	}
	write, err := o.sqlitePool(ctx, path, 1, url.Values{"_txlock": {"immediate"}})
	if err != nil {
		return nil, err
	}
	read, err := o.sqlitePool(ctx, path, maxReaders, url.Values{"_pragma": {"query_only(1)"}})
	if err != nil {
		_ = write.Close()
		return nil, err
	}
	return &DB{write: write, read: read, emitted: make(chan struct{}, 1), keys: o.keys}, nil
}

// restrictAccess creates the file with access for its owner only. SQLite's other files get the same mode.
func restrictAccess(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	return file.Close()
}

// sqlitePool opens path with write-ahead logging, so that readers and the writer do not wait for each other, and a
// sync at every commit, so that an acknowledged write survives a power failure.
func (o opening) sqlitePool(ctx context.Context, path string, size int, extra url.Values) (*sql.DB, error) {
	query := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)",
	}}
	for key, values := range extra {
		query[key] = append(query[key], values...)
	}
	pool, err := o.connect("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	if err := pool.PingContext(ctx); err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return pool, nil
}

// Close closes all connections.
func (db *DB) Close() error {
	err := db.write.Close()
	if db.read == db.write {
		return err
	}
	if readErr := db.read.Close(); err == nil {
		err = readErr
	}
	return err
}

// IsServer reports whether the database is a server, which other processes may share.
func (db *DB) IsServer() bool { return db.postgres }

// Ping checks that the database responds.
func (db *DB) Ping(ctx context.Context) error { return db.read.PingContext(ctx) }

// Read returns the source of queries that change nothing.
func (db *DB) Read() Reader { return Reader{db.read} }

// Tx is a transaction that can emit events.
type Tx struct {
	*sql.Tx
	db      *DB
	emitted bool
}

// Write runs change in one transaction and commits it. If change fails, the transaction is rolled back and its error
// is returned unchanged. After a deadlock it is retried, so change must have no effects outside of tx. Under the
// context of a Group, it joins that transaction.
func (db *DB) Write(ctx context.Context, change func(tx *Tx) error) error {
	if tx, ok := ctx.Value(groupKey{}).(*Tx); ok && tx.db == db {
		return tx.Nested(ctx, change)
	}
	for attempt := 0; ; attempt++ {
		emitted, err := db.writeOnce(ctx, change)
		if err == nil {
			if emitted {
				db.signal()
			}
			return nil
		}
		if attempt == writeRetries || !isContention(err) {
			return translate(err)
		}
	}
}

func (db *DB) writeOnce(ctx context.Context, change func(tx *Tx) error) (emitted bool, err error) {
	begun, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("begin: %w", err)
	}
	tx := &Tx{Tx: begun, db: db}
	defer func() {
		if err != nil {
			_ = begun.Rollback() // the first error is returned
		}
	}()
	if err := change(tx); err != nil {
		return false, err
	}
	if err := begun.Commit(); err != nil {
		return false, fmt.Errorf("commit: %w", commitError(err))
	}
	return tx.emitted, nil
}
