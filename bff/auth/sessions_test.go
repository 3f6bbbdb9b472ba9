package auth_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/auth"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/ids"
)

// asSession is the caller of an access token.
func (h *fixture) asSession(t *testing.T, session *bff.Session) context.Context {
	t.Helper()
	who, err := h.auth.Caller(t.Context(), bearer(session.AccessToken))
	if err != nil {
		t.Fatal(err)
	}
	return caller.NewContext(t.Context(), who)
}

// gateway is one more gateway before the same account service.
func (h *fixture) gateway() *auth.Authenticator {
	return auth.NewCached(h.accounts, issuer, h.clock, auth.CacheOptions{TTL: time.Hour, Entries: 20_000})
}

func presentToken(t *testing.T, a *auth.Authenticator, session *bff.Session) string {
	t.Helper()
	_, err := a.Caller(t.Context(), bearer(session.AccessToken))
	return reason(err)
}

// However a session ends, every gateway refuses its access tokens within a second, without an event.
func TestTokenOfEndedSessionIsRefusedWithinASecond(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, h *fixture, session *bff.Session) string{
		"logout": func(t *testing.T, h *fixture, session *bff.Session) string {
			t.Helper()
			if err := bffrpc.NewAccounts(h.conn).Logout(h.asSession(t, session)); err != nil {
				t.Fatal(err)
			}
			return "SESSION_ENDED"
		},
		"theft": func(t *testing.T, h *fixture, session *bff.Session) string {
			t.Helper()
			next, err := h.accounts.RefreshSession(t.Context(), session.RefreshToken)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.accounts.RefreshSession(t.Context(), next.RefreshToken); err != nil {
				t.Fatal(err)
			}
			if _, err := h.accounts.RefreshSession(t.Context(), session.RefreshToken); reason(err) != "REFRESH_TOKEN_REUSED" {
				t.Fatal(err)
			}
			return "SESSION_ENDED"
		},
		"loss of role": func(t *testing.T, h *fixture, _ *bff.Session) string {
			t.Helper()
			h.giveRole(t, "operator", caller.Member)
			return "TOKEN_EXPIRED"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			session, other := h.signIn(t, "operator"), h.signIn(t, "alice")
			early := h.gateway()
			for _, s := range []*bff.Session{session, other} {
				if why := presentToken(t, early, s); why != "" {
					t.Fatal(why)
				}
			}
			want := end(t, h, session)
			for range 12_000 { // other logouts do not push it out of a list
				early.EndSession(ids.New(ids.Session))
			}
			h.clock.Advance(time.Second)
			for place, gateway := range map[string]*auth.Authenticator{"a gateway that knew it": early, "a later gateway": h.gateway()} {
				for range 2 {
					if why := presentToken(t, gateway, session); why != want {
						t.Errorf("%s: %q, want %s", place, why, want)
					}
				}
				if why := presentToken(t, gateway, other); why != "" {
					t.Errorf("%s: another session: %s", place, why)
				}
			}
		})
	}
}

func TestLogoutThroughThisGatewayIsEffectiveAtOnce(t *testing.T) {
	t.Parallel()
	h := open(t)
	session := h.signIn(t, "alice")
	if err := h.auth.Invalidating(h.accounts).Logout(h.asSession(t, session)); err != nil {
		t.Fatal(err)
	}
	if why := presentToken(t, h.auth, session); why != "SESSION_ENDED" {
		t.Errorf("it still holds: %q", why)
	}
}

func TestSessionIsCheckedOnceASecondWhateverTheNumberOfRequests(t *testing.T) {
	t.Parallel()
	h := open(t)
	session := h.signIn(t, "alice")
	for second := 1; second <= 3; second++ {
		for range 100 {
			if why := presentToken(t, h.auth, session); why != "" {
				t.Fatal(why)
			}
		}
		if n := h.conn.count("CheckSessions"); n != second {
			t.Fatalf("after %d s: %d calls", second, n)
		}
		h.clock.Advance(time.Second)
	}
}

func TestSessionsOfConcurrentRequestsShareCalls(t *testing.T) {
	t.Parallel()
	h := open(t)
	sessions := make([]*bff.Session, 64)
	for i := range sessions {
		sessions[i] = h.signIn(t, "alice")
	}
	presentToken(t, h.auth, h.signIn(t, "bob")) // reads the keys
	slow := &slowChecker{Accounts: h.accounts, arrived: make(chan struct{}), goOn: make(chan struct{})}
	h.auth = auth.New(slow, issuer, h.clock)
	var all sync.WaitGroup
	all.Go(func() { presentToken(t, h.auth, sessions[0]) })
	<-slow.arrived
	before := h.conn.count("CheckSessions")
	for _, session := range sessions[1:] {
		all.Go(func() {
			if why := presentToken(t, h.auth, session); why != "" {
				t.Error(why)
			}
		})
	}
	for h.auth.Joined() < len(sessions)-1 && !t.Failed() {
		runtime.Gosched()
	}
	close(slow.goOn)
	all.Wait()
	if n := h.conn.count("CheckSessions") - before; n != 2 {
		t.Errorf("%d calls, want that of the first session and one for %d others", n, len(sessions)-1)
	}
}

// slowChecker has its first call wait.
type slowChecker struct {
	bff.Accounts
	arrived, goOn chan struct{}
	once          sync.Once
}

func (s *slowChecker) CheckSessions(ctx context.Context, uses []bff.SessionUse) (map[string]bff.Role, error) {
	s.once.Do(func() {
		close(s.arrived)
		<-s.goOn
	})
	return s.Accounts.CheckSessions(ctx, uses)
}

// While the account service is away, sessions that were checked go on, and an event still ends them.
func TestSessionsWhileTheAccountServiceIsAway(t *testing.T) {
	t.Parallel()
	h := open(t)
	known, ended, unknown := h.signIn(t, "alice"), h.signIn(t, "alice"), h.signIn(t, "bob")
	for _, session := range []*bff.Session{known, ended} {
		if why := presentToken(t, h.auth, session); why != "" {
			t.Fatal(why)
		}
	}
	id := caller.FromContext(h.asSession(t, ended)).SessionID
	h.stop(t)
	h.clock.Advance(5 * time.Second)
	h.auth.EndSession(id)
	for name, c := range map[string]struct {
		session *bff.Session
		want    string
	}{
		"known": {known, ""}, "ended by an event": {ended, "SESSION_ENDED"}, "unknown": {unknown, "SERVICE_UNAVAILABLE"},
	} {
		if why := presentToken(t, h.auth, c.session); why != c.want {
			t.Errorf("%s: %q, want %q", name, why, c.want)
		}
	}
	h.start(t)
	h.clock.Advance(5 * time.Second)
	if why := presentToken(t, h.auth, unknown); why != "" {
		t.Errorf("once the service is back: %s", why)
	}
}

// An end that an event announces during a check is not undone by its older answer.
func TestEndDuringACheckIsKept(t *testing.T) {
	t.Parallel()
	h := open(t)
	session := h.signIn(t, "alice")
	id := caller.FromContext(h.asSession(t, session)).SessionID
	slow := &slowChecker{Accounts: h.accounts, arrived: make(chan struct{}), goOn: make(chan struct{})}
	h.auth = auth.New(slow, issuer, h.clock)
	var first sync.WaitGroup
	first.Go(func() { presentToken(t, h.auth, session) })
	<-slow.arrived
	h.auth.EndSession(id)
	close(slow.goOn)
	first.Wait()
	if why := presentToken(t, h.auth, session); why != "SESSION_ENDED" {
		t.Errorf("it holds again: %q", why)
	}
}

// The connections of subscribers make no requests: what they watch is checked for them.
func TestWatchedSessionsAreRechecked(t *testing.T) {
	t.Parallel()
	h := open(t)
	out, demoted, stays := h.signIn(t, "alice"), h.signIn(t, "operator"), h.signIn(t, "bob")
	ids := map[string]*bff.Session{}
	watch := func() {
		for _, session := range []*bff.Session{out, demoted, stays} {
			who := caller.FromContext(h.asSession(t, session))
			ids[who.SessionID] = session
			h.auth.Watch(auth.SessionOf(who))
		}
	}
	watch()
	if ended := h.auth.Recheck(t.Context()); len(ended) != 0 {
		t.Errorf("ended: %v", ended)
	}
	if err := h.accounts.Logout(h.asSession(t, out)); err != nil {
		t.Fatal(err)
	}
	h.giveRole(t, "operator", caller.Member)
	got := map[*bff.Session]bool{}
	for _, id := range h.auth.Recheck(t.Context()) {
		got[ids[id]] = true
	}
	if len(got) != 2 || !got[out] || !got[demoted] {
		t.Errorf("ended: %d, of them the right ones: %v %v", len(got), got[out], got[demoted])
	}
	calls := h.conn.count("CheckSessions")
	h.clock.Advance(time.Minute)
	h.auth.Recheck(t.Context())
	if n := h.conn.count("CheckSessions"); n != calls {
		t.Error("sessions that nobody watches any more are checked")
	}
}
