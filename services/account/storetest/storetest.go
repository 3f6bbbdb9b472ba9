// Package storetest is the conformance suite of account.Store.
package storetest

import (
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/account"
)

// Run runs the suite; open returns an empty store.
func Run(t *testing.T, open func(t *testing.T) account.Store) {
	for name, check := range map[string]func(t *testing.T, store account.Store){
		"an identity has one account":                         oneAccount,
		"32 calls at once make one account":                   oneAccountAtOnce,
		"accounts come in batches":                            accountsInBatches,
		"a refresh token is exchanged once":                   tokenGoodOnce,
		"16 uses at once have one successor":                  tokenUsedAtOnce,
		"the parent of the newest token repeats for a while":  tokenRepeats,
		"sessions are checked, and their use is noted":        sessionsChecked,
		"a late or an ended session's token is judged so":     tokenTooLate,
		"a session ends once, by itself or by its token":      sessionEnds,
		"what expired is forgotten, so many at a time":        expiredForgotten,
		"an API key reads back as it was":                     keyReadsBack,
		"a prefix has one API key":                            prefixHasOneKey,
		"a repeated creation gives the first key":             creationRepeated,
		"rotation voids the old prefix":                       rotation,
		"a repeated rotation gives the first key":             rotationRepeated,
		"a key that a key made is of its family":              madeKeys,
		"a key that a key made ends with it":                  madeKeysEnd,
		"no key is made while its maker is revoked":           madeWhileRevoked,
		"revocation is final":                                 revocation,
		"of rotations and revocations at once none is undone": changesAtOnce,
		"uses are noted once in a while":                      touches,
		"API keys are listed, the newest first":               listed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

func start() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC) }

func hash(text string) account.Hash { return sha256.Sum256([]byte(text)) }

// must returns the value, or fails the test.
func must[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func succeed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err error, code errs.Code, reason string) {
	t.Helper()
	if e := errs.From(err); e == nil || e.Code != code || e.Reason != reason {
		t.Errorf("got %v, want %s %s", err, code, reason)
	}
}

func newAccount() account.Account {
	return account.Account{ID: ids.New(ids.Account), Name: "Zoë 李", Role: caller.Member, CreatedAt: start(), Version: 1}
}

func ensureAccount(t *testing.T, store account.Store, subject string) account.Account {
	t.Helper()
	return must(store.EnsureAccount(t.Context(), "DEMO", subject, newAccount()))(t)
}

func oneAccount(t *testing.T, store account.Store) {
	candidate := newAccount()
	if made := must(store.EnsureAccount(t.Context(), "DEMO", "zoe", candidate))(t); made != candidate {
		t.Errorf("made %+v of %+v", made, candidate)
	}
	if again := must(store.EnsureAccount(t.Context(), "DEMO", "zoe", newAccount()))(t); again != candidate {
		t.Errorf("found %+v, want %+v", again, candidate)
	}
	for _, other := range [][2]string{{"WECHAT", "zoe"}, {"DEMO", "Zoe"}} {
		if found := must(store.EnsureAccount(t.Context(), other[0], other[1], newAccount()))(t); found.ID == candidate.ID {
			t.Errorf("%v is the same account", other)
		}
	}
}

func oneAccountAtOnce(t *testing.T, store account.Store) {
	found := make([]account.Account, 32)
	atOnce(len(found), func(i int) {
		var err error
		if found[i], err = store.EnsureAccount(t.Context(), "DEMO", "zoe", newAccount()); err != nil {
			t.Error(err)
		}
	})
	for _, a := range found {
		if a != found[0] {
			t.Fatalf("%+v beside %+v", a, found[0])
		}
	}
}

func atOnce(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

func accountsInBatches(t *testing.T, store account.Store) {
	a, b := ensureAccount(t, store, "a"), ensureAccount(t, store, "b")
	got := must(store.GetAccounts(t.Context(), []string{b.ID, ids.New(ids.Account), a.ID}))(t)
	if len(got) != 2 || got[0].ID == got[1].ID || (got[0] != a && got[0] != b) {
		t.Errorf("got %+v", got)
	}
	if none := must(store.GetAccounts(t.Context(), nil))(t); len(none) != 0 {
		t.Errorf("got %+v for no ids", none)
	}
}
