package overload_test

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff/overload"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/worker"
)

const target = 20 * time.Millisecond

type spentKey struct{}

func gate(queueTime time.Duration) *overload.Gate {
	return overload.New(overload.Options{
		QueueTime: queueTime, Interval: 10 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		Spent: func(ctx context.Context) float64 {
			share, _ := ctx.Value(spentKey{}).(float64)
			return share
		},
	})
}

// The more there is to do, the more is refused, the cheapest first.
func TestWhatIsRefusedFirst(t *testing.T) {
	t.Parallel()
	nobody := t.Context()
	member := caller.NewContext(nobody, caller.Caller{AccountID: "a", Role: caller.Member})
	key := caller.NewContext(nobody, caller.Caller{APIKeyID: "k", Role: caller.Member})
	spender := context.WithValue(key, spentKey{}, 0.6)
	g := gate(target)
	for level := overload.Normal; level <= overload.Everything; level++ {
		for name, c := range map[string]struct {
			ctx      context.Context
			document string
			until    overload.Level // it is let in
		}{
			"nobody":                    {nobody, "{ a }", overload.Normal},
			"nobody's mutation":         {nobody, "mutation { login }", overload.Normal},
			"a key over half":           {spender, "{ a }", overload.Anonymous},
			"a key":                     {key, "{ a }", overload.Spenders},
			"member":                    {member, "{ a }", overload.Spenders},
			"a mutation of member":      {member, "mutation { b }", overload.Others},
			"a mutation of the spender": {spender, "mutation { b }", overload.Others},
		} {
			err := g.Admit(c.ctx, c.document)
			if (err == nil) != (level <= c.until) {
				t.Errorf("at level %d %s is answered %v", level, name, err)
			}
			if e := errs.From(err); err != nil && (e.Code != errs.Unavailable || e.Reason != overload.Reason || e.RetryAfter < time.Second || e.RetryAfter > 2*time.Second) {
				t.Errorf("refused by %#v", e)
			}
		}
		g.Observe(2 * target)
	}
}

func TestTheLevelFollowsTheQueue(t *testing.T) {
	t.Parallel()
	g := gate(target)
	for i, step := range []struct {
		waited time.Duration
		want   overload.Level
	}{
		{0, 0}, {target, 0}, {target + 1, 1}, {target, 1}, {target/2 + 1, 1}, {time.Second, 2}, {time.Second, 3}, {time.Second, 4}, {time.Second, 4},
		{target / 4, 3}, {0, 2}, {0, 1}, {0, 0}, {0, 0},
	} {
		g.Observe(step.waited)
		if g.Level() != step.want {
			t.Errorf("step %d: after a wait of %s the level is %d, want %d", i, step.waited, g.Level(), step.want)
		}
	}
}

// With more ready than processors can take work waits, and the gate sees it; when that is over, it calms down.
func TestABusyProcess(t *testing.T) {
	g := gate(2 * time.Millisecond)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	all.Go(func() { _ = worker.RunAll(ctx, worker.Options{}, g.Loops()...) })

	var over atomic.Bool
	var busy sync.WaitGroup
	for range 50 * runtime.GOMAXPROCS(0) {
		busy.Go(func() {
			for !over.Load() {
				for range 100_000 { // some work, then member else's turn
				}
				runtime.Gosched()
			}
		})
	}
	await(t, "the gate refuses", func() bool { return g.Level() >= overload.Anonymous })
	over.Store(true)
	busy.Wait()
	await(t, "the level is normal", func() bool { return g.Level() == overload.Normal })
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.After(time.Minute); !holds(); {
		select {
		case <-deadline:
			t.Fatalf("it never came about that %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestNoTarget(t *testing.T) {
	t.Parallel()
	g := gate(0)
	if len(g.Loops()) != 0 || g.Admit(t.Context(), "{ a }") != nil {
		t.Error("without a target something is measured or refused")
	}
}
