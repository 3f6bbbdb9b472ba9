package abuse_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/abuse"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

const (
	window   = time.Minute
	failures = 20
	repeats  = 30
	openFor  = 10 * time.Second
)

func watch() *abuse.Callers {
	return abuse.New(abuse.Options{
		Window: window, Failures: failures, Repeats: repeats, OpenFor: openFor, Kept: 100,
		Key: func(ctx context.Context) string { return caller.FromContext(ctx).Name() },
	})
}

func as(t *testing.T, account string) context.Context {
	t.Helper()
	return caller.NewContext(t.Context(), caller.Caller{AccountID: account, Role: caller.Member})
}

// ask has an operation end in a way, unless it is refused; the refusal's reason, or "".
func ask(ctx context.Context, c *abuse.Callers, kind bff.OperationKind, fault bff.Fault) string {
	if err := c.Admit(ctx, kind); err != nil {
		c.Note(ctx, bff.Outcome{Kind: kind, Refused: errs.From(err).Reason})
		return errs.From(err).Reason
	}
	c.Note(ctx, bff.Outcome{Kind: kind, Fault: fault})
	return ""
}

// fails has operations fail by the caller's fault until it is refused, and gives how many there were.
func fails(ctx context.Context, c *abuse.Callers, kind bff.OperationKind, times int) int {
	for i := range times {
		if ask(ctx, c, kind, bff.FaultCaller) != "" {
			return i
		}
	}
	return times
}

func TestWhoFailsIsShutOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, alice, bob := watch(), as(t, "alice"), as(t, "bob")
		if n := fails(alice, c, bff.KindQuery, 100); n != failures {
			t.Fatalf("refused after %d failures, want %d", n, failures)
		}
		err := c.Admit(alice, bff.KindQuery)
		if e := errs.From(err); e == nil || e.Code != errs.ResourceExhausted || e.Reason != abuse.ReasonTripped || e.RetryAfter <= 0 || e.RetryAfter > openFor+time.Millisecond {
			t.Errorf("refused by %#v", err)
		}
		if reason := ask(alice, c, bff.KindMutation, bff.FaultNone); reason != "" {
			t.Errorf("mutations are refused too: %s", reason)
		}
		if reason := ask(bob, c, bff.KindQuery, bff.FaultNone); reason != "" {
			t.Errorf("somebody else is refused: %s", reason)
		}
		time.Sleep(openFor + time.Millisecond)
		if reason := ask(alice, c, bff.KindQuery, bff.FaultCaller); reason != "" {
			t.Errorf("the trial is refused: %s", reason)
		}
		if reason := ask(alice, c, bff.KindQuery, bff.FaultNone); reason != abuse.ReasonTripped {
			t.Errorf("a trial that failed is followed by %q", reason)
		}
		time.Sleep(openFor + time.Millisecond)
		for i := range 10 {
			if reason := ask(alice, c, bff.KindQuery, bff.FaultNone); reason != "" {
				t.Errorf("operation %d of one who has mended is refused: %s", i, reason)
			}
		}
	})
}

// One operation at a time is tried, and one that tells nothing is followed by another.
func TestATrialThatTellsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, alice := watch(), as(t, "alice")
		fails(alice, c, bff.KindQuery, 100)
		time.Sleep(openFor + time.Millisecond)
		if err := c.Admit(alice, bff.KindQuery); err != nil {
			t.Fatal(err)
		}
		if err := c.Admit(alice, bff.KindQuery); err == nil {
			t.Error("a second is let in beside the trial")
		}
		time.Sleep(time.Second)
		if reason := ask(alice, c, bff.KindQuery, bff.FaultOurs); reason != "" {
			t.Errorf("after a trial that never ended: %s", reason)
		}
		time.Sleep(time.Second)
		if reason := ask(alice, c, bff.KindQuery, bff.FaultNone); reason != "" {
			t.Errorf("after a trial that met a fault of ours: %s", reason)
		}
	})
}

func TestWhatShutsNobodyOut(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(ctx context.Context, c *abuse.Callers) string{
		"faults of ours": func(ctx context.Context, c *abuse.Callers) string { return ask(ctx, c, bff.KindQuery, bff.FaultOurs) },
		"conflicts": func(ctx context.Context, c *abuse.Callers) string {
			return ask(ctx, c, bff.KindMutation, bff.FaultNeither)
		},
		"one in five that gives something": func(ctx context.Context, c *abuse.Callers) string {
			if reason := ask(ctx, c, bff.KindQuery, bff.FaultNone); reason != "" {
				return reason
			}
			for range 4 {
				if reason := ask(ctx, c, bff.KindQuery, bff.FaultCaller); reason != "" {
					return reason
				}
			}
			return ""
		},
		"a failure now and then": func(ctx context.Context, c *abuse.Callers) string {
			time.Sleep(window / failures * 2)
			return ask(ctx, c, bff.KindQuery, bff.FaultCaller)
		},
		"want of budget": func(ctx context.Context, c *abuse.Callers) string {
			c.Note(ctx, bff.Outcome{Kind: bff.KindQuery, Refused: "BUDGET_EXHAUSTED"})
			return ask(ctx, c, bff.KindQuery, bff.FaultNone)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, alice := watch(), as(t, "alice")
				for i := range 10 * failures {
					if reason := do(alice, c); reason != "" {
						t.Fatalf("after %d: %s", i, reason)
					}
				}
			})
		})
	}
}

// target is updateDevice on a thing.
func target(entity string) []bff.Target {
	return []bff.Target{{Mutation: "updateDevice", Entity: entity}}
}

// loop calls it until it is refused, and gives how often it was let in.
func loop(ctx context.Context, c *abuse.Callers, entity string, times int, every time.Duration) int {
	for i := range times {
		if err := c.CheckLoop(ctx, target(entity)); err != nil {
			return i
		}
		time.Sleep(every)
	}
	return times
}

func TestAMutationInALoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, alice := watch(), as(t, "alice")
		if n := loop(alice, c, "a", 100, time.Millisecond); n != repeats {
			t.Fatalf("let in %d times, want %d", n, repeats)
		}
		e := errs.From(c.CheckLoop(alice, target("a")))
		if e == nil || e.Code != errs.ResourceExhausted || e.Reason != abuse.ReasonLoop || e.RetryAfter <= 0 || e.RetryAfter > openFor+time.Millisecond {
			t.Errorf("refused by %#v", e)
		}
		if err := c.CheckLoop(alice, target("b")); err != nil {
			t.Errorf("another thing is refused: %v", err)
		}
		if err := c.CheckLoop(alice, []bff.Target{{Mutation: "deleteDevice", Entity: "a"}}); err != nil {
			t.Errorf("another mutation is refused: %v", err)
		}
		if err := c.CheckLoop(as(t, "bob"), target("a")); err != nil {
			t.Errorf("somebody else is refused: %v", err)
		}
		time.Sleep(openFor + time.Millisecond)
		if n := loop(alice, c, "a", 100, time.Millisecond); n != 1 {
			t.Errorf("a loop that goes on is let in %d times, want 1", n)
		}
		time.Sleep(openFor + time.Millisecond)
		if n := loop(alice, c, "a", 100, window/repeats*2); n != 100 {
			t.Errorf("one that has slowed down is refused after %d", n)
		}
	})
}

func TestWhatIsNoLoop(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(ctx context.Context, c *abuse.Callers, i int) error{
		"many things": func(ctx context.Context, c *abuse.Callers, i int) error {
			return c.CheckLoop(ctx, target(fmt.Sprint(i)))
		},
		"slowly": func(ctx context.Context, c *abuse.Callers, _ int) error {
			time.Sleep(window/repeats + time.Millisecond)
			return c.CheckLoop(ctx, target("a"))
		},
		"nothing in particular": func(ctx context.Context, c *abuse.Callers, _ int) error { return c.CheckLoop(ctx, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, alice := watch(), as(t, "alice")
				for i := range 10 * repeats {
					if err := do(alice, c, i); err != nil {
						t.Fatalf("after %d: %v", i, err)
					}
				}
			})
		})
	}
}

func TestUnread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, alice := watch(), as(t, "alice")
		fails(alice, c, bff.KindQuery, 100)
		for document, refused := range map[string]bool{
			"{ viewer }":                     true,
			"mutation { logout }":            false, // it may be one, and those are not refused
			"subscription { x }":             false,
			"{ a } # neither this nor that ": true,
		} {
			if err := c.Unread(alice, document); (err != nil) != refused {
				t.Errorf("%q: %v", document, err)
			}
		}
		fails(alice, c, bff.KindMutation, 100)
		if err := c.Unread(alice, "mutation { logout }"); err == nil {
			t.Error("a mutation is read though both kinds are refused")
		}
		if err := c.Unread(as(t, "bob"), "{ viewer }"); err != nil {
			t.Errorf("somebody else is refused: %v", err)
		}
	})
}

// An operator sees who is shut out and why, and lets them in.
func TestUsageAndRelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, alice, bob := watch(), as(t, "alice"), as(t, "bob")
		since := time.Now()
		fails(alice, c, bff.KindQuery, failures+5)
		loop(alice, c, "a", repeats+1, 0)
		ask(bob, c, bff.KindQuery, bff.FaultOurs)
		c.Note(bob, bff.Outcome{Kind: bff.KindQuery, Points: 7})

		all, err := c.Usage(t.Context(), bff.LastMinute)
		if err != nil || len(all) != 2 {
			t.Fatalf("told of %d, %v", len(all), err)
		}
		a, b := all[0], all[1]
		if a.Name != "alice" || a.Kind != bff.CallerAccount || a.AccountID != "alice" || a.Failed != failures || a.Refused != 1 || a.Requests != failures+1 {
			t.Errorf("alice: %+v", a)
		}
		if len(a.Refusals) != 1 || *a.Refusals[0] != (bff.RefusalCount{Reason: abuse.ReasonTripped, Count: 1}) {
			t.Errorf("alice was refused %+v", a.Refusals)
		}
		if len(a.Breakers) != 2 || a.Breakers[0].State != bff.BreakerOpen || a.Breakers[0].Reason != abuse.ReasonTripped || !a.Breakers[0].Since.Equal(since) ||
			!a.Breakers[0].RetryAt.Equal(since.Add(openFor)) || *a.Breakers[1].Entity != "a" || *a.Breakers[1].Mutation != "updateDevice" {
			t.Errorf("alice is shut out by %+v", a.Breakers)
		}
		if b.Requests != 2 || b.Faults != 1 || b.Failed != 0 || b.Points != 7 || len(b.Breakers) != 0 {
			t.Errorf("bob: %+v", b)
		}
		if left, err := c.Release(t.Context(), "alice"); err != nil || len(left.Breakers) != 0 {
			t.Errorf("released: %+v, %v", left, err)
		}
		if reason := ask(alice, c, bff.KindQuery, bff.FaultNone); reason != "" || c.CheckLoop(alice, target("a")) != nil {
			t.Errorf("after the release: %q", reason)
		}
		if _, err := c.Release(t.Context(), "nobody"); errs.From(err).Code != errs.NotFound {
			t.Errorf("nobody is released: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if all, _ := c.Usage(t.Context(), bff.LastMinute); len(all) != 0 {
			t.Errorf("after two quiet minutes: %+v", all)
		}
		if all, _ := c.Usage(t.Context(), bff.LastHour); len(all) != 2 {
			t.Errorf("within the hour: %+v", all)
		}
	})
}

func TestCallersAreBounded(t *testing.T) {
	t.Parallel()
	c := watch()
	for i := range 1000 {
		ask(as(t, fmt.Sprint("passer-by ", i)), c, bff.KindQuery, bff.FaultCaller)
	}
	if all, err := c.Usage(t.Context(), bff.LastMinute); err != nil || len(all) != 100 {
		t.Errorf("%d are kept, %v", len(all), err)
	}
}

func holds() (caller.Caller, error) { return caller.Caller{}, nil }

func doesNotHold() (caller.Caller, error) {
	return caller.Caller{}, errs.New(errs.Unauthenticated, "TOKEN_INVALID", "no")
}

// A network that guesses is refused before anything is verified; one that also knows is not.
func TestCredentialsThatDoNotHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, guesser, office := watch(), as(t, "guesser"), as(t, "office")
		for range failures {
			_, _ = c.Verify(guesser, doesNotHold)
			_, _ = c.Verify(office, doesNotHold)
			_, _ = c.Verify(office, holds)
		}
		if _, err := c.Verify(guesser, holds); errs.From(err) == nil || errs.From(err).Reason != abuse.ReasonTripped {
			t.Errorf("the guesser is answered %v", err)
		}
		if _, err := c.Verify(office, holds); err != nil {
			t.Errorf("the office is refused: %v", err)
		}
		if err := c.Admit(guesser, bff.KindQuery); err != nil {
			t.Errorf("without credentials the guesser is refused: %v", err)
		}
	})
}
