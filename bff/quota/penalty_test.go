package quota_test

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/testserver"
)

// client sends requests to the budgets of a gateway, by a manual clock. A ledger in Redis uses the clock of Redis.
type client struct {
	*testing.T
	*quota.Callers
	clock *clock.Manual
	who   caller.Caller
}

// clients returns a constructor of a client with 60 points a minute for each ledger.
func clients(t *testing.T) map[string]func(*testing.T) *client {
	t.Helper()
	open := func(ledger func(*testing.T, clock.Clock) quota.Ledger) func(*testing.T) *client {
		return func(t *testing.T) *client {
			manual := clock.NewManual(noon())
			budgets := quota.New(ledger(t, manual), quota.Options{Account: 1000, Anonymous: 60, InFlight: 1, Clock: manual})
			return &client{T: t, Callers: budgets, clock: manual, who: key("k", 60)}
		}
	}
	return map[string]func(*testing.T) *client{
		"memory": open(func(_ *testing.T, manual clock.Clock) quota.Ledger { return quota.NewMemory(manual, 100) }),
		"redis": open(func(t *testing.T, _ clock.Clock) quota.Ledger {
			return shared(connect(t, testserver.StartRedis(t).URL(), time.Second))
		}),
	}
}

// send runs the checks of a request in their order. It returns "blocked", "repeated" (refused before the document is
// read), "refused" (by the ledger) or "served".
func (c *client) send(document string, points int) string {
	c.Helper()
	ctx := from(c.T, c.who, "192.0.2.1")
	if _, wait := c.Blocked(c.who, quota.Key(ctx)); wait > 0 {
		if !c.AnyBlocked() {
			c.Error("a caller is blocked, and AnyBlocked is false")
		}
		return "blocked"
	}
	if _, _, err := c.CheckRepeat(ctx, document); err != nil {
		return "repeated"
	}
	if _, err := c.Charge(ctx, document, points); err != nil {
		return "refused"
	}
	return "served"
}

// sendTimes repeats a request and counts the results.
func (c *client) sendTimes(n int, document string, points int) map[string]int {
	c.Helper()
	results := map[string]int{}
	for range n {
		results[c.send(document, points)]++
	}
	return results
}

func (c *client) want(results map[string]int, want string, n int) {
	c.Helper()
	if results[want] != n {
		c.Errorf("the results are %v, want %d %s", results, n, want)
	}
}

// A caller that repeatedly retries before RetryAfter is blocked until then for any request, and no longer.
func TestCallerThatRetriesTooEarlyIsBlocked(t *testing.T) {
	t.Parallel()
	for name, open := range clients(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t)
			c.want(c.sendTimes(1, "expensive", 60), "served", 1)
			c.want(c.sendTimes(1, "expensive", 30), "refused", 1)
			results := c.sendTimes(1000, "expensive", 30)
			c.want(results, "repeated", 101)
			c.want(results, "blocked", 899)
			c.want(c.sendTimes(1, "cheap", 1), "blocked", 1)
			left, wait := c.Blocked(c.who, c.who.APIKeyID)
			if left.Limit != 60 || left.Remaining != 0 || wait < 29*time.Second || wait > 30_001*time.Millisecond {
				t.Errorf("the block lasts %s, with %+v left", wait, left)
			}
			c.who = key("another", 60)
			c.want(c.sendTimes(1, "expensive", 30), "served", 1)
			c.who = key("k", 60)
			c.clock.Advance(30 * time.Second)
			if c.AnyBlocked() {
				t.Error("after the block AnyBlocked is true")
			}
			if got := c.send("expensive", 30); got == "blocked" || got == "repeated" {
				t.Errorf("after the block a request is %s", got)
			}
		})
	}
}

// Other documents do not end a block; it ends at the earliest RetryAfter.
func TestCallersShutEndsAtTheEarliestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, open := range clients(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t)
			c.want(c.sendTimes(1, "all", 60), "served", 1)
			c.send("cheap", 5)
			for range 200 {
				c.send("less expensive", 40)
				c.send("expensive", 50)
			}
			c.want(c.sendTimes(2, "expensive", 50), "blocked", 2)
			if _, wait := c.Blocked(c.who, c.who.APIKeyID); wait < 4*time.Second || wait > 5_001*time.Millisecond {
				t.Errorf("the block lasts %s, although there is enough for the cheap document in 5 s", wait)
			}
			c.clock.Advance(5 * time.Second)
			if got := c.send("cheap", 5); got == "blocked" {
				t.Error("the caller is blocked when there is enough for the cheap document")
			}
		})
	}
}

// A caller that respects RetryAfter, or nearly so, is never blocked.
func TestCallersShutAdmitsACallerThatNearlyRespectsRetryAfter(t *testing.T) {
	t.Parallel()
	for name, work := range map[string]func(c *client) (results map[string]int){
		"a page that retries one expensive document beside a cheap one": func(c *client) map[string]int {
			results := map[string]int{}
			for range 5000 {
				c.clock.Advance(100 * time.Millisecond)
				results[c.send("expensive", 55)]++
				results[c.send("expensive", 55)]++
				c.clock.Advance(900 * time.Millisecond)
				results[c.send("cheap", 1)]++
			}
			return results
		},
		"a hundred requests in flight at the refusal": func(c *client) map[string]int {
			c.send("all", 60)
			results := c.sendTimes(100, "expensive", 30)
			c.clock.Advance(time.Second)
			for range 20 {
				results[c.send("cheap", 1)]++
				c.clock.Advance(time.Second)
			}
			return results
		},
		"one early retry a second": func(c *client) map[string]int {
			c.send("all", 60)
			results := map[string]int{}
			for range 1000 {
				results[c.send("expensive", 59)]++
				c.clock.Advance(time.Second)
			}
			return results
		},
		"a client that respects RetryAfter": func(c *client) map[string]int {
			results := map[string]int{}
			for range 1000 {
				result := c.send("expensive", 60)
				if results[result]++; result == "refused" {
					c.clock.Advance(time.Minute)
				}
			}
			return results
		},
		"a caller that waited after a block and is refused once more": func(c *client) map[string]int {
			c.sendTimes(1000, "expensive", 60)
			c.clock.Advance(time.Minute)
			c.want(c.sendTimes(1, "expensive", 60), "served", 1)
			results := c.sendTimes(3, "expensive", 50)
			c.clock.Advance(2 * time.Second)
			results[c.send("cheap", 1)]++
			return results
		},
		"a caller with a new limit": func(c *client) map[string]int {
			c.send("all", 60)
			c.sendTimes(1000, "expensive", 60)
			c.who = key("k", 600)
			c.clock.Advance(6 * time.Second)
			return c.sendTimes(1, "cheap", 5)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clients(t)["memory"](t)
			if results := work(c); results["blocked"] > 0 || results["served"] == 0 {
				t.Errorf("the results are %v", results)
			}
		})
	}
}

// A flood of fifty times the budget is served as many points as its budget has.
func TestCallersUnderAFloodServeExactlyTheBudget(t *testing.T) {
	t.Parallel()
	c := clients(t)["memory"](t)
	c.send("all", 60)
	results := map[string]int{}
	for range 50 * 600 {
		c.clock.Advance(20 * time.Millisecond)
		results[c.send("a point", 1)]++
	}
	if results["served"] < 590 || results["served"] > 600 || results["blocked"] < 28_000 {
		t.Errorf("the results are %v", results)
	}
}
