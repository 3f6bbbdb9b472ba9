package quota_test

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testserver.SleepingDials()) }

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

// soon is how long Redis may take on a busy machine, where it is not what is tested.
const soon = 20 * time.Second

// slow is a limit of which next to nothing comes back while a test runs: one point in six seconds.
const slow = 10

// ledgers are all ledgers that there are, each fresh.
func ledgers(t *testing.T) map[string]func(*testing.T) quota.Ledger {
	t.Helper()
	return map[string]func(*testing.T) quota.Ledger{
		"memory": func(*testing.T) quota.Ledger { return quota.NewMemory(clock.System{}, 100) },
		"redis": func(t *testing.T) quota.Ledger {
			return shared(t, connect(t, testserver.StartRedis(t).URL(), soon), soon)
		},
		"memory, with redis away": func(t *testing.T) quota.Ledger {
			return shared(t, connect(t, "redis://127.0.0.1:1", time.Second), time.Second)
		},
	}
}

func shared(t *testing.T, client *redis.Client, timeout time.Duration) *quota.Shared {
	t.Helper()
	return quota.NewShared(client, quota.NewMemory(clock.System{}, 100), quota.SharedOptions{Timeout: timeout, Logger: slog.New(slog.DiscardHandler)})
}

func connect(t *testing.T, url string, timeout time.Duration) *redis.Client {
	t.Helper()
	client, err := quota.Connect(url, timeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// step is one call and what it gives.
type step struct {
	take, give int
	left       int
	refused    bool
}

func TestLedger(t *testing.T) {
	t.Parallel()
	cases := map[string][]step{
		"a newcomer has all of it":     {{take: 0, left: slow}},
		"looking costs nothing":        {{take: 4, left: 6}, {take: 0, left: 6}, {take: 0, left: 6}},
		"all of it at once":            {{take: slow, left: 0}, {take: 1, left: 0, refused: true}},
		"a refusal takes nothing":      {{take: 7, left: 3}, {take: 4, left: 3, refused: true}, {take: 3, left: 0}},
		"what is given back is there":  {{take: slow, left: 0}, {give: 4}, {take: 4, left: 0}, {take: 1, refused: true}},
		"no more than was there":       {{take: 2, left: 8}, {give: 200}, {take: 0, left: slow}, {take: slow, left: 0}, {take: 1, refused: true}},
		"nothing is more than nothing": {{take: slow, left: 0}, {take: 0, left: 0}},
	}
	for kind, open := range ledgers(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ledger := open(t)
			for name, steps := range cases {
				for i, s := range steps {
					if s.give > 0 {
						ledger.Give(t.Context(), name, slow, s.give)
						continue
					}
					left, err := ledger.Take(t.Context(), name, slow, s.take)
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
		t.Errorf("come back in %s, want at most %s", refusal.RetryAfter, most)
	}
}

// A refusal tells when there will be enough, and then there is.
func TestComingBackWhenToldIsEnough(t *testing.T) {
	t.Parallel()
	for kind, open := range ledgers(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ledger := open(t)
			const limit, points = 600, 30 // 10 points a second
			if _, err := ledger.Take(t.Context(), "x", limit, limit); err != nil {
				t.Fatal(err)
			}
			_, err := ledger.Take(t.Context(), "x", limit, points)
			checkRefusal(t, err, 3100*time.Millisecond)
			if err == nil {
				return
			}
			<-time.After(errs.From(err).RetryAfter) // what the caller is told to do
			if left, err := ledger.Take(t.Context(), "x", limit, points); err != nil {
				t.Errorf("refused again: %+v, %v", left, err)
			}
		})
	}
}

// A budget comes back evenly, up to its limit.
func TestPointsComeBack(t *testing.T) {
	t.Parallel()
	clk := clock.NewManual(noon())
	ledger := quota.NewMemory(clk, 10)
	if _, err := ledger.Take(t.Context(), "x", 600, 600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		wait time.Duration
		left int
	}{{0, 0}, {99 * time.Millisecond, 0}, {time.Millisecond, 1}, {time.Second, 11}, {50 * time.Second, 511}, {time.Hour, 600}} {
		clk.Advance(c.wait)
		if left, err := ledger.Take(t.Context(), "x", 600, 0); err != nil || left.Remaining != c.left {
			t.Errorf("after %s more there are %d, %v, want %d", c.wait, left.Remaining, err, c.left)
		}
	}
}

// A key that gets another limit spends by that one from then on.
func TestALimitThatChanges(t *testing.T) {
	t.Parallel()
	for kind, open := range ledgers(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ledger := open(t)
			if left, err := ledger.Take(t.Context(), "x", 100, 10); err != nil || left.Remaining != 90 {
				t.Fatalf("%+v, %v", left, err)
			}
			left, err := ledger.Take(t.Context(), "x", 20, 1)
			if err != nil || left.Limit != 20 || left.Remaining > 19 {
				t.Errorf("under the smaller limit: %+v, %v", left, err)
			}
			if left, err := ledger.Take(t.Context(), "x", 20, 20); err == nil {
				t.Errorf("more than the smaller limit: %+v", left)
			}
			if left, err := ledger.Take(t.Context(), "x", 1000, 0); err != nil || left.Limit != 1000 || left.Remaining > 1000 {
				t.Errorf("under the larger limit: %+v, %v", left, err)
			}
		})
	}
}

// However many come at once, no more is taken than there is.
func TestNobodySpendsMoreThanThereIs(t *testing.T) {
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
						if _, err := ledger.Take(t.Context(), "x", slow, 1); err == nil {
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
		_, _ = ledger.Take(t.Context(), fmt.Sprint("passer-by ", i), slow, 1) // whether there are enough does not matter
		left, err := ledger.Take(t.Context(), "abuser", slow, 1)
		if (err != nil) != (i >= slow) {
			t.Fatalf("request %d of the abuser: %+v, %v", i, left, err)
		}
	}
	known := 0
	for i := range 10_000 {
		if left, _ := ledger.Take(t.Context(), fmt.Sprint("passer-by ", i), slow, 0); left.Remaining != slow {
			known++
		}
	}
	if known > 100 {
		t.Errorf("%d callers are still known, and the bound is 100", known)
	}
}
