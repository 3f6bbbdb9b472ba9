// Package overload sheds load while the process has more work than its processors can do.
//
// The measure is the scheduler's latency of runnable goroutines, so everything in the process counts, and a slow
// service does not. When its median over an interval is above a target, the level rises by one; below half of the
// target, it falls by one. Each level refuses more: anonymous callers, then callers with less than half of their
// budget, then all operations except mutations of signed-in callers, then these too. Health checks always pass. A
// refusal has a RetryAfter with jitter. The level returns to normal within seconds.
package overload

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/worker"
)

// Reason is the reason of every refusal by load shedding.
const Reason = "OVERLOADED"

// Level selects the operations that are refused.
type Level int32

// The levels. Each one includes the levels before it.
const (
	Normal     Level = iota
	Anonymous        // anonymous callers
	Spenders         // callers with less than half of their budget
	Others           // all except mutations of signed-in callers
	Everything       // mutations of signed-in callers too
)

// Options set the target of the queue time.
type Options struct {
	QueueTime time.Duration // 0 never refuses
	Interval  time.Duration // between two measurements
	// Spent returns the spent share of the budget of the context's caller, 0 to 1.
	Spent    func(ctx context.Context) float64
	Logger   *slog.Logger
	Registry prometheus.Registerer // nil exports no metrics
}

// Gate refuses operations by the level. It is safe for concurrent use.
type Gate struct {
	options Options
	level   atomic.Int32
	waited  atomic.Int64 // of the last interval
}

// New returns a gate at the level Normal.
func New(options Options) *Gate {
	g := &Gate{options: options}
	if options.Registry != nil {
		options.Registry.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "sluice_overload_level", Help: "What is refused: 1 who has not signed in, 2 who has spent half, 3 all but mutations, 4 all.",
			}, func() float64 { return float64(g.Level()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "sluice_overload_queue_seconds", Help: "How long work that was ready waited for a processor, in the middle of all.",
			}, func() float64 { return time.Duration(g.waited.Load()).Seconds() }),
		)
	}
	return g
}

// Loops returns the loop that measures the queue time; none if nothing is ever refused.
func (g *Gate) Loops() []worker.Loop {
	if g.options.QueueTime <= 0 {
		return nil
	}
	queue := newQueue()
	return []worker.Loop{{Name: "overload", Interval: g.options.Interval, Pass: func(context.Context) error {
		g.Observe(queue.median())
		return nil
	}}}
}

// Observe updates the level from the median queue time of an interval.
func (g *Gate) Observe(waited time.Duration) {
	g.waited.Store(int64(waited))
	before := g.Level()
	after := before
	switch {
	case waited > g.options.QueueTime:
		after = min(before+1, Everything)
	case waited < g.options.QueueTime/2:
		after = max(before-1, Normal)
	}
	g.level.Store(int32(after))
	if (before == Normal) != (after == Normal) {
		g.options.Logger.Warn("overload", "refusing", after != Normal, "waited", waited)
	}
}

// Level returns the current level.
func (g *Gate) Level() Level { return Level(g.level.Load()) }

// Admit refuses a document of the context's caller, UNAVAILABLE, by the level. The document is not parsed yet.
func (g *Gate) Admit(ctx context.Context, document string) error {
	level := g.Level()
	if level == Normal || level < g.rank(ctx, document) {
		return nil
	}
	wait := time.Second + time.Duration(rand.Int64N(int64(time.Second))).Truncate(time.Millisecond)
	e := errs.New(errs.Unavailable, Reason, "the gateway is overloaded: retry in %s", wait)
	e.RetryAfter = wait
	return e
}

func (g *Gate) rank(ctx context.Context, document string) Level {
	switch {
	case !caller.FromContext(ctx).Known():
		return Anonymous
	case strings.Contains(document, "mutation"):
		return Everything
	case g.options.Spent(ctx) > 0.5:
		return Spenders
	}
	return Others
}
