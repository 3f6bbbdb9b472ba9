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
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

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
	early    *lru.Cache[string, early]
	latest   *lru.Cache[string, bff.Budget] // what was left
	mu       sync.Mutex
	inFlight map[string]int // only callers with a request in flight
}

// early is what a caller was told when it was refused a document.
type early struct {
	document uint64
	until    time.Time // there can be enough
	points   int
	left     bff.Budget
}

// keptEarly is of how many callers that is kept.
const keptEarly = 10_000

var _ bff.Budgets = (*Callers)(nil)

// New keeps the callers' budgets in the ledger.
func New(ledger Ledger, options Options) *Callers {
	if options.Clock == nil {
		options.Clock = clock.System{}
	}
	refused, _ := lru.New[string, early](keptEarly) // only a size below 1 is refused
	latest, _ := lru.New[string, bff.Budget](keptEarly)
	return &Callers{ledger: ledger, options: options, early: refused, latest: latest, inFlight: map[string]int{}, seed: maphash.MakeSeed()}
}

// Take takes points for a document from the budget of the context's caller. More than the whole budget
// is INVALID_ARGUMENT: no waiting would help.
func (c *Callers) Take(ctx context.Context, document string, points int) (bff.Budget, error) {
	key, limit := c.holder(ctx)
	if points <= limit {
		left, err := c.ledger.Take(ctx, key, limit, points)
		c.latest.Add(key, left)
		if err != nil {
			c.early.Add(key, early{maphash.String(c.seed, document), c.options.Clock.Now().Add(errs.From(err).RetryAfter - time.Millisecond), points, left})
		}
		return left, err
	}
	budget, err := c.ledger.Take(ctx, key, limit, 0)
	if err != nil {
		return budget, err
	}
	return budget, errs.New(errs.InvalidArgument, "QUERY_TOO_EXPENSIVE", "the query costs %d points, and you may spend %d a minute", points, limit)
}

// Early refuses a caller that was refused the document, and comes back before it was told to, without
// a look at the ledger. What it was refused is told again.
func (c *Callers) Early(ctx context.Context, document string) (left bff.Budget, points int, err error) {
	key, limit := c.holder(ctx)
	told, known := c.early.Get(key)
	if !known || document == "" || told.left.Limit != limit || told.document != maphash.String(c.seed, document) {
		return bff.Budget{}, 0, nil
	}
	wait := told.until.Sub(c.options.Clock.Now())
	if wait <= 0 {
		return bff.Budget{}, 0, nil
	}
	return told.left, told.points, exhausted(told.points, told.left, wait)
}

// Spent is the share of its budget that the context's caller had spent when it last took of it, 0 to 1;
// 0 for a caller that is not known.
func (c *Callers) Spent(ctx context.Context) float64 {
	key, _ := c.holder(ctx)
	left, known := c.latest.Get(key)
	if !known || left.Limit == 0 {
		return 0
	}
	return 1 - float64(left.Remaining)/float64(left.Limit)
}

// Give gives points back to the context's caller.
func (c *Callers) Give(ctx context.Context, points int) {
	key, limit := c.holder(ctx)
	c.early.Remove(key) // there may be enough now
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
func Key(ctx context.Context) string {
	if who := caller.FromContext(ctx); who.Known() {
		return who.Name()
	}
	return network(ctx)
}

// holder tells whose budget the context's caller spends, and what it is.
func (c *Callers) holder(ctx context.Context) (key string, limit int) {
	who := caller.FromContext(ctx)
	switch {
	case who.APIKeyID != "" && who.PointsPerMinute > 0:
		return who.APIKeyID, who.PointsPerMinute
	case who.Known():
		return who.Name(), c.options.Account
	}
	return network(ctx), c.options.Anonymous
}

// budget is what is left of a limit.
func budget(limit, remaining int) bff.Budget {
	return bff.Budget{Limit: limit, Remaining: remaining, RestorePerSecond: float64(limit) / 60}
}

// exhausted refuses points, which there will be after the wait.
func exhausted(points int, left bff.Budget, wait time.Duration) error {
	wait = max(wait.Truncate(time.Millisecond)+time.Millisecond, 0)
	refusal := errs.New(errs.ResourceExhausted, "BUDGET_EXHAUSTED", "the query costs %d points and you have %d left: come back in %s", points, left.Remaining, wait)
	refusal.RetryAfter = wait
	return refusal
}
