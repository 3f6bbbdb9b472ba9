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

// from returns the context of a request of the caller from the address.
func from(t *testing.T, who caller.Caller, address string) context.Context {
	t.Helper()
	ctx := caller.NewContext(t.Context(), who)
	if address == "" {
		return ctx
	}
	return quota.From(ctx, netip.MustParseAddr(address))
}

func TestCallersTakeByAccountKeyAndNetworkUsesOneBudgetEach(t *testing.T) {
	t.Parallel()
	anonymous := caller.Caller{}
	cases := []struct {
		name         string
		one, another context.Context
		limit        int // of another
		same         bool
	}{
		{"an account from two addresses", from(t, account("a"), "192.0.2.1"), from(t, account("a"), "192.0.2.2"), 100, true},
		{"two accounts from one address", from(t, account("a"), "192.0.2.1"), from(t, account("b"), "192.0.2.1"), 100, false},
		{"an account and its key", from(t, account("a"), ""), from(t, key("k", 70), ""), 70, false},
		{"two keys of an account", from(t, key("k", 70), ""), from(t, key("l", 80), ""), 80, false},
		{"a key that knows no limit", from(t, account("a"), ""), from(t, key("k", 0), ""), 100, false},
		{"anonymous from two addresses", from(t, anonymous, "192.0.2.1"), from(t, anonymous, "192.0.2.2"), 50, false},
		{"anonymous from one address", from(t, anonymous, "192.0.2.1"), from(t, anonymous, "192.0.2.1"), 50, true},
		{"anonymous, and an account from that address", from(t, anonymous, "192.0.2.1"), from(t, account("a"), "192.0.2.1"), 100, false},
		{"IPv4, written as IPv6", from(t, anonymous, "192.0.2.1"), from(t, anonymous, "::ffff:192.0.2.1"), 50, true},
		{"one /64", from(t, anonymous, "2001:db8::1"), from(t, anonymous, "2001:db8::ffff:0:0:2"), 50, true},
		{"two /64", from(t, anonymous, "2001:db8::1"), from(t, anonymous, "2001:db8:0:1::1"), 50, false},
		{"one link, two zones", from(t, anonymous, "fe80::1%eth0"), from(t, anonymous, "fe80::1%eth1"), 50, true},
		{"anonymous without an address", from(t, anonymous, ""), from(t, anonymous, ""), 50, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			budgets := callers(quota.Options{Account: 100, Anonymous: 50, InFlight: 1})
			if _, err := budgets.Charge(c.one, "", 10); err != nil {
				t.Fatal(err)
			}
			left, err := budgets.Charge(c.another, "", 0)
			if err != nil || left.Limit != c.limit || (left.Remaining == c.limit-10) != c.same || (left.Remaining == c.limit) == c.same {
				t.Errorf("%+v, %v, want of %d, the same: %t", left, err, c.limit, c.same)
			}
			budgets.Refund(c.one, 10)
			if left, err := budgets.Charge(c.one, "", 0); err != nil || left.Remaining != left.Limit {
				t.Errorf("after the refund: %+v, %v", left, err)
			}
		})
	}
}

// A retry cannot help, so the refusal is not retryable.
func TestCallersTakeOfMoreThanTheBudgetIsRefused(t *testing.T) {
	t.Parallel()
	budgets := callers(quota.Options{Account: 100, Anonymous: 50, InFlight: 1})
	ctx := from(t, key("k", 70), "")
	left, err := budgets.Charge(ctx, "", 71)
	if refusal := errs.From(err); refusal == nil || refusal.Reason != "QUERY_TOO_EXPENSIVE" || refusal.Retryable() || left.Remaining != 70 {
		t.Errorf("%+v, %v", left, err)
	}
	if left, err := budgets.Charge(ctx, "", 70); err != nil || left.Remaining != 0 {
		t.Errorf("the full budget: %+v, %v", left, err)
	}
}

func TestCallersEnterRefusesMoreThanTheSlots(t *testing.T) {
	t.Parallel()
	budgets := callers(quota.Options{Account: 100, Anonymous: 50, InFlight: 2})
	one, another := from(t, account("a"), ""), from(t, account("b"), "")
	enter := func(ctx context.Context) func() {
		t.Helper()
		release, err := budgets.Acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	first, second := enter(one), enter(one)
	_, err := budgets.Acquire(one)
	if refusal := errs.From(err); refusal == nil || refusal.Code != errs.ResourceExhausted ||
		refusal.Reason != "TOO_MANY_REQUESTS_IN_FLIGHT" || refusal.RetryAfter != time.Second {
		t.Errorf("a third request returns %v", err)
	}
	enter(another)()
	first()
	third := enter(one)
	if _, err := budgets.Acquire(one); err == nil {
		t.Error("two requests entered one free slot")
	}
	second()
	third()
	enter(one)()
}
