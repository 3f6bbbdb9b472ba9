package guard_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff/guard"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	jobv1 "github.com/sluicehq/sluice/services/gen/job/v1"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
)

// Extra calls stay a tenth of all calls.
func TestRetryBudgetBoundsRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Failures = 1 << 30
		service := newScript(returns(unreachable()))
		conn := guard.Wrap(service, o)
		const calls = 1000
		for range calls {
			reasonOf(t.Context(), conn, read)
		}
		if extra := service.count() - calls; extra < calls/20 || extra > calls/10+10 {
			t.Errorf("%d extra calls for %d, want about a tenth", extra, calls)
		}
	})
}

func TestConnWriteWithAnIdempotencyKeyIsRetried(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]int{"": 1, "k": 2} {
		service := newScript(returns(unreachable()), succeeds)
		err := guard.Wrap(service, options()).Invoke(t.Context(), jobv1.Jobs_CreateJob_FullMethodName, &jobv1.CreateJobRequest{IdempotencyKey: key}, &jobv1.Job{})
		if n := service.count(); n != want || (err == nil) != (want == 2) {
			t.Errorf("with the key %q there were %d calls, want %d: %v", key, n, want, err)
		}
	}
}

// A call whose deadline leaves no time for a retry ends at once.
func TestConnWithoutTimeForARetryReturnsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		started := time.Now()
		if reason := reasonOf(ctx, guard.Wrap(newScript(returns(unreachable())), options()), read); reason != errs.ReasonServiceDown || time.Since(started) > 0 {
			t.Errorf("%q after %s", reason, time.Since(started))
		}
	})
}

// timed is a service whose reads take a given time and return their number.
type timed struct {
	mu    sync.Mutex
	calls int
	takes func(call int) time.Duration
}

func (s *timed) Invoke(ctx context.Context, _ string, _, reply any, _ ...grpc.CallOption) error {
	s.mu.Lock()
	s.calls++
	call := s.calls
	s.mu.Unlock()
	select {
	case <-time.After(s.takes(call)):
	case <-ctx.Done():
		return ctx.Err()
	}
	reply.(*tripv1.BatchGetTripsResponse).Trips = []*tripv1.Trip{{Version: int64(call)}}
	return nil
}

func (s *timed) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, context.Canceled
}

// A late read is sent a second time, and the first reply wins.
func TestConnLateReadIsHedged(t *testing.T) {
	t.Parallel()
	const usual, warm = 10 * time.Millisecond, 64
	for name, c := range map[string]struct {
		first, second time.Duration
		took          time.Duration
		by            int64
		calls         int
	}{
		"in time":              {first: usual, took: usual, by: warm + 1, calls: warm + 1},
		"the second is faster": {first: 900 * time.Millisecond, second: usual, took: 2*usual + usual/4, by: warm + 2, calls: warm + 2},
		"the first is faster":  {first: 15 * time.Millisecond, second: time.Second, took: 15 * time.Millisecond, by: warm + 1, calls: warm + 2},
		"neither ends":         {first: time.Hour, second: time.Hour, took: time.Second, calls: warm + 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				service := &timed{takes: func(call int) time.Duration {
					switch call {
					case warm + 1:
						return c.first
					case warm + 2:
						return c.second
					}
					return usual
				}}
				o := options()
				o.Hedge = true
				conn := guard.Wrap(service, o)
				for range warm {
					if err := conn.Invoke(t.Context(), read, nil, &tripv1.BatchGetTripsResponse{}); err != nil {
						t.Fatal(err)
					}
				}
				if s := conn.State(); s.P95 != usual || s.InFlight != 0 {
					t.Errorf("the state is %+v", s)
				}
				started, reply := time.Now(), &tripv1.BatchGetTripsResponse{}
				err := conn.Invoke(t.Context(), read, nil, reply)
				if took := time.Since(started); took != c.took || service.calls != c.calls {
					t.Errorf("ended after %s and %d calls, want %s and %d", took, service.calls, c.took, c.calls)
				}
				if c.by > 0 && (err != nil || len(reply.GetTrips()) != 1 || reply.GetTrips()[0].GetVersion() != c.by) {
					t.Errorf("the result is %v, %v, want call %d", reply, err, c.by)
				}
				if c.by == 0 && err == nil {
					t.Errorf("the result is %v", reply)
				}
			})
		})
	}
}

// A service that hangs has a bounded number of calls; other calls wait for a bounded time.
func TestBulkheadBoundsTheCallsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.InFlight, o.Wait = 3, 50*time.Millisecond
		service := newScript(hangs)
		conn := guard.Wrap(service, o)
		var hung sync.WaitGroup
		for _, who := range []string{"a", "b", "c"} {
			hung.Go(func() { reasonOf(of(t, who), conn, write) })
		}
		synctest.Wait()
		if s := conn.State(); s.InFlight != 3 || s.Limit != 3 || s.Breaker != "closed" {
			t.Errorf("the state is %+v", s)
		}
		started := time.Now()
		err := conn.Invoke(t.Context(), write, nil, nil)
		if e := errs.From(err); e == nil || e.Reason != "SERVICE_BUSY" || e.Code != errs.Unavailable || e.Service != "trip" || e.RetryAfter <= 0 || time.Since(started) != o.Wait {
			t.Errorf("a fourth call returns %v after %s", err, time.Since(started))
		}
		if n := service.count(); n != 3 {
			t.Errorf("the service has %d calls", n)
		}
		hung.Wait()
		if s := conn.State(); s.InFlight != 0 || s.Breaker != "open" {
			t.Errorf("afterwards the state is %+v", s)
		}
	})
}

// of returns the context of an account.
func of(t *testing.T, account string) context.Context {
	return caller.NewContext(t.Context(), caller.Caller{AccountID: account, Role: caller.Member})
}

// One caller has at most half of the slots, so that other callers find a slot.
func TestBulkheadBoundsTheSlotsOfOneCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.InFlight, o.Wait = 6, 50*time.Millisecond
		service := newScript(hangs)
		conn := guard.Wrap(service, o)
		var hung sync.WaitGroup
		for range 10 {
			hung.Go(func() { reasonOf(of(t, "greedy"), conn, write) })
		}
		synctest.Wait()
		time.Sleep(o.Wait)
		synctest.Wait()
		if s := conn.State(); s.InFlight != 3 {
			t.Errorf("one caller has %d of 6 slots", s.InFlight)
		}
		if err := conn.Invoke(of(t, "greedy"), write, nil, nil); errs.From(err).Reason != "SERVICE_BUSY" {
			t.Errorf("its next call returns %v", err)
		}
		for range 3 {
			hung.Go(func() { reasonOf(of(t, "modest"), conn, write) })
		}
		synctest.Wait()
		if s := conn.State(); s.InFlight != 6 {
			t.Errorf("with another there are %d calls in flight", s.InFlight)
		}
		hung.Wait()
		if s := conn.State(); s.InFlight != 0 {
			t.Errorf("afterwards there are %d calls in flight", s.InFlight)
		}
	})
}
