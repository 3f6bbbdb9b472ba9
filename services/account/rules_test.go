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
	for name, c := range map[string]struct {
		ended *time.Time
		used  bool
		now   *time.Time
		want  account.Verdict
	}{
		"a fresh token":                            {nil, false, at(0), account.Rotate},
		"the last moment":                          {nil, false, at(29), account.Rotate},
		"when it expires it is over":               {nil, false, at(30), account.Expired},
		"the session has ended":                    {at(5), false, at(10), account.Ended},
		"ended says more than expired":             {at(5), false, at(40), account.Ended},
		"used before":                              {nil, true, at(10), account.Reused},
		"theft counts, whatever else is the case":  {at(5), true, at(40), account.Reused},
		"a clock that went back does not end them": {nil, false, at(-60), account.Rotate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token := account.RefreshToken{ExpiresAt: *at(30), Used: c.used}
			if got := (account.Session{EndedAt: c.ended}).Judge(token, *c.now); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
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
