// Package overload sheds requests while the process has more to do than it can.
//
// What is measured is how long work that is ready waits for a processor: the scheduler's own figure, so
// that requests, streams and services in the same process all count, and a slow service does not. When
// half of all that ran in an interval has waited longer than a target, the level rises by one; when
// half has waited less than half of it, the level falls by one. Each level refuses more: those who have
// not signed in, then whoever has spent more than half of its budget, then all but mutations of those
// who are signed in, in the end those too. Health is never refused.
//
// It promises: a refusal says when to come back, not to all the same; nothing is refused while work
// does not wait, and nothing for long once it does not.
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
)

// Reason is that of all refusals here.
const Reason = "OVERLOADED"

// Level is how much is refused.
type Level int32

// The levels: each refuses what those before it do, too.
const (
	Calm       Level = iota
	Anonymous        // those who have not signed in
	Spenders         // whoever has spent more than half of its budget
	Others           // all but mutations of those who are signed in
	Everything       // those too
)

// Options say what is too long.
type Options struct {
	QueueTime time.Duration // 0 never refuses
	Interval  time.Duration // between looks
	// Spent tells the share of its budget that the context's caller has spent, 0 to 1.
	Spent    func(ctx context.Context) float64
	Logger   *slog.Logger
	Registry prometheus.Registerer // nil: nobody looks
}

// Gate refuses by the level. It is safe for concurrent use.
type Gate struct {
	options Options
	level   atomic.Int32
	waited  atomic.Int64 // of the last interval
}

// New gives a calm gate.
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

// Run looks at the scheduler until ctx ends.
func (g *Gate) Run(ctx context.Context) error {
	if g.options.QueueTime <= 0 {
		<-ctx.Done()
		return nil
	}
	queue := newQueue()
	tick := time.NewTicker(g.options.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			g.Observe(queue.middle())
		}
	}
}

// Observe is told how long work waited in an interval, in the middle of all.
func (g *Gate) Observe(waited time.Duration) {
	g.waited.Store(int64(waited))
	before := g.Level()
	after := before
	switch {
	case waited > g.options.QueueTime:
		after = min(before+1, Everything)
	case waited < g.options.QueueTime/2:
		after = max(before-1, Calm)
	}
	g.level.Store(int32(after))
	if (before == Calm) != (after == Calm) {
		g.options.Logger.Warn("overload", "refusing", after != Calm, "waited", waited)
	}
}

// Level is how much is refused now.
func (g *Gate) Level() Level { return Level(g.level.Load()) }

// Admit refuses a document of the context's caller, UNAVAILABLE, while there is too much to do. It goes
// by the text: nothing has been read yet.
func (g *Gate) Admit(ctx context.Context, document string) error {
	level := g.Level()
	if level == Calm || level < g.rank(ctx, document) {
		return nil
	}
	wait := time.Second + time.Duration(rand.Int64N(int64(time.Second))).Truncate(time.Millisecond)
	e := errs.New(errs.Unavailable, Reason, "there is more to do than can be done: come back in %s", wait)
	e.RetryAfter = wait
	return e
}

// rank is the first level at which the document is refused.
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
