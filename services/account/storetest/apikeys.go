package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/account"
)

func newKey(of account.Account, prefix string) account.APIKey {
	return account.APIKey{
		ID: ids.New(ids.APIKey), AccountID: of.ID, Role: of.Role, Name: "reporting", Prefix: prefix,
		Scopes: []string{caller.JobRead, caller.TripRead}, PointsPerMinute: 600, CreatedAt: start(),
	}
}

func storeKey(t *testing.T, store account.Store, key account.APIKey, secret string) account.APIKey {
	t.Helper()
	return must(store.CreateAPIKey(t.Context(), idempotency.Key{}, key, "", hash(secret)))(t)
}

func find(t *testing.T, store account.Store, prefix, secret string) account.APIKey {
	t.Helper()
	key, kept, err := store.FindAPIKey(t.Context(), prefix)
	if err != nil || kept != hash(secret) {
		t.Fatalf("prefix %s: %v, hash %x", prefix, err, kept)
	}
	return key
}

func findNone(t *testing.T, store account.Store, prefix string) {
	t.Helper()
	key, kept, err := store.FindAPIKey(t.Context(), prefix)
	if !errors.Is(err, account.ErrAPIKeyUnknown) || key.ID != "" || kept != (account.Hash{}) {
		t.Errorf("prefix %s: %v, %+v", prefix, err, key)
	}
}

func requireKey(t *testing.T, got, want account.APIKey) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func keyReadsBack(t *testing.T, store account.Store) {
	key := newKey(ensureAccount(t, store, "a"), "AAAA0000")
	expires := start().Add(24 * time.Hour)
	key.ExpiresAt, key.DeviceLabels = &expires, map[string]string{"site": "north"}
	requireKey(t, storeKey(t, store, key, "s"), key)
	requireKey(t, find(t, store, "AAAA0000", "s"), key)
	findNone(t, store, "aaaa0000")
	got := must(store.GetAPIKeys(t.Context(), []string{key.ID, ids.New(ids.APIKey)}))(t)
	if len(got) != 1 {
		t.Fatalf("got %+v", got)
	}
	requireKey(t, got[0], key)
}

func prefixHasOneKey(t *testing.T, store account.Store) {
	of := ensureAccount(t, store, "a")
	first := storeKey(t, store, newKey(of, "AAAA0000"), "s")
	second := storeKey(t, store, newKey(of, "BBBB0000"), "s")
	_, err := store.CreateAPIKey(t.Context(), idempotency.Key{}, newKey(of, "AAAA0000"), "", hash("x"))
	if !errors.Is(err, account.ErrPrefixTaken) {
		t.Errorf("creation: %v", err)
	}
	if _, err := store.RotateAPIKey(t.Context(), idempotency.Key{}, second.ID, "AAAA0000", hash("x"), start()); !errors.Is(err, account.ErrPrefixTaken) {
		t.Errorf("rotation: %v", err)
	}
	requireKey(t, find(t, store, "AAAA0000", "s"), first)
	requireKey(t, find(t, store, "BBBB0000", "s"), second)
}

func creationRepeated(t *testing.T, store account.Store) {
	of := ensureAccount(t, store, "a")
	once := idempotency.Key{Caller: of.ID, Value: "k1", Fingerprint: "f1"}
	first := must(store.CreateAPIKey(t.Context(), once, newKey(of, "AAAA0000"), "", hash("s")))(t)
	requireKey(t, must(store.CreateAPIKey(t.Context(), once, newKey(of, "BBBB0000"), "", hash("x")))(t), first)
	findNone(t, store, "BBBB0000")
	once.Fingerprint = "f2"
	_, err := store.CreateAPIKey(t.Context(), once, newKey(of, "CCCC0000"), "", hash("x"))
	refused(t, err, errs.Aborted, errs.ReasonKeyReused)
}

func rotation(t *testing.T, store account.Store) {
	want := storeKey(t, store, newKey(ensureAccount(t, store, "a"), "AAAA0000"), "old")
	want.Prefix = "BBBB0000"
	requireKey(t, must(store.RotateAPIKey(t.Context(), idempotency.Key{}, want.ID, "BBBB0000", hash("new"), start()))(t), want)
	requireKey(t, find(t, store, "BBBB0000", "new"), want)
	findNone(t, store, "AAAA0000")
	_, err := store.RotateAPIKey(t.Context(), idempotency.Key{}, ids.New(ids.APIKey), "CCCC0000", hash("x"), start())
	refused(t, err, errs.NotFound, errs.ReasonNotFound)
}

func rotationRepeated(t *testing.T, store account.Store) {
	key := storeKey(t, store, newKey(ensureAccount(t, store, "a"), "AAAA0000"), "s")
	once := idempotency.Key{Caller: key.AccountID, Value: "k1", Fingerprint: "f1"}
	first := must(store.RotateAPIKey(t.Context(), once, key.ID, "BBBB0000", hash("new"), start()))(t)
	requireKey(t, must(store.RotateAPIKey(t.Context(), once, key.ID, "CCCC0000", hash("x"), start()))(t), first)
	findNone(t, store, "CCCC0000")
	find(t, store, "BBBB0000", "new")
}

// family stores a key, a child of it, a child of that, and a key beside them.
func family(t *testing.T, store account.Store) (root, child, grandchild, other account.APIKey) {
	t.Helper()
	of := ensureAccount(t, store, "a")
	root = newKey(of, "AAAA0000")
	expires := start().Add(24 * time.Hour)
	root.ExpiresAt = &expires
	root = storeKey(t, store, root, "s")
	make := func(prefix, maker string) account.APIKey {
		key := newKey(of, prefix)
		key.PointsPerMinute = 0
		return must(store.CreateAPIKey(t.Context(), idempotency.Key{}, key, maker, hash("s")))(t)
	}
	child = make("BBBB0000", root.ID)
	return root, child, make("CCCC0000", child.ID), storeKey(t, store, newKey(of, "DDDD0000"), "s")
}

func madeKeys(t *testing.T, store account.Store) {
	root, child, grandchild, _ := family(t, store)
	if !reflect.DeepEqual(grandchild.Makers, []string{root.ID, child.ID}) || grandchild.PointsPerMinute != root.PointsPerMinute ||
		grandchild.ExpiresAt == nil || !grandchild.ExpiresAt.Equal(*root.ExpiresAt) {
		t.Errorf("made %+v", grandchild)
	}
	requireKey(t, find(t, store, "CCCC0000", "s"), grandchild)
	for maker, want := range map[string][]string{root.ID: {grandchild.ID, child.ID}, child.ID: {grandchild.ID}, grandchild.ID: nil} {
		var got []string
		for _, key := range must(store.ListAPIKeys(t.Context(), account.APIKeyFilter{Maker: maker}, 10))(t) {
			got = append(got, key.ID)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("made by %s: %v, want %v", maker, got, want)
		}
	}
	_, err := store.CreateAPIKey(t.Context(), idempotency.Key{}, newKey(account.Account{ID: root.AccountID}, "EEEE0000"), ids.New(ids.APIKey), hash("s"))
	refused(t, err, errs.NotFound, errs.ReasonNotFound)
}

func madeKeysEnd(t *testing.T, store account.Store) {
	root, child, grandchild, other := family(t, store)
	must(store.RevokeAPIKey(t.Context(), root.ID, start()))(t)
	for _, key := range must(store.GetAPIKeys(t.Context(), []string{root.ID, child.ID, grandchild.ID, other.ID}))(t) {
		if (key.RevokedAt != nil) == (key.ID == other.ID) {
			t.Errorf("%s is revoked at %v", key.Prefix, key.RevokedAt)
		}
	}
	_, err := store.CreateAPIKey(t.Context(), idempotency.Key{}, newKey(account.Account{ID: root.AccountID}, "EEEE0000"), child.ID, hash("s"))
	refused(t, err, errs.Unauthenticated, account.ReasonAPIKeyRevoked)
}

// madeWhileRevoked makes keys of keys while their first maker is revoked: none may stay.
func madeWhileRevoked(t *testing.T, store account.Store) {
	of := ensureAccount(t, store, "a")
	for round := range rounds {
		root := storeKey(t, store, newKey(of, fmt.Sprintf("AAAA%04d", round)), "s")
		child := must(store.CreateAPIKey(t.Context(), idempotency.Key{}, newKey(of, fmt.Sprintf("BBBB%04d", round)), root.ID, hash("s")))(t)
		made := make([]account.APIKey, 16)
		atOnce(len(made), func(i int) {
			if i == 8 {
				if _, err := store.RevokeAPIKey(t.Context(), root.ID, start()); err != nil {
					t.Error(err)
				}
				return
			}
			var err error
			made[i], err = store.CreateAPIKey(t.Context(), idempotency.Key{}, newKey(of, fmt.Sprintf("C%03d__%02d", round, i)), child.ID, hash("s"))
			if err != nil && errs.From(err).Reason != account.ReasonAPIKeyRevoked {
				t.Error(err)
			}
		})
		for _, key := range must(store.ListAPIKeys(t.Context(), account.APIKeyFilter{Maker: root.ID}, 100))(t) {
			if key.RevokedAt == nil {
				t.Errorf("round %d: %s outlives its maker", round, key.Prefix)
			}
		}
	}
}

func revocation(t *testing.T, store account.Store) {
	want := storeKey(t, store, newKey(ensureAccount(t, store, "a"), "AAAA0000"), "s")
	at := start().Add(time.Hour)
	want.RevokedAt = &at
	for i := range 2 {
		requireKey(t, must(store.RevokeAPIKey(t.Context(), want.ID, at.Add(time.Duration(i)*time.Hour)))(t), want)
	}
	requireKey(t, find(t, store, "AAAA0000", "s"), want)
	_, err := store.RotateAPIKey(t.Context(), idempotency.Key{}, want.ID, "BBBB0000", hash("x"), at)
	refused(t, err, errs.FailedPrecondition, account.ReasonAPIKeyRevoked)
	_, err = store.RevokeAPIKey(t.Context(), ids.New(ids.APIKey), at)
	refused(t, err, errs.NotFound, errs.ReasonNotFound)
}

func changesAtOnce(t *testing.T, store account.Store) {
	of := ensureAccount(t, store, "a")
	for round := range rounds {
		key := storeKey(t, store, newKey(of, fmt.Sprintf("AAAA%04d", round)), "s")
		prefix := fmt.Sprintf("B%03d", round)
		var revoked account.APIKey
		atOnce(16, func(i int) {
			if i == 8 {
				var err error
				if revoked, err = store.RevokeAPIKey(t.Context(), key.ID, start()); err != nil {
					t.Error(err)
				}
				return
			}
			_, err := store.RotateAPIKey(t.Context(), idempotency.Key{}, key.ID, fmt.Sprintf("%s__%02d", prefix, i), hash(fmt.Sprintf("%02d", i)), start())
			if err != nil && errs.From(err).Reason != account.ReasonAPIKeyRevoked {
				t.Error(err)
			}
		})
		got := must(store.GetAPIKeys(t.Context(), []string{key.ID}))(t)[0]
		requireKey(t, got, revoked) // nothing changes after the revocation
		secret := "s"
		if got.Prefix != key.Prefix {
			secret = strings.TrimLeft(strings.TrimPrefix(got.Prefix, prefix), "_")
		}
		find(t, store, got.Prefix, secret)
	}
}

func touches(t *testing.T, store account.Store) {
	key := storeKey(t, store, newKey(ensureAccount(t, store, "a"), "AAAA0000"), "s")
	for _, c := range []struct {
		after time.Duration
		want  time.Duration
	}{{0, 0}, {59 * time.Second, 0}, {60 * time.Second, 60 * time.Second}, {90 * time.Second, 60 * time.Second}} {
		now := start().Add(c.after)
		succeed(t, store.TouchAPIKey(t.Context(), key.ID, now, now.Add(-time.Minute)))
		if got := find(t, store, "AAAA0000", "s").LastUsedAt; got == nil || !got.Equal(start().Add(c.want)) {
			t.Errorf("after %v: noted at %v", c.after, got)
		}
	}
	succeed(t, store.TouchAPIKey(t.Context(), ids.New(ids.APIKey), start(), start()))
}

func listed(t *testing.T, store account.Store) {
	a, b := ensureAccount(t, store, "a"), ensureAccount(t, store, "b")
	var want []string
	for i := range 4 {
		key := newKey([]account.Account{a, b}[i%2], fmt.Sprintf("AAAA%04d", i))
		key.CreatedAt = start().Add(time.Duration(i/2) * time.Second) // two keys per time, so that the id decides the order
		want = append([]string{storeKey(t, store, key, "s").ID}, want...)
	}
	for _, c := range []struct {
		of    string
		limit int
		want  []string
	}{
		{"", 10, want},
		{"", 3, want[:3]},
		{a.ID, 10, []string{want[1], want[3]}},
		{ids.New(ids.Account), 10, nil},
	} {
		var got []string
		for _, key := range must(store.ListAPIKeys(t.Context(), account.APIKeyFilter{AccountID: c.of}, c.limit))(t) {
			got = append(got, key.ID)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("of %q, %d at most: %v, want %v", c.of, c.limit, got, c.want)
		}
	}
}
