// Package quota says what a caller may spend: points by time, and requests at once.
//
// Every caller has a budget of points, restored continuously: an API key by its own limit, an
// account by that of the settings, and whoever has not signed in by network address. A Ledger keeps
// the budgets: Memory for one gateway, Shared for many, in Redis.
//
// It promises: points are taken all or none, and before they are spent; a refusal says when to come
// back, and then there are enough; a caller costs a bounded amount of memory, and so do all callers
// together; when Redis is away each gateway counts by itself and none stops counting.
package quota

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
)

// Ledger keeps what callers have left. A limit is both what comes back in a minute and what there is
// at most. A key that is not known has its whole budget.
type Ledger interface {
	// Take takes the points, all or none; 0 points only looks. What is left is told in both cases. A
	// refusal is RESOURCE_EXHAUSTED with the time after which there will be as many; more than the
	// limit may not be asked for.
	Take(ctx context.Context, key string, limit, points int) (bff.Budget, error)
	// Give gives points back, up to the limit.
	Give(ctx context.Context, key string, limit, points int)
}

// ReasonExhausted is that of refusals for want of points.
const ReasonExhausted = "BUDGET_EXHAUSTED"

// Options say what callers may spend.
type Options struct {
	Account   int // points a minute
	Anonymous int // points a minute, of a network address
	InFlight  int // requests at once
	Clock     clock.Clock
}

// Callers is what all callers have left. It is safe for concurrent use.
type Callers struct {
	ledger  Ledger
	options Options

	seed     maphash.Seed
	known    *otter.Cache[string, *standing]
	shuts    latest // until when anybody is shut out
	mu       sync.Mutex
	inFlight map[string]int // only callers with a request in flight
}

// keptKnown is of how many callers it is kept what they were told, about 300 bytes each.
const keptKnown = 10_000

var _ bff.Budgets = (*Callers)(nil)

// New keeps the callers' budgets in the ledger.
func New(ledger Ledger, options Options) *Callers {
	if options.Clock == nil {
		options.Clock = clock.System{}
	}
	known := otter.Must(&otter.Options[string, *standing]{MaximumSize: keptKnown, Executor: func(evict func()) { evict() }})
	return &Callers{ledger: ledger, options: options, known: known, inFlight: map[string]int{}, seed: maphash.MakeSeed()}
}

// Take takes points for a document from the budget of the context's caller. More than the whole budget
// is INVALID_ARGUMENT: no waiting would help.
func (c *Callers) Take(ctx context.Context, document string, points int) (bff.Budget, error) {
	key, limit := c.holder(ctx)
	if points <= limit {
		left, err := c.ledger.Take(ctx, key, limit, points)
		told := uint64(0)
		if err != nil {
			told = c.hash(document)
		}
		c.standing(key).took(told, points, left, err, c.options.Clock.Now())
		return left, err
	}
	budget, err := c.ledger.Take(ctx, key, limit, 0)
	if err != nil {
		return budget, err
	}
	return budget, errs.New(errs.InvalidArgument, "QUERY_TOO_EXPENSIVE", "the query costs %d points, and you may spend %d a minute", points, limit)
}

// standing is what is known of the caller.
func (c *Callers) standing(key string) *standing {
	if s, known := c.known.GetIfPresent(key); known {
		return s
	}
	s, _ := c.known.SetIfAbsent(key, &standing{shuts: &c.shuts})
	return s
}

// hash tells documents apart; 0 for none.
func (c *Callers) hash(document string) uint64 {
	if document == "" {
		return 0
	}
	return max(maphash.String(c.seed, document), 1)
}

// Early refuses a caller that was refused the document, and comes back before it was told to, without
// a look at the ledger. What it was refused is told again.
func (c *Callers) Early(ctx context.Context, document string) (left bff.Budget, points int, err error) {
	key, limit := c.holder(ctx)
	s, known := c.known.GetIfPresent(key)
	if !known || document == "" {
		return bff.Budget{}, 0, nil
	}
	left, points, wait := s.again(c.hash(document), limit, c.options.Clock.Now())
	if wait <= 0 {
		return bff.Budget{}, 0, nil
	}
	return left, points, exhausted(points, left, wait)
}

// ShutsAnybody tells whether there may be somebody whom Shut refuses, and costs nothing.
func (c *Callers) ShutsAnybody() bool { return c.shuts.after(c.options.Clock.Now()) }

// Shut refuses a caller that keeps coming back before it was told to, whatever it asks, until the
// earliest of the times that it was told; 0 lets it in. The key is KeyOf the caller.
func (c *Callers) Shut(who caller.Caller, key string) (left bff.Budget, wait time.Duration) {
	s, known := c.known.GetIfPresent(key)
	if !known {
		return bff.Budget{}, 0
	}
	left, wait = s.shut(c.limit(who), c.options.Clock.Now())
	if wait <= 0 {
		return bff.Budget{}, 0
	}
	return left, inMilliseconds(wait)
}

// Spent is the share of its budget that the context's caller had spent when it last took of it, 0 to 1;
// 0 for a caller that is not known.
func (c *Callers) Spent(ctx context.Context) float64 {
	key, _ := c.holder(ctx)
	if s, known := c.known.GetIfPresent(key); known {
		return s.spent()
	}
	return 0
}

// Give gives points back to the context's caller.
func (c *Callers) Give(ctx context.Context, points int) {
	key, limit := c.holder(ctx)
	if s, known := c.known.GetIfPresent(key); known {
		s.given()
	}
	c.ledger.Give(ctx, key, limit, points)
}

// Enter lets a request of the context's caller in, as long as there are not too many of them. The
// request calls leave, once, when it has ended.
func (c *Callers) Enter(ctx context.Context) (leave func(), err error) {
	key, _ := c.holder(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inFlight[key] >= c.options.InFlight {
		refusal := errs.New(errs.ResourceExhausted, "TOO_MANY_REQUESTS_IN_FLIGHT", "you have %d requests in flight: wait for one of them to end", c.options.InFlight)
		refusal.RetryAfter = time.Second
		return nil, refusal
	}
	c.inFlight[key]++
	return func() { c.left(key) }, nil
}

func (c *Callers) left(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inFlight[key]--; c.inFlight[key] == 0 {
		delete(c.inFlight, key)
	}
}

// Key names the context's caller, as in what it spends and how it behaves: the API key, else the
// account, else the network.
func Key(ctx context.Context) string { return KeyOf(caller.FromContext(ctx), Address(ctx)) }

// KeyOf is the Key of a caller that comes from the address.
func KeyOf(who caller.Caller, from netip.Addr) string {
	if who.Known() {
		return who.Name()
	}
	return network(from)
}

// holder tells whose budget the context's caller spends, and what it is.
func (c *Callers) holder(ctx context.Context) (key string, limit int) {
	who := caller.FromContext(ctx)
	return KeyOf(who, Address(ctx)), c.limit(who)
}

func (c *Callers) limit(who caller.Caller) int {
	switch {
	case !who.Known():
		return c.options.Anonymous
	case who.APIKeyID != "" && who.PointsPerMinute > 0:
		return who.PointsPerMinute
	}
	return c.options.Account
}

// budget is what is left of a limit.
func budget(limit, remaining int) bff.Budget {
	return bff.Budget{Limit: limit, Remaining: remaining, RestorePerSecond: float64(limit) / 60}
}

// exhausted refuses points, which there will be after the wait.
func exhausted(points int, left bff.Budget, wait time.Duration) error {
	wait = inMilliseconds(wait)
	refusal := errs.New(errs.ResourceExhausted, ReasonExhausted, "the query costs %d points and you have %d left: come back in %s", points, left.Remaining, wait)
	refusal.RetryAfter = wait
	return refusal
}

// inMilliseconds is a wait in whole milliseconds, after which it is over.
func inMilliseconds(wait time.Duration) time.Duration {
	return max(wait.Truncate(time.Millisecond)+time.Millisecond, 0)
}
