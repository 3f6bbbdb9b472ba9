// Package guard stands around every call to a service, so that a service in trouble costs its
// callers a bounded time, and then nothing.
//
// A call gets its share of the request's deadline. A read that found nobody is tried once more after
// a moment. When calls keep failing the breaker opens: callers are answered at once, UNAVAILABLE with
// the reason CIRCUIT_OPEN, until a trial call succeeds. Refusals are answers: they never open it, and
// neither do callers that go away or that leave no time.
package guard

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sony/gobreaker/v2"
	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/errs"
)

// Options say how patient callers of a service are.
type Options struct {
	Service  string        // "trip"
	Timeout  time.Duration // most time of one call
	Failures int           // in a row, until the breaker opens
	OpenFor  time.Duration // until a call is tried again
	Logger   *slog.Logger
}

// Conn is a guarded connection.
type Conn struct {
	conn    grpc.ClientConnInterface
	breaker *gobreaker.CircuitBreaker[struct{}]
	options Options
}

var _ grpc.ClientConnInterface = (*Conn)(nil)

// Wrap guards the connection, whose errors are *errs.Error.
func Wrap(conn grpc.ClientConnInterface, options Options) *Conn {
	return &Conn{conn: conn, options: options, breaker: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         options.Service,
		Timeout:      options.OpenFor,
		MaxRequests:  1,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return int(c.ConsecutiveFailures) >= options.Failures },
		IsSuccessful: isAnswer,
		IsExcluded:   func(err error) bool { return errors.Is(err, errTellsNothing) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			options.Logger.Warn("breaker", "service", options.Service, "from", from.String(), "to", to.String())
		},
	})}
}

// Invoke makes a call.
func (c *Conn) Invoke(ctx context.Context, method string, request, reply any, callOptions ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	err := c.attempt(ctx, method, request, reply, callOptions)
	if isRead(method) && isNobodyThere(err) && pause(ctx) {
		return c.attempt(ctx, method, request, reply, callOptions)
	}
	return err
}

func (c *Conn) attempt(ctx context.Context, method string, request, reply any, callOptions []grpc.CallOption) error {
	var answer error
	_, err := c.breaker.Execute(func() (struct{}, error) {
		started := time.Now()
		answer = c.conn.Invoke(ctx, method, request, reply, callOptions...)
		return struct{}{}, c.verdict(answer, time.Since(started))
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		refusal := errs.New(errs.Unavailable, reasonOpen, "the %s service is in trouble and is left alone for a moment", c.options.Service)
		refusal.Service, refusal.RetryAfter = c.options.Service, c.options.OpenFor
		return refusal
	}
	return answer
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

const reasonOpen = "CIRCUIT_OPEN"

// isAnswer tells a service that works, even if it says no, from one that does not.
func isAnswer(err error) bool {
	if err == nil {
		return true
	}
	switch errs.From(err).Code {
	case errs.Unavailable, errs.DeadlineExceeded, errs.Internal:
		return false
	}
	return true
}

func isNobodyThere(err error) bool {
	if err == nil {
		return false
	}
	e := errs.From(err)
	return e.Code == errs.Unavailable && e.Reason == errs.ReasonServiceDown
}

// isRead tells the calls that change nothing, by the verbs of the contracts.
func isRead(method string) bool {
	name := method[strings.LastIndexByte(method, '/')+1:]
	for _, verb := range []string{"BatchGet", "BatchList", "BatchQuery", "Get", "List", "Count", "Sum", "Report"} {
		if strings.HasPrefix(name, verb) {
			return name != "ReportPosition"
		}
	}
	return false
}

// pause waits 20 to 60 ms, so that callers who failed together do not come again together; false when
// there is no time left.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(20*time.Millisecond + time.Duration(rand.Int64N(int64(40*time.Millisecond))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
