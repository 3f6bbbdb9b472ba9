package auth_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/account/signing"
)

func (h *fixture) reads() int { return h.conn.count("GetKeySet") }

func TestTokenVerificationWithKnownKeyCallsNoService(t *testing.T) {
	t.Parallel()
	h := open(t)
	token := h.signIn(t, "alice").AccessToken
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := h.auth.Caller(t.Context(), bearer(token)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for range 50 {
		if _, err := h.auth.Caller(t.Context(), bearer(token)); err != nil {
			t.Error(err)
		}
	}
	if n := h.reads(); n != 1 {
		t.Errorf("the keys were read %d times, want once", n)
	}
}

func TestUnknownKeyIDsRefreshTheKeySetAtMostOncePerInterval(t *testing.T) {
	t.Parallel()
	h := open(t)
	stranger := unknownKey(t)
	for _, step := range []struct {
		advance time.Duration
		reads   int
	}{{0, 1}, {9 * time.Second, 1}, {time.Second, 2}, {9 * time.Second, 2}, {time.Second, 3}} {
		h.clock.Advance(step.advance)
		for i := range 20 {
			token := sealed(t, jwt.SigningMethodRS256, fmt.Sprintf("made up %d", i), jwt.MapClaims{}, stranger)
			if _, err := h.auth.Caller(t.Context(), bearer(token)); reason(err) != "TOKEN_INVALID" {
				t.Errorf("a made up key: %v", err)
			}
		}
		if n := h.reads(); n != step.reads {
			t.Errorf("the keys were read %d times, want %d", n, step.reads)
		}
	}
}

func TestTokenOfNewKeyRefreshesTheKeySet(t *testing.T) {
	t.Parallel()
	h := open(t)
	old := h.signIn(t, "alice").AccessToken
	if _, err := h.auth.Caller(t.Context(), bearer(old)); err != nil {
		t.Fatal(err)
	}
	keys, err := signing.Open(t.Context(), h.keys, signing.Options{Clock: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(signing.PublishLead)
	h.start(t)
	old = h.signIn(t, "alice").AccessToken // the first one has expired
	h.clock.Advance(time.Minute)
	for name, token := range map[string]string{"new": h.signIn(t, "alice").AccessToken, "old": old} {
		if _, err := h.auth.Caller(t.Context(), bearer(token)); err != nil {
			t.Errorf("a token under the %s key: %v", name, err)
		}
	}
}

func TestTokenWithoutKeySetIsUnavailable(t *testing.T) {
	t.Parallel()
	h := open(t)
	token := h.signIn(t, "alice").AccessToken
	h.stop(t)
	_, err := h.auth.Caller(t.Context(), bearer(token))
	if e := errs.From(err); e == nil || e.Code != errs.Unavailable || e.Service != "account" {
		t.Errorf("answered %v", err)
	}
	h.start(t)
	if _, err := h.auth.Caller(t.Context(), bearer(token)); err != nil {
		t.Errorf("when the service is back: %v", err)
	}
}

// Old keys beat none: who has signed in goes on while the account service is away, and does not wait
// for it at every request.
func TestStaleKeysAreUsedWhileTheServiceIsAway(t *testing.T) {
	t.Parallel()
	h := open(t)
	token := h.signIn(t, "alice").AccessToken
	if _, err := h.auth.Caller(t.Context(), bearer(token)); err != nil {
		t.Fatal(err)
	}
	h.stop(t)
	h.clock.Advance(11 * time.Minute) // keys are old, the token still holds
	before := h.reads()
	for range 20 {
		if _, err := h.auth.Caller(t.Context(), bearer(token)); err != nil {
			t.Errorf("under an old key: %v", err)
		}
	}
	if n := h.reads() - before; n != 1 {
		t.Errorf("20 requests waited %d times for the service that is away, want once", n)
	}
	h.start(t)
	h.clock.Advance(10 * time.Second)
	if _, err := h.auth.Caller(t.Context(), bearer(token)); err != nil || h.reads() != before+2 {
		t.Errorf("when the service is back: %v, %d reads", err, h.reads()-before)
	}
}
