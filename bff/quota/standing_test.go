package quota_test

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/testserver"
)

// counter is where callers come, by a clock that is set by hand. A ledger in Redis goes by its own.
type counter struct {
	*testing.T
	*quota.Callers
	clock *clock.Manual
	who   caller.Caller
}

// standings open a counter in front of every ledger, for a caller with 60 points a minute.
func standings(t *testing.T) map[string]func(*testing.T) *counter {
	t.Helper()
	open := func(ledger func(*testing.T, clock.Clock) quota.Ledger) func(*testing.T) *counter {
		return func(t *testing.T) *counter {
			hands := clock.NewManual(noon())
			budgets := quota.New(ledger(t, hands), quota.Options{Account: 1000, Anonymous: 60, InFlight: 1, Clock: hands})
			return &counter{T: t, Callers: budgets, clock: hands, who: key("k", 60)}
		}
	}
	return map[string]func(*testing.T) *counter{
		"memory": open(func(_ *testing.T, hands clock.Clock) quota.Ledger { return quota.NewMemory(hands, 100) }),
		"redis": open(func(t *testing.T, _ clock.Clock) quota.Ledger {
			return shared(t, connect(t, testserver.StartRedis(t).URL(), time.Second), time.Second)
		}),
	}
}

// ask comes with a document as the entrance does, and tells how far it got: "shut" at the door, "early"
// before the document was read, "refused" by the ledger, or "served".
func (c *counter) ask(document string, points int) string {
	c.Helper()
	ctx := from(c.T, c.who, "192.0.2.1")
	if _, wait := c.Shut(c.who, quota.Key(ctx)); wait > 0 {
		if !c.ShutsAnybody() {
			c.Error("nobody is said to be shut out")
		}
		return "shut"
	}
	if _, _, err := c.Early(ctx, document); err != nil {
		return "early"
	}
	if _, err := c.Take(ctx, document, points); err != nil {
		return "refused"
	}
	return "served"
}

// times asks so often, and counts the answers.
func (c *counter) times(n int, document string, points int) map[string]int {
	c.Helper()
	told := map[string]int{}
	for range n {
		told[c.ask(document, points)]++
	}
	return told
}

func (c *counter) want(told map[string]int, want string, n int) {
	c.Helper()
	if told[want] != n {
		c.Errorf("answered %v, want %d %s", told, n, want)
	}
}

// Whoever keeps coming back before it was told to is not listened to until then, whatever it asks;
// and then as if nothing had been.
func TestWhoDoesNotListenIsShutOut(t *testing.T) {
	t.Parallel()
	for name, open := range standings(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t)
			c.want(c.times(1, "dear", 60), "served", 1)
			c.want(c.times(1, "dear", 30), "refused", 1)
			told := c.times(1000, "dear", 30)
			c.want(told, "early", 101)
			c.want(told, "shut", 899)
			c.want(c.times(1, "cheap", 1), "shut", 1)
			left, wait := c.Shut(c.who, c.who.APIKeyID)
			if left.Limit != 60 || left.Remaining != 0 || wait < 29*time.Second || wait > 30_001*time.Millisecond {
				t.Errorf("told to come back in %s with %+v left", wait, left)
			}
			c.who = key("another", 60)
			c.want(c.times(1, "dear", 30), "served", 1)
			c.who = key("k", 60)
			c.clock.Advance(30 * time.Second)
			if c.ShutsAnybody() {
				t.Error("when the time is over, somebody is said to be shut out")
			}
			if got := c.ask("dear", 30); got == "shut" || got == "early" {
				t.Errorf("when the time is over: %s", got)
			}
		})
	}
}

// Other documents do not open the door, and the first time that was told is the one that counts.
func TestTheEarliestTimeThatWasTold(t *testing.T) {
	t.Parallel()
	for name, open := range standings(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t)
			c.want(c.times(1, "all", 60), "served", 1)
			c.ask("cheap", 5)
			for range 200 {
				c.ask("less dear", 40)
				c.ask("dear", 50)
			}
			c.want(c.times(2, "dear", 50), "shut", 2)
			if _, wait := c.Shut(c.who, c.who.APIKeyID); wait < 4*time.Second || wait > 5_001*time.Millisecond {
				t.Errorf("come back in %s, although there is enough for what is cheap in 5 s", wait)
			}
			c.clock.Advance(5 * time.Second)
			if got := c.ask("cheap", 5); got == "shut" {
				t.Error("shut out when there is enough for what is cheap")
			}
		})
	}
}

// What keeps to what it was told, or nearly so, never meets the door.
func TestWhoIsNotShutOut(t *testing.T) {
	t.Parallel()
	for name, work := range map[string]func(c *counter) (told map[string]int){
		"a page that asks for what is too dear, too, again and again": func(c *counter) map[string]int {
			told := map[string]int{}
			for range 5000 {
				c.clock.Advance(100 * time.Millisecond)
				told[c.ask("dear", 55)]++
				told[c.ask("dear", 55)]++
				c.clock.Advance(900 * time.Millisecond)
				told[c.ask("cheap", 1)]++
			}
			return told
		},
		"a hundred requests that were on their way": func(c *counter) map[string]int {
			c.ask("all", 60)
			told := c.times(100, "dear", 30)
			c.clock.Advance(time.Second)
			for range 20 {
				told[c.ask("cheap", 1)]++
				c.clock.Advance(time.Second)
			}
			return told
		},
		"who comes back early every second": func(c *counter) map[string]int {
			c.ask("all", 60)
			told := map[string]int{}
			for range 1000 {
				told[c.ask("dear", 59)]++
				c.clock.Advance(time.Second)
			}
			return told
		},
		"who comes back when it was told to": func(c *counter) map[string]int {
			told := map[string]int{}
			for range 1000 {
				answer := c.ask("dear", 60)
				if told[answer]++; answer == "refused" {
					c.clock.Advance(time.Minute)
				}
			}
			return told
		},
		"who was shut out, listened and was told to wait once more": func(c *counter) map[string]int {
			c.times(1000, "dear", 60)
			c.clock.Advance(time.Minute)
			c.want(c.times(1, "dear", 60), "served", 1)
			told := c.times(3, "dear", 50)
			c.clock.Advance(2 * time.Second)
			told[c.ask("cheap", 1)]++
			return told
		},
		"who has another budget now": func(c *counter) map[string]int {
			c.ask("all", 60)
			c.times(1000, "dear", 60)
			c.who = key("k", 600)
			c.clock.Advance(6 * time.Second)
			return c.times(1, "cheap", 5)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := standings(t)["memory"](t)
			if told := work(c); told["shut"] > 0 || told["served"] == 0 {
				t.Errorf("answered %v", told)
			}
		})
	}
}

// A flood at fifty times its budget is let in when there is something for it, and no more.
func TestAFloodGetsItsBudget(t *testing.T) {
	t.Parallel()
	c := standings(t)["memory"](t)
	c.ask("all", 60)
	told := map[string]int{}
	for range 50 * 600 {
		c.clock.Advance(20 * time.Millisecond)
		told[c.ask("a point", 1)]++
	}
	if told["served"] < 590 || told["served"] > 600 || told["shut"] < 28_000 {
		t.Errorf("answered %v", told)
	}
}
