// Package guard stands around every call to a service, so that a service in trouble costs its
// callers a bounded time, and then nothing.
//
// A call gets its share of the request's deadline, and a place among those under way, of which there
// is a bounded number, half of it for one caller at most. A read that found nobody, or a write with an
// idempotency key, is tried once more after a moment; a cheap read that is later than nineteen in twenty
// is made a second time beside. Such extra calls are one in ten of all at most (and ten after a quiet
// time). When calls keep failing the breaker opens: callers are answered at once, UNAVAILABLE with the
// reason CIRCUIT_OPEN, until a trial call succeeds. Refusals are answers: they never open it, and
// neither do callers that go away or that leave no time.
package guard

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/sony/gobreaker/v2"
	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
)

// Options say how patient callers of a service are.
type Options struct {
	Service  string        // "trip"
	Timeout  time.Duration // most time of one call
	Failures int           // in a row, until the breaker opens
	OpenFor  time.Duration // until a call is tried again
	InFlight int           // most calls under way, half of them of one caller; 256 when 0
	Wait     time.Duration // most time that a call waits for one of them to end
	Hedge    bool          // reads that are late are made a second time beside
	Logger   *slog.Logger
	Metrics  *Metrics // nil: nobody looks
}

// Conn is a guarded connection.
type Conn struct {
	conn    grpc.ClientConnInterface
	breaker *gobreaker.CircuitBreaker[struct{}]
	options Options
	room    chan struct{} // one in it for each call under way
	shares  shares
	spare   spare
	all     latency // of all methods
	methods latencies
}

// usualInFlight is how many calls may be under way when nothing is said.
const usualInFlight = 256

var _ grpc.ClientConnInterface = (*Conn)(nil)

// Wrap guards the connection, whose errors are *errs.Error.
func Wrap(conn grpc.ClientConnInterface, options Options) *Conn {
	if options.InFlight == 0 {
		options.InFlight = usualInFlight
	}
	c := &Conn{conn: conn, options: options, room: make(chan struct{}, options.InFlight), methods: latencies{byMethod: map[string]*latency{}}}
	c.shares = shares{most: max(options.InFlight/2, 1), of: map[string]*share{}}
	c.spare.left = mostSpare
	c.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         options.Service,
		Timeout:      options.OpenFor,
		MaxRequests:  1,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return int(c.ConsecutiveFailures) >= options.Failures },
		IsSuccessful: isAnswer,
		IsExcluded:   func(err error) bool { return errors.Is(err, errTellsNothing) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			options.Logger.Warn("breaker", "service", options.Service, "from", from.String(), "to", to.String())
		},
	})
	if options.Metrics != nil {
		options.Metrics.watch(c)
	}
	return c
}

// Invoke makes a call.
func (c *Conn) Invoke(ctx context.Context, method string, request, reply any, callOptions ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	c.spare.earn()
	sort := sortOf(method)
	call := c.attempt
	if sort.hedged && c.options.Hedge {
		call = c.hedged
	}
	err := call(ctx, method, request, reply, callOptions)
	if !isNobodyThere(err) || !sort.again && !hasKey(request) || !c.spare.spend() || !pause(ctx) {
		return err
	}
	c.options.Metrics.countExtra(c.options.Service, "retry")
	return c.attempt(ctx, method, request, reply, callOptions)
}

// enter takes a place among the calls under way, and waits for one for a moment.
func (c *Conn) enter(ctx context.Context) error {
	name := caller.FromContext(ctx).Name()
	if c.shares.enter(ctx, name, c.options.Wait) {
		if place(ctx, c.room, c.options.Wait) {
			return nil
		}
		c.shares.leave(name)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.options.Metrics.countRefused(c.options.Service, "busy")
	return c.refusal(reasonBusy, "the %s service has as much to do as it may", time.Second)
}

func (c *Conn) leave(ctx context.Context) {
	<-c.room
	c.shares.leave(caller.FromContext(ctx).Name())
}

func (c *Conn) refusal(reason, message string, after time.Duration) error {
	refusal := errs.New(errs.Unavailable, reason, message, c.options.Service)
	refusal.Service, refusal.RetryAfter = c.options.Service, after
	return refusal
}

func (c *Conn) attempt(ctx context.Context, method string, request, reply any, callOptions []grpc.CallOption) error {
	if c.Open() { // nobody waits for a place to be told so
		return c.left()
	}
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.leave(ctx)
	var answer error
	_, err := c.breaker.Execute(func() (struct{}, error) {
		started := time.Now()
		answer = c.conn.Invoke(ctx, method, request, reply, callOptions...)
		took := time.Since(started)
		if answer == nil {
			c.all.note(took)
			c.methods.of(method).note(took)
		}
		return struct{}{}, c.verdict(answer, took)
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return c.left()
	}
	return answer
}

// left is the answer while the service is left alone.
func (c *Conn) left() error {
	c.options.Metrics.countRefused(c.options.Service, "open")
	return c.refusal(reasonOpen, "the %s service is in trouble and is left alone for a moment", c.options.OpenFor)
}

// errTellsNothing stands for an outcome that is neither for nor against the service.
var errTellsNothing = errors.New("the call tells nothing of the service")

// verdict is the answer as far as it tells of the service: not when the caller went away, and not when
// the caller came so late that the service had less than half of the usual time.
func (c *Conn) verdict(answer error, took time.Duration) error {
	if answer == nil {
		return nil
	}
	switch errs.From(answer).Code {
	case errs.Cancelled:
		return errTellsNothing
	case errs.DeadlineExceeded:
		if took < c.options.Timeout/2 {
			return errTellsNothing
		}
	}
	return answer
}

// NewStream is for streams, which no contract has.
func (c *Conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, callOptions ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.conn.NewStream(ctx, desc, method, callOptions...)
}

// Open tells whether calls are answered without asking the service.
func (c *Conn) Open() bool { return c.breaker.State() == gobreaker.StateOpen }

// Reasons of refusals.
const (
	reasonOpen = "CIRCUIT_OPEN"
	reasonBusy = "SERVICE_BUSY"
)

// isAnswer tells a service that works, even if it says no, from one that does not.
func isAnswer(err error) bool {
	return errs.FaultOf(err) != errs.FaultService
}

func isNobodyThere(err error) bool {
	if err == nil {
		return false
	}
	e := errs.From(err)
	return e.Code == errs.Unavailable && e.Reason == errs.ReasonServiceDown
}

// pause waits 20 to 60 ms, so that callers who failed together do not come again together; false when
// there is no time left for that.
func pause(ctx context.Context) bool {
	wait := 20*time.Millisecond + time.Duration(rand.Int64N(int64(40*time.Millisecond)))
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return false
	}
	return clock.Sleep(ctx, clock.System{}, wait) == nil
}
