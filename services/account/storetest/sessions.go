package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/account"
)

const ttl = time.Hour

func openSession(t *testing.T, store account.Store, of account.Account, token string) account.Session {
	t.Helper()
	s := account.Session{ID: ids.New(ids.Session), AccountID: of.ID, CreatedAt: start(), ExpiresAt: start().Add(ttl), Generation: 1, Seen: 1, RotatedAt: start()}
	succeed(t, store.OpenSession(t.Context(), s, hash(token)))
	return s
}

func use(t *testing.T, store account.Store, token, next string, at time.Time) account.Use {
	t.Helper()
	return must(store.UseRefreshToken(t.Context(), hash(token), []account.Hash{hash(next)}, at.Add(ttl), at))(t)
}

func requireVerdict(t *testing.T, got account.Use, want account.Verdict) {
	t.Helper()
	if got.Verdict != want {
		t.Errorf("verdict %v, want %v", got.Verdict, want)
	}
}

func tokenGoodOnce(t *testing.T, store account.Store) {
	of := ensureAccount(t, store, "a")
	session := openSession(t, store, of, "t1")
	other := openSession(t, store, of, "other")
	later := start().Add(time.Minute)
	got := use(t, store, "t1", "t2", later)
	session.ExpiresAt, session.RotatedAt, session.Generation = later.Add(ttl), later, 2
	if got.Verdict != account.Rotate || got.Session != session || got.Account != of {
		t.Errorf("got %+v", got)
	}
	requireVerdict(t, use(t, store, "t2", "t3", later), account.Rotate)
	requireVerdict(t, use(t, store, "t1", "t2", later), account.Reused) // not the parent of the newest token
	requireVerdict(t, use(t, store, "t3", "t4", later), account.Ended)
	requireVerdict(t, use(t, store, "t1", "t2", later), account.Reused)
	if got := use(t, store, "other", "next", later); got.Verdict != account.Rotate || got.Session.ID != other.ID {
		t.Errorf("another family: %+v", got)
	}
	_, err := store.UseRefreshToken(t.Context(), hash("never"), []account.Hash{hash("x")}, later, later)
	refused(t, err, errs.Unauthenticated, account.ReasonRefreshTokenUnknown)
}

// rounds repeats a race: the first rounds only open connections.
const rounds = 12

func tokenUsedAtOnce(t *testing.T, store account.Store) {
	of := ensureAccount(t, store, "a")
	for round := range rounds {
		token, next := fmt.Sprint("token", round), fmt.Sprint("next", round)
		openSession(t, store, of, token)
		verdicts := make([]account.Verdict, 16)
		atOnce(len(verdicts), func(i int) {
			got, err := store.UseRefreshToken(t.Context(), hash(token), []account.Hash{hash(next)}, start().Add(ttl), start())
			if err != nil {
				t.Error(err)
			}
			verdicts[i] = got.Verdict
		})
		slices.Sort(verdicts)
		if verdicts[0] != account.Rotate || verdicts[1] != account.Repeat || verdicts[15] != account.Repeat {
			t.Fatalf("round %d: %v", round, verdicts)
		}
		requireVerdict(t, use(t, store, next, fmt.Sprint("last", round), start()), account.Rotate)
	}
}

func tokenRepeats(t *testing.T, store account.Store) {
	of := ensureAccount(t, store, "a")
	for name, c := range map[string]struct {
		after time.Duration
		seen  bool
		next  []account.Hash
		want  account.Verdict
	}{
		"at once":            {0, false, []account.Hash{hash("n")}, account.Repeat},
		"used, soon":         {9 * time.Second, true, []account.Hash{hash("n")}, account.Repeat},
		"used, later":        {10 * time.Second, true, []account.Hash{hash("n")}, account.Reused},
		"unused, later":      {59 * time.Second, false, []account.Hash{hash("n")}, account.Repeat},
		"too late":           {time.Minute, false, []account.Hash{hash("n")}, account.Reused},
		"under an older key": {time.Second, false, []account.Hash{hash("other"), hash("n")}, account.Repeat},
		"another successor":  {time.Second, false, []account.Hash{hash("other")}, account.Reused},
	} {
		session := openSession(t, store, of, name)
		next := slices.Clone(c.next)
		for i, h := range next { // one store, so that the successors of each case differ
			next[i] = hash(name + string(h[:]))
		}
		newest := hash(name + string(func() []byte { h := hash("n"); return h[:] }()))
		must(store.UseRefreshToken(t.Context(), hash(name), []account.Hash{newest}, start().Add(ttl), start()))(t)
		if c.seen {
			succeed(t, store.SeeSessions(t.Context(), []account.SessionUse{{SessionID: session.ID, Generation: 2}}))
		}
		got := must(store.UseRefreshToken(t.Context(), hash(name), next, start().Add(2*ttl), start().Add(c.after)))(t)
		if got.Verdict != c.want || got.Verdict == account.Repeat && next[got.Next] != newest {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func sessionsChecked(t *testing.T, store account.Store) {
	of := ensureAccount(t, store, "a")
	live, ended := openSession(t, store, of, "live"), openSession(t, store, of, "ended")
	succeed(t, store.EndSession(t.Context(), ended.ID, start()))
	use(t, store, "live", "next", start())
	for _, c := range []struct{ generation, unseen int64 }{{1, 0}, {2, 2}, {2, 0}} {
		uses := []account.SessionUse{{SessionID: live.ID, Generation: c.generation}, {SessionID: ended.ID, Generation: 1}, {SessionID: ids.New(ids.Session), Generation: 1}}
		got, unseen, err := store.CheckSessions(t.Context(), uses)
		if err != nil || len(got) != 1 || got[0] != (account.LiveSession{SessionID: live.ID, Role: of.Role}) {
			t.Fatalf("%+v, %v", got, err)
		}
		if (len(unseen) == 1) != (c.unseen != 0) || len(unseen) == 1 && unseen[0] != uses[0] {
			t.Errorf("of generation %d there are unseen %+v", c.generation, unseen)
		}
		succeed(t, store.SeeSessions(t.Context(), unseen))
	}
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
			if _, err := store.UseRefreshToken(t.Context(), hash(token), []account.Hash{hash("x")}, after, after.Add(ttl)); err == nil {
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
