// Package quota limits what each caller may use: points by time, and requests in flight.
//
// Each caller has a budget of points that refills continuously: an API key has its own limit, an account the limit of
// the settings, and an anonymous client shares the budget of its network address. A Ledger counts the budgets: Memory
// for one gateway, Shared for several, in Redis.
//
// Points are taken all or none, before the operation runs. A refusal has a RetryAfter, after which a retry finds
// enough points. The memory is bounded. Without Redis each gateway counts in its own memory.
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

// Ledger counts the budgets of callers by key. A limit is both the refill per minute and the size of the token
// bucket. An unknown key has a full budget.
type Ledger interface {
	// Charge takes the points, all or none, and returns the rest in both cases; 0 points only read it. A refusal is
	// RESOURCE_EXHAUSTED with the time until there are enough points. The points must not exceed the limit.
	Charge(ctx context.Context, key string, limit, points int) (bff.Budget, error)
	// Refund refunds points, up to the limit.
	Refund(ctx context.Context, key string, limit, points int)
}

// ReasonExhausted means that the budget has too few points.
const ReasonExhausted = "BUDGET_EXHAUSTED"

// Options are the limits of callers.
type Options struct {
	Account   int // points a minute
	Anonymous int // points a minute for a network address
	InFlight  int // concurrent requests
	Clock     clock.Clock
}

// Callers are the budgets of all callers. It is safe for concurrent use.
type Callers struct {
	ledger  Ledger
	options Options

	seed         maphash.Seed
	records      *otter.Cache[string, *record]
	blockedUntil latestTime // until when any caller is blocked
	mu           sync.Mutex
	inFlight     map[string]int // of callers with a request in flight
}

// maxRecords bounds the callers with a record, about 300 bytes each.
const maxRecords = 10_000

var _ bff.Budgets = (*Callers)(nil)

// New returns Callers whose budgets the ledger counts.
func New(ledger Ledger, options Options) *Callers {
	if options.Clock == nil {
		options.Clock = clock.System{}
	}
	records := otter.Must(&otter.Options[string, *record]{MaximumSize: maxRecords, Executor: func(evict func()) { evict() }})
	return &Callers{ledger: ledger, options: options, records: records, inFlight: map[string]int{}, seed: maphash.MakeSeed()}
}

// Charge implements bff.Budgets. More points than the whole budget are INVALID_ARGUMENT, because no retry can
// succeed.
func (c *Callers) Charge(ctx context.Context, document string, points int) (bff.Budget, error) {
	key, limit := c.keyAndLimit(ctx)
	if points <= limit {
		left, err := c.ledger.Charge(ctx, key, limit, points)
		refused := uint64(0)
		if err != nil {
			refused = c.hash(document)
		}
		c.recordOf(key).update(refused, points, left, err, c.options.Clock.Now())
		return left, err
	}
	left, err := c.ledger.Charge(ctx, key, limit, 0)
	if err != nil {
		return left, err
	}
	return left, errs.New(errs.InvalidArgument, "QUERY_TOO_EXPENSIVE", "the query costs %d points, and you may spend %d a minute", points, limit)
}

func (c *Callers) recordOf(key string) *record {
	if r, known := c.records.GetIfPresent(key); known {
		return r
	}
	r, _ := c.records.SetIfAbsent(key, &record{blockedUntil: &c.blockedUntil})
	return r
}

func (c *Callers) hash(document string) uint64 {
	if document == "" {
		return 0
	}
	return max(maphash.String(c.seed, document), 1)
}

// CheckRepeat refuses a document that the context's caller retries before its RetryAfter, without a lookup in the
// ledger.
func (c *Callers) CheckRepeat(ctx context.Context, document string) (left bff.Budget, points int, err error) {
	key, limit := c.keyAndLimit(ctx)
	r, known := c.records.GetIfPresent(key)
	if !known || document == "" {
		return bff.Budget{}, 0, nil
	}
	left, points, wait := r.checkRepeat(c.hash(document), limit, c.options.Clock.Now())
	if wait <= 0 {
		return bff.Budget{}, 0, nil
	}
	return left, points, exhausted(points, left, wait)
}

// AnyBlocked reports whether any caller may be blocked, by one atomic load.
func (c *Callers) AnyBlocked() bool { return c.blockedUntil.after(c.options.Clock.Now()) }

// Blocked returns how long a caller that repeatedly retries too early is blocked for any request, until its earliest
// RetryAfter; 0 admits it. The key is KeyOf the caller.
func (c *Callers) Blocked(who caller.Caller, key string) (left bff.Budget, wait time.Duration) {
	r, known := c.records.GetIfPresent(key)
	if !known {
		return bff.Budget{}, 0
	}
	left, wait = r.checkBlock(c.limit(who), c.options.Clock.Now())
	if wait <= 0 {
		return bff.Budget{}, 0
	}
	return left, ceilMilliseconds(wait)
}

// SpentShare returns the spent share of the context's caller's budget at its last request, 0 to 1; 0 if unknown.
func (c *Callers) SpentShare(ctx context.Context) float64 {
	key, _ := c.keyAndLimit(ctx)
	if r, known := c.records.GetIfPresent(key); known {
		return r.spentShare()
	}
	return 0
}

// Refund implements bff.Budgets.
func (c *Callers) Refund(ctx context.Context, points int) {
	key, limit := c.keyAndLimit(ctx)
	if r, known := c.records.GetIfPresent(key); known {
		r.refunded()
	}
	c.ledger.Refund(ctx, key, limit, points)
}

// Acquire acquires a slot for a request of the context's caller, or refuses it without a free slot. The request calls
// release once.
func (c *Callers) Acquire(ctx context.Context) (release func(), err error) {
	key, _ := c.keyAndLimit(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inFlight[key] >= c.options.InFlight {
		refusal := errs.New(errs.ResourceExhausted, "TOO_MANY_REQUESTS_IN_FLIGHT", "you have %d requests in flight: wait for one of them to end", c.options.InFlight)
		refusal.RetryAfter = time.Second
		return nil, refusal
	}
	c.inFlight[key]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.inFlight[key]--; c.inFlight[key] == 0 {
			delete(c.inFlight, key)
		}
	}, nil
}

// Key returns the key of the context's caller, for budgets and usage: the API key, else the account, else the
// network.
func Key(ctx context.Context) string { return KeyOf(caller.FromContext(ctx), Address(ctx)) }

// KeyOf returns the Key of a caller with this network address.
func KeyOf(who caller.Caller, from netip.Addr) string {
	if who.Known() {
		return who.Name()
	}
	return network(from)
}

func (c *Callers) keyAndLimit(ctx context.Context) (key string, limit int) {
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

func budget(limit, remaining int) bff.Budget {
	return bff.Budget{Limit: limit, Remaining: remaining, RestorePerSecond: float64(limit) / 60}
}

// exhausted returns the refusal of points that will be available after the wait.
func exhausted(points int, left bff.Budget, wait time.Duration) error {
	wait = ceilMilliseconds(wait)
	refusal := errs.New(errs.ResourceExhausted, ReasonExhausted, "the query costs %d points and you have %d left: retry in %s", points, left.Remaining, wait)
	refusal.RetryAfter = wait
	return refusal
}

func ceilMilliseconds(wait time.Duration) time.Duration {
	return max(wait.Truncate(time.Millisecond)+time.Millisecond, 0)
}
