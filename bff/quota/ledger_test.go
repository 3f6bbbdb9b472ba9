package quota_test

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/redisdb"
	"github.com/sluicehq/sluice/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testserver.SleepingDials()) }

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

// soon is a timeout that a busy machine does not reach.
const soon = 20 * time.Second

// slow is a limit that refills one point in six seconds, so next to none during a test.
const slow = 10

// ledgers returns a constructor for each ledger.
func ledgers(t *testing.T) map[string]func(*testing.T) quota.Ledger {
	t.Helper()
	return map[string]func(*testing.T) quota.Ledger{
		"memory": func(*testing.T) quota.Ledger { return quota.NewMemory(clock.System{}, 100) },
		"redis": func(t *testing.T) quota.Ledger {
			return shared(connect(t, testserver.StartRedis(t).URL(), soon))
		},
		"memory, without redis": func(t *testing.T) quota.Ledger {
			return shared(connect(t, "redis://127.0.0.1:1", time.Second))
		},
	}
}

func shared(client *redisdb.Client) *quota.Shared {
	return quota.NewShared(client, quota.NewMemory(clock.System{}, 100))
}

func connect(t *testing.T, url string, timeout time.Duration) *redisdb.Client {
	t.Helper()
	client, err := redisdb.Open(redisdb.Options{URL: url, Timeout: timeout, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// step is one call and its result.
type step struct {
	take, give int
	left       int
	refused    bool
}

func TestLedgerTakeAndGiveKeepTheBalance(t *testing.T) {
	t.Parallel()
	cases := map[string][]step{
		"an unknown key has a full budget":   {{take: 0, left: slow}},
		"reading takes nothing":              {{take: 4, left: 6}, {take: 0, left: 6}, {take: 0, left: 6}},
		"a full budget can be taken at once": {{take: slow, left: 0}, {take: 1, left: 0, refused: true}},
		"a refusal takes nothing":            {{take: 7, left: 3}, {take: 4, left: 3, refused: true}, {take: 3, left: 0}},
		"a refund can be taken":              {{take: slow, left: 0}, {give: 4}, {take: 4, left: 0}, {take: 1, refused: true}},
		"a refund does not exceed the limit": {{take: 2, left: 8}, {give: 200}, {take: 0, left: slow}, {take: slow, left: 0}, {take: 1, refused: true}},
		"zero points fit an empty budget":    {{take: slow, left: 0}, {take: 0, left: 0}},
	}
	for kind, open := range ledgers(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ledger := open(t)
			for name, steps := range cases {
				for i, s := range steps {
					if s.give > 0 {
						ledger.Refund(t.Context(), name, slow, s.give)
						continue
					}
					left, err := ledger.Charge(t.Context(), name, slow, s.take)
					if left.Limit != slow || left.Remaining != s.left || left.RestorePerSecond != slow/60.0 || (err != nil) != s.refused {
						t.Errorf("%s: step %d: %+v, %v, want %+v", name, i, left, err, s)
					}
					if s.refused {
						checkRefusal(t, err, 24*time.Second)
					}
				}
			}
		})
	}
}

func checkRefusal(t *testing.T, err error, most time.Duration) {
	t.Helper()
	refusal, ok := errors.AsType[*errs.Error](err)
	if !ok || refusal.Code != errs.ResourceExhausted || refusal.Reason != "BUDGET_EXHAUSTED" {
		t.Fatalf("refused by %v", err)
	}
	if refusal.RetryAfter <= 0 || refusal.RetryAfter > most {
		t.Errorf("RetryAfter is %s, want at most %s", refusal.RetryAfter, most)
	}
}

// A retry after RetryAfter finds enough points.
func TestLedgerTakeAfterRetryAfterSucceeds(t *testing.T) {
	t.Parallel()
	for kind, open := range ledgers(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ledger := open(t)
			const limit, points = 600, 30 // 10 points a second
			if _, err := ledger.Charge(t.Context(), "x", limit, limit); err != nil {
				t.Fatal(err)
			}
			_, err := ledger.Charge(t.Context(), "x", limit, points)
			checkRefusal(t, err, 3100*time.Millisecond)
			if err == nil {
				return
			}
			<-time.After(errs.From(err).RetryAfter) // as the client must
			if left, err := ledger.Charge(t.Context(), "x", limit, points); err != nil {
				t.Errorf("refused again: %+v, %v", left, err)
			}
		})
	}
}

// A budget refills evenly, up to its limit.
func TestMemoryBudgetRefillsContinuously(t *testing.T) {
	t.Parallel()
	clk := clock.NewManual(noon())
	ledger := quota.NewMemory(clk, 10)
	if _, err := ledger.Charge(t.Context(), "x", 600, 600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		wait time.Duration
		left int
	}{{0, 0}, {99 * time.Millisecond, 0}, {time.Millisecond, 1}, {time.Second, 11}, {50 * time.Second, 511}, {time.Hour, 600}} {
		clk.Advance(c.wait)
		if left, err := ledger.Charge(t.Context(), "x", 600, 0); err != nil || left.Remaining != c.left {
			t.Errorf("after %s more there are %d, %v, want %d", c.wait, left.Remaining, err, c.left)
		}
	}
}

// A new limit of a key applies at once.
func TestLedgerTakeAfterTheLimitChangedUsesTheNewLimit(t *testing.T) {
	t.Parallel()
	for kind, open := range ledgers(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ledger := open(t)
			if left, err := ledger.Charge(t.Context(), "x", 100, 10); err != nil || left.Remaining != 90 {
				t.Fatalf("%+v, %v", left, err)
			}
			left, err := ledger.Charge(t.Context(), "x", 20, 1)
			if err != nil || left.Limit != 20 || left.Remaining > 19 {
				t.Errorf("under the smaller limit: %+v, %v", left, err)
			}
			if left, err := ledger.Charge(t.Context(), "x", 20, 20); err == nil {
				t.Errorf("more than the smaller limit: %+v", left)
			}
			if left, err := ledger.Charge(t.Context(), "x", 1000, 0); err != nil || left.Limit != 1000 || left.Remaining > 1000 {
				t.Errorf("under the larger limit: %+v, %v", left, err)
			}
		})
	}
}

// Concurrent calls take no more points than the budget has.
func TestLedgerConcurrentTakesNeverExceedTheBudget(t *testing.T) {
	t.Parallel()
	for kind, open := range ledgers(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ledger := open(t)
			var taken atomic.Int64
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					for range 10 {
						if _, err := ledger.Charge(t.Context(), "x", slow, 1); err == nil {
							taken.Add(1)
						}
					}
				})
			}
			all.Wait()
			if n := taken.Load(); n < slow || n > slow+1 {
				t.Errorf("%d of %d points were taken", n, slow)
			}
		})
	}
}

// A caller that requests often cannot renew its budget with a flood of other callers.
func TestMemoryAtItsBoundEvictsRareCallers(t *testing.T) {
	t.Parallel()
	ledger := quota.NewMemory(clock.NewManual(noon()), 100)
	for i := range 10_000 {
		_, _ = ledger.Charge(t.Context(), fmt.Sprint("passer-by ", i), slow, 1) // whether there are enough does not matter
		left, err := ledger.Charge(t.Context(), "abuser", slow, 1)
		if (err != nil) != (i >= slow) {
			t.Fatalf("request %d of the abuser: %+v, %v", i, left, err)
		}
	}
	known := 0
	for i := range 10_000 {
		if left, _ := ledger.Charge(t.Context(), fmt.Sprint("passer-by ", i), slow, 0); left.Remaining != slow {
			known++
		}
	}
	if known > 100 {
		t.Errorf("%d callers are still known, and the bound is 100", known)
	}
}
