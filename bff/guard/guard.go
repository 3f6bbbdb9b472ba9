// Package guard protects each call to a service, so that a failing service costs its callers a bounded time at first,
// and then none.
//
// A call has a share of the deadline of its request, and a slot of a bulkhead, of which one caller has at most half.
// A read, or a write with an idempotency key, that did not reach the service is retried once after a backoff. A cheap
// read that is slower than the 95th percentile is hedged: sent a second time beside the first. A retry budget bounds
// these extra calls to one tenth of all (and ten after a quiet time). After repeated failures a circuit breaker
// opens: calls fail at once, UNAVAILABLE with the reason CIRCUIT_OPEN, until a trial call succeeds. A refusal by the
// service is no failure, and neither is a call that its caller cancelled or left without time.
package guard

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
)

// Options configure a Conn.
type Options struct {
	Service  string        // "trip"
	Timeout  time.Duration // of one call
	Failures int           // in a row, until the breaker opens
	OpenFor  time.Duration // until the open breaker admits a trial call
	InFlight int           // maximum calls in flight, half of them of one caller; default 256
	Wait     time.Duration // maximum wait of a call for a slot
	Hedge    bool          // sends slow reads a second time
	Logger   *slog.Logger
	Metrics  *Metrics // nil counts nothing
}

type breaker = gobreaker.CircuitBreaker[error]

// Conn is a guarded connection.
type Conn struct {
	conn     grpc.ClientConnInterface
	reads    *breaker
	writes   *breaker // of their own: a read-only database still answers reads
	options  Options
	bulkhead *bulkhead
	budget   retryBudget
	latency  latency   // of all methods
	methods  sync.Map  // *method by its full name
	hedges   sync.Pool // of *hedge
}

const defaultInFlight = 256

var _ grpc.ClientConnInterface = (*Conn)(nil)

// Wrap guards a connection whose errors are *errs.Error.
func Wrap(conn grpc.ClientConnInterface, options Options) *Conn {
	if options.InFlight == 0 {
		options.InFlight = defaultInFlight
	}
	c := &Conn{conn: conn, options: options, bulkhead: newBulkhead(options.InFlight)}
	c.budget.tokens = maxTokens
	c.reads, c.writes = c.newBreaker("reads"), c.newBreaker("writes")
	if options.Metrics != nil {
		options.Metrics.register(c)
	}
	return c
}

func (c *Conn) newBreaker(calls string) *breaker {
	return gobreaker.NewCircuitBreaker[error](gobreaker.Settings{
		Name:         c.options.Service,
		Timeout:      c.options.OpenFor,
		MaxRequests:  1,
		ReadyToTrip:  func(counts gobreaker.Counts) bool { return int(counts.ConsecutiveFailures) >= c.options.Failures },
		IsSuccessful: func(err error) bool { return errs.FaultOf(err) != errs.FaultService },
		IsExcluded:   func(err error) bool { return errors.Is(err, errExcluded) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			c.options.Logger.Warn("the circuit breaker of a service changed its state",
				"service", c.options.Service, "calls", calls, "from", from.String(), "to", to.String())
		},
	})
}

// Invoke calls a method.
func (c *Conn) Invoke(ctx context.Context, name string, request, reply any, callOptions ...grpc.CallOption) error {
	first := call{parent: ctx, method: name, request: request, reply: reply, options: callOptions}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	c.budget.deposit()
	m := c.methodOf(name)
	var err error
	if m.hedge && c.options.Hedge {
		err = c.hedged(ctx, cancel, m, first)
	} else {
		err = c.attempt(ctx, m, first)
	}
	if !isUnreachable(err) || !m.retry && !hasIdempotencyKey(request) || !c.budget.withdraw() || !backoff(ctx) {
		return err
	}
	c.options.Metrics.countExtra(c.options.Service, "retry")
	return c.attempt(ctx, m, first)
}

// attempt executes one call in a slot of the bulkhead and through the breaker.
func (c *Conn) attempt(ctx context.Context, m *method, one call) error {
	if isOpen(m.breaker) { // such a call needs no slot
		return c.circuitOpen()
	}
	name := caller.FromContext(ctx).Name()
	slots, ok := c.bulkhead.acquire(ctx, name, c.options.Wait)
	if !ok {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.options.Metrics.countRefused(c.options.Service, "busy")
		return c.refusal(reasonBusy, "the %s service has as many calls as it may", time.Second)
	}
	defer c.bulkhead.release(name, slots)
	result, err := m.breaker.Execute(func() (error, error) {
		started := time.Now()
		result := c.conn.Invoke(ctx, one.method, one.request, one.reply, one.options...)
		took := time.Since(started)
		if result == nil {
			c.latency.observe(took)
			m.latency.observe(took)
		}
		return result, c.countable(result, took)
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return c.circuitOpen()
	}
	return result
}

// errExcluded replaces a result that the breaker must not count.
var errExcluded = errors.New("the result says nothing about the service")

// countable returns the result for the breaker. It excludes a call that the caller cancelled, or left less than half
// of the timeout.
func (c *Conn) countable(result error, took time.Duration) error {
	if result == nil {
		return nil
	}
	switch errs.From(result).Code {
	case errs.Cancelled:
		return errExcluded
	case errs.DeadlineExceeded:
		if took < c.options.Timeout/2 {
			return errExcluded
		}
	}
	return result
}

// Reasons of refusals.
const (
	reasonOpen = "CIRCUIT_OPEN"
	reasonBusy = "SERVICE_BUSY"
)

func (c *Conn) circuitOpen() error {
	c.options.Metrics.countRefused(c.options.Service, "open")
	return c.refusal(reasonOpen, "the %s service is in trouble and gets no calls for a moment", c.options.OpenFor)
}

func (c *Conn) refusal(reason, message string, retryAfter time.Duration) error {
	refusal := errs.New(errs.Unavailable, reason, message, c.options.Service)
	refusal.Service, refusal.RetryAfter = c.options.Service, retryAfter
	return refusal
}

// NewStream opens an unguarded stream: no contract has streams.
func (c *Conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, callOptions ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.conn.NewStream(ctx, desc, method, callOptions...)
}

// IsOpen reports whether a breaker refuses calls.
func (c *Conn) IsOpen() bool { return isOpen(c.reads) || isOpen(c.writes) }

func isOpen(b *breaker) bool { return b.State() == gobreaker.StateOpen }

// isUnreachable reports whether the call did not reach the service.
func isUnreachable(err error) bool {
	if err == nil {
		return false
	}
	e := errs.From(err)
	return e.Code == errs.Unavailable && e.Reason == errs.ReasonServiceDown
}

// backoff waits 20 to 60 ms at random, so that calls which failed together are not retried together; false if the
// deadline is too near.
func backoff(ctx context.Context) bool {
	wait := 20*time.Millisecond + time.Duration(rand.Int64N(int64(40*time.Millisecond)))
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return false
	}
	return clock.Sleep(ctx, clock.System{}, wait) == nil
}
