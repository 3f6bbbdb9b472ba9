package auth_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/auth"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/internal/caller"
)

const cacheTTL = 5 * time.Second

// remembering opens a fixture whose Authenticator keeps verdicts, with a key of the administrator.
func openCached(t *testing.T, expires *time.Time) (h *fixture, admin context.Context, key *bff.CreatedApiKey) {
	t.Helper()
	h = open(t)
	h.auth = auth.NewCached(h.accounts, issuer, h.clock, auth.CacheOptions{TTL: cacheTTL, Entries: 100})
	h.accounts = h.auth.Invalidating(h.accounts)
	session := h.signIn(t, "admin")
	admin = caller.NewContext(t.Context(), caller.Caller{AccountID: session.Account.ID, Role: caller.Admin, Scopes: caller.ScopesOf(caller.Admin)})
	key, err := h.accounts.CreateAPIKey(admin, bff.CreateApiKeyInput{Name: "k", Scopes: []string{caller.TripRead}, ExpiresAt: expires})
	if err != nil {
		t.Fatal(err)
	}
	return h, admin, key
}

// present tells the reason why a key does not hold, or "".
func (h *fixture) present(t *testing.T, key string) string {
	t.Helper()
	_, err := h.auth.Caller(t.Context(), auth.Credentials{APIKey: key})
	return reason(err)
}

func TestAPIKeyIsVerifiedOncePerTTL(t *testing.T) {
	t.Parallel()
	h, _, key := openCached(t, nil)
	unknown := (*key.Secret)[:len(*key.Secret)-1] + "x"
	for _, c := range []struct {
		key   string
		holds bool
	}{{*key.Secret, true}, {unknown, false}} {
		before := h.conn.count("VerifyApiKey")
		for range 100 {
			if (h.present(t, c.key) == "") != c.holds {
				t.Fatal("the verdict has changed")
			}
		}
		if n := h.conn.count("VerifyApiKey") - before; n != 1 {
			t.Errorf("100 requests cost %d verifications, want 1", n)
		}
		h.clock.Advance(cacheTTL)
		h.present(t, c.key)
		if n := h.conn.count("VerifyApiKey") - before; n != 2 {
			t.Errorf("after %s it was verified %d times, want 2", cacheTTL, n)
		}
	}
}

func TestChangedAPIKeyIsVerifiedAgainAtOnce(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, h *fixture, admin context.Context, id string){
		"revoked here": func(t *testing.T, h *fixture, admin context.Context, id string) {
			t.Helper()
			if _, err := h.accounts.RevokeAPIKey(admin, id); err != nil {
				t.Fatal(err)
			}
		},
		"rotated here": func(t *testing.T, h *fixture, admin context.Context, id string) {
			t.Helper()
			if _, err := h.accounts.RotateAPIKey(admin, id, nil); err != nil {
				t.Fatal(err)
			}
		},
		"revoked elsewhere, and an event tells": func(t *testing.T, h *fixture, admin context.Context, id string) {
			t.Helper()
			if _, err := bffrpc.NewAccounts(h.conn).RevokeAPIKey(admin, id); err != nil {
				t.Fatal(err)
			}
			h.auth.Invalidate(id)
		},
		"its own end": func(_ *testing.T, h *fixture, _ context.Context, _ string) { h.clock.Advance(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var expires *time.Time
			if name == "its own end" {
				at := time.Date(2026, 7, 1, 12, 0, 1, 0, time.UTC)
				expires = &at
			}
			h, admin, key := openCached(t, expires)
			if why := h.present(t, *key.Secret); why != "" {
				t.Fatal(why)
			}
			end(t, h, admin, key.APIKey.ID)
			if h.present(t, *key.Secret) == "" {
				t.Error("it still holds")
			}
		})
	}
}

// Where nothing tells of it, a revoked key is good until the verdict is too old.
func TestAPIKeyRevokedElsewhereIsRefusedAfterTTL(t *testing.T) {
	t.Parallel()
	h, admin, key := openCached(t, nil)
	h.present(t, *key.Secret)
	if _, err := bffrpc.NewAccounts(h.conn).RevokeAPIKey(admin, key.APIKey.ID); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(cacheTTL)
	if h.present(t, *key.Secret) != "API_KEY_REVOKED" {
		t.Error("it still holds")
	}
}

// A service that is away tells nothing of a key, and nothing is kept of that.
func TestUnavailableServiceIsNotCachedAsVerdict(t *testing.T) {
	t.Parallel()
	h, _, key := openCached(t, nil)
	h.stop(t)
	if why := h.present(t, *key.Secret); why != "SERVICE_UNAVAILABLE" {
		t.Fatalf("answered %q", why)
	}
	h.start(t)
	if why := h.present(t, *key.Secret); why != "" {
		t.Errorf("once the service is back: %s", why)
	}
}

// slowVerifier lets a key be revoked while it is being verified.
type slowVerifier struct {
	bff.Accounts
	asked, goOn chan struct{}
	once        sync.Once
}

func (s *slowVerifier) VerifyAPIKey(ctx context.Context, key string) (*bff.ApiKey, error) {
	found, err := s.Accounts.VerifyAPIKey(ctx, key)
	s.once.Do(func() {
		close(s.asked)
		<-s.goOn
	})
	return found, err
}

func TestAPIKeyRevokedDuringVerificationIsNotCached(t *testing.T) {
	t.Parallel()
	h, admin, key := openCached(t, nil)
	slow := &slowVerifier{Accounts: h.accounts, asked: make(chan struct{}), goOn: make(chan struct{})}
	h.auth = auth.NewCached(slow, issuer, h.clock, auth.CacheOptions{TTL: cacheTTL, Entries: 100})
	h.accounts = h.auth.Invalidating(slow)
	var first sync.WaitGroup
	first.Go(func() { _, _ = h.auth.Caller(t.Context(), auth.Credentials{APIKey: *key.Secret}) }) // it held when it was asked
	<-slow.asked
	if _, err := h.accounts.RevokeAPIKey(admin, key.APIKey.ID); err != nil {
		t.Fatal(err)
	}
	close(slow.goOn)
	first.Wait()
	if h.present(t, *key.Secret) != "API_KEY_REVOKED" {
		t.Error("the verdict of before was kept")
	}
}

// Credentials that do not hold cannot fill the memory.
func TestVerdictCacheAtItsBoundEvicts(t *testing.T) {
	t.Parallel()
	h, _, key := openCached(t, nil)
	h.present(t, *key.Secret)
	for i := range 1000 {
		h.present(t, fmt.Sprint("nonsense ", i))
	}
	before := h.conn.count("VerifyApiKey")
	h.present(t, *key.Secret)
	for i := range 1000 {
		h.present(t, fmt.Sprint("nonsense ", i))
	}
	if n := h.conn.count("VerifyApiKey") - before; n < 1001-2*100 {
		t.Errorf("%d verifications of 1,001 credentials, and the bound is 100 verdicts", n)
	}
}

// Access tokens are verified once in a while too, and never beyond their own end.
func TestTokenVerdictExpiresWithTheToken(t *testing.T) {
	t.Parallel()
	h, _, _ := openCached(t, nil)
	session := h.signIn(t, "alice")
	h.clock.Advance(session.ExpiresAt.Add(-time.Second).Sub(h.clock.Now()))
	for _, step := range []struct {
		wait  time.Duration
		holds bool
	}{{0, true}, {0, true}, {7 * time.Second, false}} { // 5 seconds of leeway
		h.clock.Advance(step.wait)
		_, err := h.auth.Caller(t.Context(), auth.Credentials{Bearer: session.AccessToken})
		if (err == nil) != step.holds {
			t.Errorf("%s later: %v", step.wait, err)
		}
	}
}
