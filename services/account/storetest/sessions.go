package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/account"
)

const ttl = time.Hour

func openSession(t *testing.T, store account.Store, of account.Account, token string) account.Session {
	t.Helper()
	s := account.Session{ID: ids.New(ids.Session), AccountID: of.ID, CreatedAt: start(), ExpiresAt: start().Add(ttl)}
	succeed(t, store.OpenSession(t.Context(), s, hash(token)))
	return s
}

func use(t *testing.T, store account.Store, token, next string, at time.Time) account.Use {
	t.Helper()
	return must(store.UseRefreshToken(t.Context(), hash(token), hash(next), at.Add(ttl), at))(t)
}

func requireVerdict(t *testing.T, got account.Use, want account.Verdict) {
	t.Helper()
	if got.Verdict != want {
		t.Errorf("verdict %v, want %v", got.Verdict, want)
	}
}

func tokenValidOnce(t *testing.T, store account.Store) {
	of := ensureAccount(t, store, "a")
	session := openSession(t, store, of, "t1")
	other := openSession(t, store, of, "other")
	later := start().Add(time.Minute)
	got := use(t, store, "t1", "t2", later)
	session.ExpiresAt = later.Add(ttl)
	if got.Verdict != account.Rotate || got.Session != session || got.Account != of {
		t.Errorf("got %+v", got)
	}
	requireVerdict(t, use(t, store, "t2", "t3", later), account.Rotate)
	requireVerdict(t, use(t, store, "t1", "x", later), account.Reused)
	requireVerdict(t, use(t, store, "t3", "t4", later), account.Ended)
	requireVerdict(t, use(t, store, "t2", "x", later), account.Reused)
	if got := use(t, store, "other", "next", later); got.Verdict != account.Rotate || got.Session.ID != other.ID {
		t.Errorf("another family: %+v", got)
	}
	_, err := store.UseRefreshToken(t.Context(), hash("never"), hash("x"), later, later)
	refused(t, err, errs.Unauthenticated, account.ReasonRefreshTokenUnknown)
}

// rounds repeats a race: the first rounds only open connections.
const rounds = 12

func tokenUsedAtOnce(t *testing.T, store account.Store) {
	of := ensureAccount(t, store, "a")
	for round := range rounds {
		token := fmt.Sprint("token", round)
		openSession(t, store, of, token)
		verdicts := useAtOnce(t, store, token)
		winner, rotated := "", 0
		for i, v := range verdicts {
			switch v {
			case account.Rotate:
				winner, rotated = nextOf(token, i), rotated+1
			case account.Reused:
			default:
				t.Errorf("verdict %v", v)
			}
		}
		if rotated != 1 {
			t.Fatalf("round %d: %d of %d uses won", round, rotated, len(verdicts))
		}
		requireVerdict(t, use(t, store, winner, "x", start()), account.Ended)
	}
}

func nextOf(token string, i int) string { return fmt.Sprint(token, " next ", i) }

func useAtOnce(t *testing.T, store account.Store, token string) []account.Verdict {
	t.Helper()
	verdicts := make([]account.Verdict, 16)
	atOnce(len(verdicts), func(i int) {
		got, err := store.UseRefreshToken(t.Context(), hash(token), hash(nextOf(token, i)), start().Add(ttl), start())
		if err != nil {
			t.Error(err)
		}
		verdicts[i] = got.Verdict
	})
	return verdicts
}

func tokenTooLate(t *testing.T, store account.Store) {
	of := ensureAccount(t, store, "a")
	openSession(t, store, of, "late")
	requireVerdict(t, use(t, store, "late", "x", start().Add(ttl)), account.Expired)
	requireVerdict(t, use(t, store, "late", "x", start().Add(ttl-time.Microsecond)), account.Rotate)
	ended := openSession(t, store, of, "ended")
	succeed(t, store.EndSession(t.Context(), ended.ID, start()))
	got := use(t, store, "ended", "x", start().Add(2*ttl))
	if got.Verdict != account.Ended || got.Session.EndedAt == nil || !got.Session.EndedAt.Equal(start()) {
		t.Errorf("got %+v", got)
	}
}

func sessionEnds(t *testing.T, store account.Store) {
	of := ensureAccount(t, store, "a")
	openSession(t, store, of, "t1")
	for range 2 {
		succeed(t, store.EndSessionOf(t.Context(), hash("t1"), start()))
	}
	succeed(t, store.EndSessionOf(t.Context(), hash("never"), start()))
	succeed(t, store.EndSession(t.Context(), ids.New(ids.Session), start()))
	got := use(t, store, "t1", "x", start())
	requireVerdict(t, got, account.Ended)
	succeed(t, store.EndSession(t.Context(), got.Session.ID, start().Add(time.Minute)))
	if again := use(t, store, "t1", "x", start()); !again.Session.EndedAt.Equal(start()) {
		t.Errorf("the end moved to %v", again.Session.EndedAt)
	}
}

func expiredForgotten(t *testing.T, store account.Store) {
	of := ensureAccount(t, store, "a")
	openSession(t, store, of, "old")
	openSession(t, store, of, "older")
	requireVerdict(t, use(t, store, "older", "kept", start().Add(time.Minute)), account.Rotate)
	after := start().Add(ttl + time.Microsecond)
	left := func() (tokens int) {
		for _, token := range []string{"old", "older", "kept"} {
			if _, err := store.UseRefreshToken(t.Context(), hash(token), hash("x"), after, after.Add(ttl)); err == nil {
				tokens++
			}
		}
		return tokens
	}
	succeed(t, store.DeleteExpired(t.Context(), start().Add(ttl), 10))
	if n := left(); n != 3 {
		t.Errorf("%d tokens are left too early", n)
	}
	for want := 2; want > 0; want-- {
		succeed(t, store.DeleteExpired(t.Context(), after, 1))
		if n := left(); n != want {
			t.Errorf("%d tokens are left, want %d", n, want)
		}
	}
	requireVerdict(t, use(t, store, "kept", "x", after), account.Ended) // because "older" was reused
}
