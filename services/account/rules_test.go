package account_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/account"
)

func at(minutes int) *time.Time {
	t := time.Date(2026, 3, 1, 12, minutes, 0, 0, time.UTC)
	return &t
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const newest = 5
	for name, c := range map[string]struct {
		ended      *time.Time
		generation int64
		seen       int64
		now        time.Time
		want       account.Verdict
	}{
		"a fresh token":                             {nil, newest, 4, *at(0), account.Rotate},
		"the last moment":                           {nil, newest, 4, *at(29), account.Rotate},
		"when it expires it is over":                {nil, newest, 4, *at(30), account.Expired},
		"the session has ended":                     {at(5), newest, 4, *at(10), account.Ended},
		"ended says more than expired":              {at(5), newest, 4, *at(40), account.Ended},
		"the parent, at once":                       {nil, newest - 1, 4, *at(0), account.Repeat},
		"the parent of a used token, soon":          {nil, newest - 1, newest, at(0).Add(10*time.Second - 1), account.Repeat},
		"the parent of a used token":                {nil, newest - 1, newest, at(0).Add(10 * time.Second), account.Reused},
		"the parent of an unused token":             {nil, newest - 1, 4, at(0).Add(time.Minute - 1), account.Repeat},
		"the parent of an unused token, a day late": {nil, newest - 1, 4, at(0).Add(time.Minute), account.Reused},
		"the parent in an ended session":            {at(0), newest - 1, 4, *at(0), account.Ended},
		"a grandparent, at once":                    {nil, newest - 2, 4, *at(0), account.Reused},
		"theft counts, whatever else is the case":   {at(5), newest - 2, 4, *at(40), account.Reused},
		"a clock that went back does not end them":  {nil, newest, 4, *at(-60), account.Rotate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session := account.Session{EndedAt: c.ended, Generation: newest, Seen: c.seen, RotatedAt: *at(0)}
			token := account.RefreshToken{ExpiresAt: *at(30), Generation: c.generation}
			if got := session.Judge(token, c.now); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestAKeyMakesNoMoreThanItHas(t *testing.T) {
	t.Parallel()
	maker := account.APIKey{ID: "m", AccountID: "a", Scopes: []string{"apikey:write", "trip:read"}, PointsPerMinute: 600, ExpiresAt: at(30)}
	for name, c := range map[string]struct {
		maker  func(m *account.APIKey)
		key    account.APIKey
		reason string
	}{
		"all of it":               {nil, account.APIKey{Scopes: maker.Scopes, PointsPerMinute: 600, ExpiresAt: at(30)}, ""},
		"less":                    {nil, account.APIKey{Scopes: []string{"trip:read"}, PointsPerMinute: 1, ExpiresAt: at(20)}, ""},
		"nothing named":           {nil, account.APIKey{}, ""},
		"another scope":           {nil, account.APIKey{Scopes: []string{"job:read"}}, account.ReasonScopeNotHeld},
		"more points":             {nil, account.APIKey{PointsPerMinute: 601}, account.ReasonScopeNotHeld},
		"a later end":             {nil, account.APIKey{ExpiresAt: at(31)}, account.ReasonScopeNotHeld},
		"a maker without an end":  {func(m *account.APIKey) { m.ExpiresAt = nil }, account.APIKey{ExpiresAt: at(31)}, ""},
		"a revoked maker":         {func(m *account.APIKey) { m.RevokedAt = at(0) }, account.APIKey{}, account.ReasonAPIKeyRevoked},
		"an expired maker":        {func(m *account.APIKey) { m.ExpiresAt = at(10) }, account.APIKey{}, account.ReasonAPIKeyExpired},
		"a maker of generation 9": {func(m *account.APIKey) { m.Makers = make([]string, 8) }, account.APIKey{}, account.ReasonScopeNotHeld},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := maker
			if c.maker != nil {
				c.maker(&m)
			}
			made, err := c.key.MadeBy(m, *at(10))
			if c.reason != "" {
				if errs.From(err) == nil || errs.From(err).Reason != c.reason {
					t.Errorf("made %+v, %v", made, err)
				}
				return
			}
			late := m.ExpiresAt != nil && (made.ExpiresAt == nil || made.ExpiresAt.After(*m.ExpiresAt))
			if err != nil || late || made.PointsPerMinute < 1 || made.PointsPerMinute > m.PointsPerMinute || made.Makers[len(made.Makers)-1] != m.ID {
				t.Errorf("made %+v, %v", made, err)
			}
		})
	}
}

func TestAnAPIKeyAtItsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key    account.APIKey
		want   error
		reason string
	}{
		"good":                    {account.APIKey{}, nil, ""},
		"good for a minute more":  {account.APIKey{ExpiresAt: at(11)}, nil, ""},
		"expired at this moment":  {account.APIKey{ExpiresAt: at(10)}, account.ErrAPIKeyExpired, account.ReasonAPIKeyExpired},
		"revoked":                 {account.APIKey{RevokedAt: at(5)}, account.ErrAPIKeyRevoked, account.ReasonAPIKeyRevoked},
		"revoked before it ended": {account.APIKey{RevokedAt: at(5), ExpiresAt: at(6)}, account.ErrAPIKeyRevoked, account.ReasonAPIKeyRevoked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := c.key.Usable(*at(10)); !errors.Is(err, c.want) && err != c.want {
				t.Errorf("usable: %v", err)
			}
			rotated, err := c.key.Rotate("BBBB0000", *at(10))
			switch e := errs.From(err); {
			case c.want == nil && (err != nil || rotated.Prefix != "BBBB0000"):
				t.Errorf("rotate: %+v, %v", rotated, err)
			case c.want != nil && (e == nil || e.Code != errs.FailedPrecondition || e.Reason != c.reason):
				t.Errorf("rotate: %v", err)
			}
			revoked, changed := c.key.Revoke(*at(10))
			if revoked.RevokedAt == nil || changed != (c.key.RevokedAt == nil) || (!changed && *revoked.RevokedAt != *at(5)) {
				t.Errorf("revoke: %+v, changed %v", revoked, changed)
			}
		})
	}
}

func TestDemoIdentities(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]caller.Role{"admin": caller.Admin, "operator": caller.Operator, "alice": caller.Member, "bob": caller.Member} {
		if got, err := (account.DemoIdentities{}).Identify(t.Context(), code); err != nil || got.Role != want || got.Subject != code || got.Name == "" {
			t.Errorf("%s: %+v, %v", code, got, err)
		}
	}
	for _, code := range []string{"", "Admin", "root", "admin "} {
		if _, err := (account.DemoIdentities{}).Identify(t.Context(), code); !errors.Is(err, account.ErrLoginRefused) {
			t.Errorf("%q: %v", code, err)
		}
	}
}
