package quota_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
)

func callers(options quota.Options) *quota.Callers {
	return quota.New(quota.NewMemory(clock.NewManual(noon()), 1000), options)
}

func account(id string) caller.Caller { return caller.Caller{AccountID: id, Role: caller.Member} }

func key(id string, points int) caller.Caller {
	return caller.Caller{AccountID: "a", APIKeyID: id, Role: caller.Member, PointsPerMinute: points}
}

// from is the context of a request of somebody from somewhere.
func from(t *testing.T, who caller.Caller, address string) context.Context {
	t.Helper()
	ctx := caller.NewContext(t.Context(), who)
	if address == "" {
		return ctx
	}
	return quota.From(ctx, netip.MustParseAddr(address))
}

func TestWhoseBudgetIsSpent(t *testing.T) {
	t.Parallel()
	nobody := caller.Caller{}
	cases := []struct {
		name         string
		one, another context.Context
		limit        int // of another
		same         bool
	}{
		{"an account from two places", from(t, account("a"), "192.0.2.1"), from(t, account("a"), "192.0.2.2"), 100, true},
		{"two accounts from one place", from(t, account("a"), "192.0.2.1"), from(t, account("b"), "192.0.2.1"), 100, false},
		{"an account and its key", from(t, account("a"), ""), from(t, key("k", 70), ""), 70, false},
		{"two keys of an account", from(t, key("k", 70), ""), from(t, key("l", 80), ""), 80, false},
		{"a key that knows no limit", from(t, account("a"), ""), from(t, key("k", 0), ""), 100, false},
		{"nobody from two places", from(t, nobody, "192.0.2.1"), from(t, nobody, "192.0.2.2"), 50, false},
		{"nobody from one place", from(t, nobody, "192.0.2.1"), from(t, nobody, "192.0.2.1"), 50, true},
		{"nobody, and somebody from there", from(t, nobody, "192.0.2.1"), from(t, account("a"), "192.0.2.1"), 100, false},
		{"IPv4, written as IPv6", from(t, nobody, "192.0.2.1"), from(t, nobody, "::ffff:192.0.2.1"), 50, true},
		{"one /64", from(t, nobody, "2001:db8::1"), from(t, nobody, "2001:db8::ffff:0:0:2"), 50, true},
		{"two /64", from(t, nobody, "2001:db8::1"), from(t, nobody, "2001:db8:0:1::1"), 50, false},
		{"one link, two zones", from(t, nobody, "fe80::1%eth0"), from(t, nobody, "fe80::1%eth1"), 50, true},
		{"nobody from nowhere", from(t, nobody, ""), from(t, nobody, ""), 50, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			budgets := callers(quota.Options{Account: 100, Anonymous: 50, InFlight: 1})
			if _, err := budgets.Take(c.one, "", 10); err != nil {
				t.Fatal(err)
			}
			left, err := budgets.Take(c.another, "", 0)
			if err != nil || left.Limit != c.limit || (left.Remaining == c.limit-10) != c.same || (left.Remaining == c.limit) == c.same {
				t.Errorf("%+v, %v, want of %d, the same: %t", left, err, c.limit, c.same)
			}
			budgets.Give(c.one, 10)
			if left, err := budgets.Take(c.one, "", 0); err != nil || left.Remaining != left.Limit {
				t.Errorf("given back: %+v, %v", left, err)
			}
		})
	}
}

// What no waiting would help is not said to be worth waiting for.
func TestMoreThanTheWholeBudget(t *testing.T) {
	t.Parallel()
	budgets := callers(quota.Options{Account: 100, Anonymous: 50, InFlight: 1})
	ctx := from(t, key("k", 70), "")
	left, err := budgets.Take(ctx, "", 71)
	if refusal := errs.From(err); refusal == nil || refusal.Reason != "QUERY_TOO_EXPENSIVE" || refusal.Retryable() || left.Remaining != 70 {
		t.Errorf("%+v, %v", left, err)
	}
	if left, err := budgets.Take(ctx, "", 70); err != nil || left.Remaining != 0 {
		t.Errorf("the whole of it: %+v, %v", left, err)
	}
}

func TestRequestsInFlight(t *testing.T) {
	t.Parallel()
	budgets := callers(quota.Options{Account: 100, Anonymous: 50, InFlight: 2})
	one, another := from(t, account("a"), ""), from(t, account("b"), "")
	enter := func(ctx context.Context) func() {
		t.Helper()
		leave, err := budgets.Enter(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return leave
	}
	first, second := enter(one), enter(one)
	_, err := budgets.Enter(one)
	if refusal := errs.From(err); refusal == nil || refusal.Code != errs.ResourceExhausted ||
		refusal.Reason != "TOO_MANY_REQUESTS_IN_FLIGHT" || refusal.RetryAfter != time.Second {
		t.Errorf("a third is answered %v", err)
	}
	enter(another)()
	first()
	third := enter(one)
	if _, err := budgets.Enter(one); err == nil {
		t.Error("one left and two came")
	}
	second()
	third()
	enter(one)()
}
