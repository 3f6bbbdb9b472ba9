// Package store is an account.Store in SQL. A secret is stored as its SHA-256 in hexadecimal.
package store

import (
	"context"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/account"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations returns the tables of this store, for sqldb.DB.Migrate.
func Migrations() sqldb.Schema {
	return sqldb.Schema{Files: files, Counted: []sqldb.Counted{
		{Table: "sessions", Owner: "row.account_id", Bytes: "400"},
		{Table: "refresh_tokens", Owner: "(SELECT account_id FROM sessions WHERE id = row.session_id)", Bytes: "400"},
		{
			Table: "api_keys", Owner: "row.account_id",
			Bytes: sqldb.TextBytes(600, "name", "scopes", "device_labels"),
		},
	}}
}

// Store is an account.Store.
type Store struct {
	db            *sqldb.DB
	encodeAccount func(account.Account) ([]byte, error)
	encodeAPIKey  func(account.APIKey) ([]byte, error)
}

var _ account.Store = (*Store)(nil)

// New returns a store over a migrated database. The functions encode the payloads of events; an event of a session
// has the account as its payload.
func New(db *sqldb.DB, encodeAccount func(account.Account) ([]byte, error), encodeAPIKey func(account.APIKey) ([]byte, error)) *Store {
	return &Store{db: db, encodeAccount: encodeAccount, encodeAPIKey: encodeAPIKey}
}

const selectAccounts = `SELECT a.id, a.name, a.role, a.created_at, a.version FROM accounts a`

func scanAccount(row sqldb.Row) (account.Account, error) {
	var a account.Account
	var created int64
	err := row.Scan(&a.ID, &a.Name, &a.Role, &created, &a.Version)
	a.CreatedAt = sqldb.Time(created)
	return a, err
}

// EnsureAccount is account.Accounts.
func (s *Store) EnsureAccount(ctx context.Context, provider, subject string, candidate account.Account) (account.Account, error) {
	found, err := s.accountOf(ctx, provider, subject)
	if !errors.Is(err, sql.ErrNoRows) {
		return found, err
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error { return s.insertAccount(ctx, tx, provider, subject, candidate) })
	if sqldb.Violates(err, "identities_pkey", "identities.provider, identities.subject") {
		return s.accountOf(ctx, provider, subject) // another call was first
	}
	if err != nil {
		return account.Account{}, err
	}
	return candidate, nil
}

// HasAccountsBeside reports whether an identity of another provider has an account.
func (s *Store) HasAccountsBeside(ctx context.Context, provider string) (found bool, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM identities WHERE provider <> $1)`, provider).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("look for accounts: %w", err)
	}
	return found, nil
}

func (s *Store) accountOf(ctx context.Context, provider, subject string) (account.Account, error) {
	found, err := scanAccount(s.db.Read().QueryRowContext(ctx,
		selectAccounts+` JOIN identities i ON i.account_id = a.id WHERE i.provider = $1 AND i.subject = $2`, provider, subject))
	if err != nil {
		return account.Account{}, fmt.Errorf("look up the identity: %w", err)
	}
	return found, nil
}

func (s *Store) insertAccount(ctx context.Context, tx *sqldb.Tx, provider, subject string, a account.Account) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO accounts (id, name, role, created_at, version) VALUES ($1, $2, $3, $4, $5)`,
		a.ID, a.Name, a.Role, sqldb.Micros(a.CreatedAt), a.Version)
	if err != nil {
		return fmt.Errorf("insert the account: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO identities (provider, subject, account_id) VALUES ($1, $2, $3)`, provider, subject, a.ID)
	if err != nil {
		return fmt.Errorf("insert the identity: %w", err)
	}
	payload, err := s.encodeAccount(a)
	if err != nil {
		return fmt.Errorf("encode the account: %w", err)
	}
	return tx.Emit(ctx, a.CreatedAt, "event.account.created."+a.ID, payload)
}

// GetAccounts is account.Accounts.
func (s *Store) GetAccounts(ctx context.Context, ids []string) ([]account.Account, error) {
	var where sqldb.Where
	where.In("a.id", ids)
	accounts, err := sqldb.Select(ctx, s.db.Read(), scanAccount, selectAccounts+where.SQL(), where.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	return accounts, nil
}

func hexOf(hash account.Hash) string { return hex.EncodeToString(hash[:]) }
