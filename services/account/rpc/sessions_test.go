package rpc_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/account"
	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
)

func (h environment) refresh(t *testing.T, token string) (*accountv1.Session, error) {
	t.Helper()
	return h.RefreshSession(t.Context(), &accountv1.RefreshSessionRequest{RefreshToken: token})
}

// claimsOf reads a token's claims without a look at its signature: that is signing's own test.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is not a JWT", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// asSession gives a context as the gate makes it of an access token.
func asSession(t *testing.T, session *accountv1.Session) context.Context {
	t.Helper()
	claims := claimsOf(t, session.GetAccessToken())
	role := caller.Role(claims["role"].(string))
	return caller.NewContext(t.Context(), caller.Caller{
		AccountID: claims["sub"].(string), SessionID: claims["sid"].(string), Role: role, Scopes: caller.ScopesOf(role),
	})
}

func TestLoginGivesATokenOfTheAccount(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	session := h.login(t, "operator")
	claims := claimsOf(t, session.GetAccessToken())
	issued := h.clock.Now().Truncate(time.Second)
	if claims["sub"] != session.GetAccount().GetId() || claims["role"] != "OPERATOR" || claims["iss"] != "sluice" ||
		claims["iat"] != float64(issued.Unix()) || claims["exp"] != float64(issued.Add(15*time.Minute).Unix()) {
		t.Errorf("claims %v", claims)
	}
	if got := session.GetExpiresAt().AsTime(); !got.Equal(issued.Add(15 * time.Minute)) {
		t.Errorf("expires at %v", got)
	}
	again := h.login(t, "operator")
	if other := claimsOf(t, again.GetAccessToken()); again.GetAccount().GetId() != session.GetAccount().GetId() ||
		other["sid"] == claims["sid"] || other["jti"] == claims["jti"] {
		t.Errorf("the second sign-in: %v", other)
	}
	set, err := h.GetKeySet(t.Context(), &accountv1.GetKeySetRequest{})
	if err != nil || !json.Valid([]byte(set.GetJson())) {
		t.Errorf("key set %v, %v", set, err)
	}
}

func TestLoginsThatAreRefused(t *testing.T) {
	t.Parallel()
	demo, closed := build(t, nil), buildWith(t, nil, account.Options{})
	for name, c := range map[string]struct {
		environment    environment
		provider, code string
		want           errs.Code
		reason         string
	}{
		"nobody by that name":       {demo, "DEMO", "mallory", errs.Unauthenticated, account.ReasonLoginRefused},
		"no code":                   {demo, "DEMO", "", errs.InvalidArgument, errs.ReasonInvalidField},
		"a code without an end":     {demo, "DEMO", strings.Repeat("x", 5000), errs.InvalidArgument, errs.ReasonInvalidField},
		"a provider nobody knows":   {demo, "demo", "admin", errs.FailedPrecondition, account.ReasonProviderDisabled},
		"no demo":                   {closed, "DEMO", "admin", errs.FailedPrecondition, account.ReasonProviderDisabled},
		"a provider that is broken": {demo, "BROKEN", "x", errs.Internal, errs.ReasonInternal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.environment.Login(t.Context(), &accountv1.LoginRequest{Provider: c.provider, Code: c.code})
			refused(t, err, c.want, c.reason)
		})
	}
}

func TestASessionLivesFromTokenToToken(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	session := h.login(t, "alice")
	sid := claimsOf(t, session.GetAccessToken())["sid"]
	for range 3 { // 75 days: each token lives 30
		h.clock.Advance(25 * 24 * time.Hour)
		next, err := h.refresh(t, session.GetRefreshToken())
		if err != nil || next.GetAccount().GetId() != session.GetAccount().GetId() || next.GetRefreshToken() == session.GetRefreshToken() {
			t.Fatalf("%v, %v", next, err)
		}
		if claims := claimsOf(t, next.GetAccessToken()); claims["sid"] != sid || claims["exp"] != float64(h.clock.Now().Add(15*time.Minute).Unix()) {
			t.Errorf("claims %v", claims)
		}
		session = next
	}
	h.clock.Advance(30 * 24 * time.Hour)
	_, err := h.refresh(t, session.GetRefreshToken())
	refused(t, err, errs.Unauthenticated, account.ReasonSessionExpired)
	h.clock.Advance(8 * 24 * time.Hour)
	h.login(t, "bob")
	_, err = h.refresh(t, session.GetRefreshToken())
	refused(t, err, errs.Unauthenticated, account.ReasonRefreshTokenUnknown)
}

func TestAnOlderTokenEndsItsSession(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	stolen, other := h.login(t, "alice"), h.login(t, "alice")
	first, err := h.refresh(t, stolen.GetRefreshToken())
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.refresh(t, first.GetRefreshToken())
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.refresh(t, stolen.GetRefreshToken())
	refused(t, err, errs.Unauthenticated, account.ReasonRefreshTokenReused)
	_, err = h.refresh(t, second.GetRefreshToken())
	refused(t, err, errs.Unauthenticated, account.ReasonSessionEnded)
	if _, err := h.refresh(t, other.GetRefreshToken()); err != nil {
		t.Errorf("another session of the account: %v", err)
	}
	for session, live := range map[*accountv1.Session]bool{stolen: false, second: false, other: true} {
		if got := h.check(t, session); (len(got) == 1) != live {
			t.Errorf("live sessions: %v, want %v", got, live)
		}
	}
	events := h.events(t)
	last := events[len(events)-1]
	var of accountv1.Account
	if last.Subject != "event.session.ended."+claimsOf(t, stolen.GetAccessToken())["sid"].(string) ||
		proto.Unmarshal(last.Data, &of) != nil || !proto.Equal(&of, stolen.GetAccount()) {
		t.Errorf("event %s %v", last.Subject, &of)
	}
}

// check reports the session of an access token as a gateway does, and returns it if it lives.
func (h environment) check(t *testing.T, session *accountv1.Session) []*accountv1.LiveSession {
	t.Helper()
	claims := claimsOf(t, session.GetAccessToken())
	live, err := h.CheckSessions(t.Context(), &accountv1.CheckSessionsRequest{Uses: []*accountv1.SessionUse{
		{SessionId: claims["sid"].(string), Generation: int64(claims["gen"].(float64))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return live.GetSessions()
}

// Two tabs refresh at once, or a response is lost: the same successor is returned again, for a while.
func TestARepeatedRefreshReturnsTheSameToken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wait time.Duration
		used bool
		ends bool
	}{
		"two tabs":                      {9 * time.Second, true, false},
		"a thief after a used response": {11 * time.Second, true, true},
		"a lost response":               {59 * time.Second, false, false},
		"a thief after a lost one":      {61 * time.Second, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t, nil)
			session := h.login(t, "alice")
			first, err := h.refresh(t, session.GetRefreshToken())
			if err != nil {
				t.Fatal(err)
			}
			if c.used {
				h.check(t, session) // of the generation before
				h.check(t, first)
			}
			h.clock.Advance(c.wait)
			again, err := h.refresh(t, session.GetRefreshToken())
			if c.ends {
				refused(t, err, errs.Unauthenticated, account.ReasonRefreshTokenReused)
				return
			}
			if err != nil || again.GetRefreshToken() != first.GetRefreshToken() || again.GetAccessToken() == first.GetAccessToken() {
				t.Fatalf("%v, %v", again, err)
			}
			if _, err := h.refresh(t, again.GetRefreshToken()); err != nil {
				t.Errorf("the successor: %v", err)
			}
		})
	}
}

// The store has hashes only, and without the key nobody computes a successor.
func TestNoRefreshTokenIsStored(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	session := h.login(t, "alice")
	next, err := h.refresh(t, session.GetRefreshToken())
	if err != nil {
		t.Fatal(err)
	}
	hashes, err := sqldb.Select(t.Context(), h.db.Read(), sqldb.Text, `SELECT hash || id || session_id FROM refresh_tokens JOIN sessions ON id = session_id`)
	if err != nil || len(hashes) != 2 {
		t.Fatalf("%v, %v", hashes, err)
	}
	for _, token := range []string{session.GetRefreshToken(), next.GetRefreshToken()} {
		if strings.Contains(strings.Join(hashes, " "), token) {
			t.Errorf("%s is stored", token)
		}
	}
	other := build(t, nil) // another key
	if _, err := other.refresh(t, session.GetRefreshToken()); err == nil {
		t.Error("another installation knows the token")
	}
}

func TestRefreshesAtOnceHaveOneSuccessor(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	session := h.login(t, "alice")
	answers := make([]*accountv1.Session, 16)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			var err error
			if answers[i], err = h.refresh(t, session.GetRefreshToken()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, answer := range answers {
		if answer.GetRefreshToken() != answers[0].GetRefreshToken() {
			t.Fatal("two successors")
		}
	}
	if _, err := h.refresh(t, answers[0].GetRefreshToken()); err != nil {
		t.Errorf("the successor: %v", err)
	}
}

func TestTokensThatNobodyGave(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	good := h.login(t, "alice").GetRefreshToken()
	flipped := "A"
	if good[0] == 'A' {
		flipped = "B"
	}
	for name, token := range map[string]string{"none": "", "nonsense": "x", "flipped": flipped + good[1:], "long": good + good, "spaced": good + " "} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := h.refresh(t, token)
			refused(t, err, errs.Unauthenticated, account.ReasonRefreshTokenUnknown)
		})
	}
}

func TestLogoutEndsTheSession(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	for name, logout := range map[string]func(t *testing.T, s *accountv1.Session) error{
		"of the caller": func(t *testing.T, s *accountv1.Session) error {
			_, err := h.Logout(asSession(t, s), &accountv1.LogoutRequest{})
			return err
		},
		"of the token": func(t *testing.T, s *accountv1.Session) error {
			_, err := h.Logout(t.Context(), &accountv1.LogoutRequest{RefreshToken: s.GetRefreshToken()})
			return err
		},
		"of the caller, with a token that is not known": func(t *testing.T, s *accountv1.Session) error {
			_, err := h.Logout(asSession(t, s), &accountv1.LogoutRequest{RefreshToken: "never"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, other := h.login(t, "bob"), h.login(t, "bob")
			for range 2 {
				if err := logout(t, session); err != nil {
					t.Fatal(err)
				}
			}
			_, err := h.refresh(t, session.GetRefreshToken())
			refused(t, err, errs.Unauthenticated, account.ReasonSessionEnded)
			if _, err := h.refresh(t, other.GetRefreshToken()); err != nil {
				t.Errorf("another session: %v", err)
			}
		})
	}
}

func TestLogoutWithoutASession(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	_, err := h.Logout(t.Context(), &accountv1.LogoutRequest{})
	refused(t, err, errs.Unauthenticated, "SIGN_IN_REQUIRED")
	key := &accountv1.ApiKey{Id: ids.New(ids.APIKey), Role: accountv1.Role_ROLE_ADMIN}
	_, err = h.Logout(asKey(t, key), &accountv1.LogoutRequest{})
	refused(t, err, errs.FailedPrecondition, account.ReasonNoSession)
}
