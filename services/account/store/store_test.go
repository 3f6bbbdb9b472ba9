package store_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/account"
	"github.com/sluicehq/sluice/services/account/signing"
	"github.com/sluicehq/sluice/services/account/store"
	"github.com/sluicehq/sluice/services/account/storetest"
)

// newStore has events carry ids: what they really carry is the business of another package.
func newStore(db *sqldb.DB) *store.Store {
	return store.New(db,
		func(a account.Account) ([]byte, error) { return []byte(a.ID), nil },
		func(k account.APIKey) ([]byte, error) { return []byte(k.ID + " " + k.Prefix), nil })
}

func TestStore(t *testing.T) {
	t.Parallel()
	sqltest.OnEachEngine(t, store.Migrations(), func(t *testing.T, open func(t *testing.T) *sqldb.DB) {
		storetest.Run(t, func(t *testing.T) account.Store { return newStore(open(t)) })
		t.Run("each change emits its event, once", func(t *testing.T) { t.Parallel(); eachChangeEmits(t, open(t)) })
		t.Run("no secret is kept", func(t *testing.T) { t.Parallel(); noSecretKept(t, open(t)) })
		t.Run("signing keys, of two processes, are ordered, sealed and unique", func(t *testing.T) { t.Parallel(); signingKeys(t, open(t)) })
		t.Run("expired sessions leave no rows", func(t *testing.T) { t.Parallel(); noRowsLeft(t, open(t)) })
	})
}

func signingKeys(t *testing.T, db *sqldb.DB) {
	first, second := newStore(db), newStore(db)
	key := signing.StoredKey{Number: 1, ID: "a", PEM: "secret", SignsFrom: now()}
	for _, c := range []struct {
		number int64
		id     string
		added  bool
	}{{1, "a", true}, {1, "b", false}, {2, "a", false}, {3, "c", true}} {
		key.Number, key.ID = c.number, c.id
		added, err := second.AddSigningKey(t.Context(), key)
		check(t, err)
		if added != c.added {
			t.Errorf("key %d %s: added %v, want %v", c.number, c.id, added, c.added)
		}
	}
	keys, err := first.SigningKeys(t.Context())
	check(t, err)
	if len(keys) != 2 || keys[0] != (signing.StoredKey{Number: 1, ID: "a", PEM: "secret", SignsFrom: now()}) || keys[1].ID != "c" {
		t.Errorf("the keys are %+v", keys)
	}
	var pem string
	check(t, db.Read().QueryRowContext(t.Context(), `SELECT pem FROM signing_keys WHERE number = 1`).Scan(&pem))
	if strings.Contains(pem, "secret") {
		t.Errorf("the key is stored as %q, want it sealed", pem)
	}
	check(t, first.DeleteSigningKey(t.Context(), 1))
	if keys, err = second.SigningKeys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("after the deletion: %+v, %v", keys, err)
	}
}

func now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func hash(text string) account.Hash { return sha256.Sum256([]byte(text)) }

func check(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func keepAccount(t *testing.T, s *store.Store) account.Account {
	t.Helper()
	a, err := s.EnsureAccount(t.Context(), "DEMO", "a",
		account.Account{ID: ids.New(ids.Account), Name: "A", Role: caller.Admin, CreatedAt: now(), Version: 1})
	check(t, err)
	return a
}

func newKey(of account.Account) account.APIKey {
	return account.APIKey{ID: ids.New(ids.APIKey), AccountID: of.ID, Role: of.Role, Name: "k", Prefix: "AAAA0000", Scopes: []string{"trip:read"}, CreatedAt: now()}
}

func eachChangeEmits(t *testing.T, db *sqldb.DB) {
	s, ctx := newStore(db), t.Context()
	a := keepAccount(t, s)
	keepAccount(t, s)
	key, err := s.CreateAPIKey(ctx, idempotency.Key{}, newKey(a), "", hash("s"))
	check(t, err)
	_, err = s.RotateAPIKey(ctx, idempotency.Key{}, key.ID, "BBBB0000", hash("s2"), now())
	check(t, err, s.TouchAPIKey(ctx, key.ID, now(), now()))
	for range 2 {
		_, err := s.RevokeAPIKey(ctx, key.ID, now())
		check(t, err)
	}
	reused := account.Session{ID: ids.New(ids.Session), AccountID: a.ID, CreatedAt: now(), ExpiresAt: now().Add(time.Hour)}
	left := reused
	left.ID = ids.New(ids.Session)
	check(t, s.OpenSession(ctx, reused, hash("t1")), s.OpenSession(ctx, left, hash("u1")))
	for range 3 {
		_, err := s.UseRefreshToken(ctx, hash("t1"), []account.Hash{hash(ids.New(ids.Event))}, now().Add(time.Hour), now())
		check(t, err)
	}
	check(t, s.EndSession(ctx, left.ID, now()), s.EndSessionOf(ctx, hash("u1"), now()))
	wantEvents(t, db, []string{
		"event.account.created." + a.ID + " " + a.ID,
		"event.apikey.created." + key.ID + " " + key.ID + " AAAA0000",
		"event.apikey.rotated." + key.ID + " " + key.ID + " BBBB0000",
		"event.apikey.revoked." + key.ID + " " + key.ID + " BBBB0000",
		"event.session.ended." + reused.ID + " " + a.ID,
		"event.session.ended." + left.ID + " " + a.ID,
	})
}

func wantEvents(t *testing.T, db *sqldb.DB, want []string) {
	t.Helper()
	events, err := db.PendingEvents(t.Context(), 100)
	check(t, err)
	var got []string
	for _, e := range events {
		got = append(got, e.Subject+" "+string(e.Data))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func noSecretKept(t *testing.T, db *sqldb.DB) {
	s := newStore(db)
	a := keepAccount(t, s)
	once := idempotency.Key{Caller: a.ID, Value: "once", Fingerprint: "f"}
	_, err := s.CreateAPIKey(t.Context(), once, newKey(a), "", hash("s"))
	check(t, err)
	var kept string
	check(t, db.Read().QueryRowContext(t.Context(), `SELECT result FROM idempotency`).Scan(&kept))
	kept, err = db.Unseal(sqldb.Place("idempotency", "result", a.ID+" once"), kept)
	check(t, err)
	if strings.Contains(strings.ToLower(kept), "secret") || strings.Contains(strings.ToLower(kept), "hash") || !strings.Contains(kept, "AAAA0000") {
		t.Errorf("kept for a repeat: %s", kept)
	}
}

func noRowsLeft(t *testing.T, db *sqldb.DB) {
	s := newStore(db)
	a := keepAccount(t, s)
	for _, token := range []string{"t1", "t2", "t3"} {
		session := account.Session{ID: ids.New(ids.Session), AccountID: a.ID, CreatedAt: now(), ExpiresAt: now().Add(time.Hour)}
		check(t, s.OpenSession(t.Context(), session, hash(token)))
	}
	rows := func() (n int) {
		check(t, db.Read().QueryRowContext(t.Context(), `SELECT (SELECT COUNT(*) FROM sessions) + (SELECT COUNT(*) FROM refresh_tokens)`).Scan(&n))
		return n
	}
	for _, want := range []int{4, 1, 0, 0} { // a session can go once its tokens have
		check(t, s.DeleteExpired(t.Context(), now().Add(2*time.Hour), 2))
		if n := rows(); n != want {
			t.Fatalf("%d rows are left, want %d", n, want)
		}
	}
}
