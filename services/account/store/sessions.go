package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/account"
)

// OpenSession is account.Sessions.
func (s *Store) OpenSession(ctx context.Context, session account.Session, first account.Hash) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO sessions (id, account_id, created_at, expires_at, generation, seen, rotated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`, session.ID, session.AccountID, sqldb.Micros(session.CreatedAt), sqldb.Micros(session.ExpiresAt),
			session.Generation, session.Seen, sqldb.Micros(session.RotatedAt))
		if err != nil {
			return fmt.Errorf("insert the session: %w", err)
		}
		if err := insertToken(ctx, tx, first, session); err != nil {
			return err
		}
		return s.deleteOldest(ctx, tx, session)
	})
}

const deletedAtOnce = 100

// deleteOldest deletes the oldest sessions of an account that has no storage left, so that a sign-in is never refused.
func (s *Store) deleteOldest(ctx context.Context, tx *sqldb.Tx, but account.Session) error {
	for {
		storage, err := tx.StorageOf(ctx, []string{but.AccountID})
		if err != nil || storage[but.AccountID].Left() >= 0 {
			return err
		}
		oldest, err := sqldb.Select(ctx, tx, sqldb.Text, `SELECT id FROM sessions WHERE account_id = $1 AND id <> $2
			ORDER BY created_at, id LIMIT $3`, but.AccountID, but.ID, deletedAtOnce)
		if err != nil {
			return fmt.Errorf("find the oldest sessions: %w", err)
		}
		if len(oldest) == 0 {
			return nil
		}
		for _, id := range oldest {
			if err := s.endSession(ctx, tx, id, but.CreatedAt); err != nil {
				return err
			}
		}
		if err := deleteRows(ctx, tx, `DELETE FROM refresh_tokens`, "session_id", oldest); err != nil {
			return err
		}
		if err := deleteRows(ctx, tx, `DELETE FROM sessions`, "id", oldest); err != nil {
			return err
		}
	}
}

func insertToken(ctx context.Context, tx *sqldb.Tx, token account.Hash, session account.Session) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO refresh_tokens (hash, session_id, expires_at, used, generation) VALUES ($1, $2, $3, $4, $5)`,
		hexOf(token), session.ID, sqldb.Micros(session.ExpiresAt), false, session.Generation)
	if err != nil {
		return fmt.Errorf("insert the refresh token: %w", err)
	}
	return nil
}

// UseRefreshToken is account.Sessions.
func (s *Store) UseRefreshToken(ctx context.Context, presented account.Hash, next []account.Hash, expires, now time.Time) (account.Use, error) {
	var use account.Use
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		token, session, of, err := lockFamily(ctx, tx, presented)
		if err != nil {
			return err
		}
		use = account.Use{Verdict: session.Judge(token, now), Session: session, Account: of}
		if use.Verdict == account.Repeat {
			if use.Next, err = newestOf(ctx, tx, session, next); err != nil {
				return err
			}
			if use.Next < 0 {
				use.Verdict = account.Reused
			}
		}
		switch use.Verdict {
		case account.Rotate:
			use.Session.ExpiresAt, use.Session.RotatedAt = expires, now.UTC().Truncate(time.Microsecond)
			use.Session.Generation++
			return rotate(ctx, tx, use.Session, token, next[0])
		case account.Reused:
			return s.endSession(ctx, tx, session.ID, now)
		}
		return nil
	})
	if err != nil {
		return account.Use{}, err
	}
	return use, nil
}

// lockFamily locks a session, and reads its token and its account, so that uses of one family are serial.
func lockFamily(ctx context.Context, tx *sqldb.Tx, presented account.Hash) (account.RefreshToken, account.Session, account.Account, error) {
	token := account.RefreshToken{Hash: presented}
	var session account.Session
	var of account.Account
	_, err := tx.ExecContext(ctx, `UPDATE sessions SET expires_at = expires_at
		WHERE id = (SELECT session_id FROM refresh_tokens WHERE hash = $1)`, hexOf(presented))
	if err != nil {
		return token, session, of, fmt.Errorf("lock the session: %w", err)
	}
	var tokenExpires, created, expires, rotated, accountCreated int64
	var ended sql.NullInt64
	err = tx.QueryRowContext(ctx, `SELECT t.expires_at, t.generation, s.id, s.account_id, s.created_at, s.expires_at, s.ended_at,
			s.generation, s.seen, s.rotated_at, a.id, a.name, a.role, a.created_at, a.version
		FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id JOIN accounts a ON a.id = s.account_id
		WHERE t.hash = $1`, hexOf(presented)).
		Scan(&tokenExpires, &token.Generation, &session.ID, &session.AccountID, &created, &expires, &ended,
			&session.Generation, &session.Seen, &rotated, &of.ID, &of.Name, &of.Role, &accountCreated, &of.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return token, session, of, account.ErrRefreshTokenUnknown
	}
	if err != nil {
		return token, session, of, fmt.Errorf("read the refresh token: %w", err)
	}
	token.SessionID, token.ExpiresAt = session.ID, sqldb.Time(tokenExpires)
	session.CreatedAt, session.ExpiresAt, session.EndedAt = sqldb.Time(created), sqldb.Time(expires), sqldb.NullTime(ended)
	session.RotatedAt, of.CreatedAt = sqldb.Time(rotated), sqldb.Time(accountCreated)
	return token, session, of, nil
}

func rotate(ctx context.Context, tx *sqldb.Tx, session account.Session, token account.RefreshToken, next account.Hash) error {
	if _, err := tx.ExecContext(ctx, `UPDATE refresh_tokens SET used = $1 WHERE hash = $2`, true, hexOf(token.Hash)); err != nil {
		return fmt.Errorf("mark the refresh token as used: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE sessions SET expires_at = $1, generation = $2, rotated_at = $3 WHERE id = $4`,
		sqldb.Micros(session.ExpiresAt), session.Generation, sqldb.Micros(session.RotatedAt), session.ID); err != nil {
		return fmt.Errorf("prolong the session: %w", err)
	}
	if err := insertToken(ctx, tx, next, session); err != nil {
		return err
	}
	return tx.CheckStorage(ctx, session.AccountID)
}

// newestOf returns which of the hashes is that of the session's newest token; -1 for none.
func newestOf(ctx context.Context, tx *sqldb.Tx, session account.Session, hashes []account.Hash) (int, error) {
	var newest string
	err := tx.QueryRowContext(ctx, `SELECT hash FROM refresh_tokens WHERE session_id = $1 AND generation = $2`,
		session.ID, session.Generation).Scan(&newest)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read the newest refresh token: %w", err)
	}
	return slices.IndexFunc(hashes, func(h account.Hash) bool { return hexOf(h) == newest }), nil
}

// CheckSessions is account.Sessions.
func (s *Store) CheckSessions(ctx context.Context, uses []account.SessionUse) (live []account.LiveSession, unseen []account.SessionUse, err error) {
	if len(uses) == 0 {
		return nil, nil, nil
	}
	ids := make([]string, len(uses))
	for i, use := range uses {
		ids[i] = use.SessionID
	}
	var where sqldb.Where
	where.In("s.id", ids)
	where.And("s.ended_at IS NULL")
	newest := map[string]int64{}
	live, err = sqldb.Select(ctx, s.db.Read(), func(row sqldb.Row) (account.LiveSession, error) {
		var l account.LiveSession
		var generation, seen int64
		err := row.Scan(&l.SessionID, &l.Role, &generation, &seen)
		if seen < generation {
			newest[l.SessionID] = generation
		}
		return l, err
	}, `SELECT s.id, a.role, s.generation, s.seen FROM sessions s JOIN accounts a ON a.id = s.account_id`+where.SQL(), where.Args()...)
	if err != nil {
		return nil, nil, fmt.Errorf("read sessions: %w", err)
	}
	for _, use := range uses {
		if generation, ok := newest[use.SessionID]; ok && generation == use.Generation {
			unseen = append(unseen, use)
		}
	}
	return live, unseen, nil
}

// SeeSessions is account.Sessions.
func (s *Store) SeeSessions(ctx context.Context, uses []account.SessionUse) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		for _, use := range uses {
			_, err := tx.ExecContext(ctx, `UPDATE sessions SET seen = $1 WHERE id = $2 AND seen < $1`, use.Generation, use.SessionID)
			if err != nil {
				return fmt.Errorf("note the use of a session: %w", err)
			}
		}
		return nil
	})
}

// EndSession is account.Sessions.
func (s *Store) EndSession(ctx context.Context, id string, now time.Time) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error { return s.endSession(ctx, tx, id, now) })
}

// EndSessionOf is account.Sessions.
func (s *Store) EndSessionOf(ctx context.Context, token account.Hash, now time.Time) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var id string
		err := tx.QueryRowContext(ctx, `SELECT session_id FROM refresh_tokens WHERE hash = $1`, hexOf(token)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look up the refresh token: %w", err)
		}
		return s.endSession(ctx, tx, id, now)
	})
}

func (s *Store) endSession(ctx context.Context, tx *sqldb.Tx, id string, now time.Time) error {
	ended, err := sqldb.Affects(tx.ExecContext(ctx, `UPDATE sessions SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL`, sqldb.Micros(now), id))
	if err != nil {
		return fmt.Errorf("end the session: %w", err)
	}
	if !ended {
		return nil
	}
	of, err := scanAccount(tx.QueryRowContext(ctx, selectAccounts+` JOIN sessions s ON s.account_id = a.id WHERE s.id = $1`, id))
	if err != nil {
		return fmt.Errorf("read the session's account: %w", err)
	}
	payload, err := s.encodeAccount(of)
	if err != nil {
		return fmt.Errorf("encode the account: %w", err)
	}
	return tx.Emit(ctx, now, "event.session.ended."+id, payload)
}

// The queries find expired rows, so that a call without any writes nothing.
const (
	expiredTokens   = `SELECT hash FROM refresh_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT $2`
	expiredSessions = `SELECT id FROM sessions WHERE expires_at < $1
		AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.session_id = sessions.id) ORDER BY expires_at LIMIT $2`
)

// DeleteExpired is account.Sessions.
func (s *Store) DeleteExpired(ctx context.Context, before time.Time, limit int) error {
	tokens, err := sqldb.Select(ctx, s.db.Read(), sqldb.Text, expiredTokens, sqldb.Micros(before), limit)
	if err != nil {
		return fmt.Errorf("find expired refresh tokens: %w", err)
	}
	sessions, err := sqldb.Select(ctx, s.db.Read(), sqldb.Text, expiredSessions, sqldb.Micros(before), limit)
	if err != nil {
		return fmt.Errorf("find expired sessions: %w", err)
	}
	if len(tokens)+len(sessions) == 0 {
		return nil
	}
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := deleteRows(ctx, tx, `DELETE FROM refresh_tokens`, "hash", tokens); err != nil {
			return err
		}
		return deleteRows(ctx, tx, `DELETE FROM sessions`, "id", sessions)
	})
}

func deleteRows(ctx context.Context, tx *sqldb.Tx, statement, column string, keys []string) error {
	var where sqldb.Where
	where.In(column, keys)
	if _, err := tx.ExecContext(ctx, statement+where.SQL(), where.Args()...); err != nil {
		return fmt.Errorf("delete what has expired: %w", err)
	}
	return nil
}
