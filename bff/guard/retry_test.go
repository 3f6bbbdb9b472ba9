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

// However much fails, calls beyond those asked for stay a tenth.
func TestRetriesAreAFewOfAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Failures = 1 << 30
		service := plays(with(nobody()))
		conn := guard.Wrap(service, o)
		const asked = 1000
		for range asked {
			called(t.Context(), conn, read)
		}
		if extra := service.count() - asked; extra < asked/20 || extra > asked/10+10 {
			t.Errorf("%d extra calls for %d, want about a tenth", extra, asked)
		}
	})
}

func TestAWriteWithAKeyIsTriedAgain(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]int{"": 1, "k": 2} {
		service := plays(with(nobody()), fine)
		err := guard.Wrap(service, options()).Invoke(t.Context(), jobv1.Jobs_CreateJob_FullMethodName, &jobv1.CreateJobRequest{IdempotencyKey: key}, &jobv1.Job{})
		if n := service.count(); n != want || (err == nil) != (want == 2) {
			t.Errorf("with the key %q there were %d calls, want %d: %v", key, n, want, err)
		}
	}
}

// There is no waiting for what cannot be tried any more.
func TestNoTimeForAnotherTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		started := time.Now()
		if reason := called(ctx, guard.Wrap(plays(with(nobody())), options()), read); reason != errs.ReasonServiceDown || time.Since(started) > 0 {
			t.Errorf("%q after %s", reason, time.Since(started))
		}
	})
}

// timed is a service whose reads take as long as they are told to and say which call they are.
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

// A read that is late is made a second time, and the first answer counts.
func TestALateRead(t *testing.T) {
	t.Parallel()
	const usual, warm = 10 * time.Millisecond, 64
	for name, c := range map[string]struct {
		first, second time.Duration
		took          time.Duration
		by            int64
		calls         int
	}{
		"in time":                 {first: usual, took: usual, by: warm + 1, calls: warm + 1},
		"the second is faster":    {first: 900 * time.Millisecond, second: usual, took: 2*usual + usual/4, by: warm + 2, calls: warm + 2},
		"the first is, after all": {first: 15 * time.Millisecond, second: time.Second, took: 15 * time.Millisecond, by: warm + 1, calls: warm + 2},
		"neither answers":         {first: time.Hour, second: time.Hour, took: time.Second, calls: warm + 2},
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
					t.Errorf("the service looks like %+v", s)
				}
				started, reply := time.Now(), &tripv1.BatchGetTripsResponse{}
				err := conn.Invoke(t.Context(), read, nil, reply)
				if took := time.Since(started); took != c.took || service.calls != c.calls {
					t.Errorf("answered after %s and %d calls, want %s and %d", took, service.calls, c.took, c.calls)
				}
				if c.by > 0 && (err != nil || len(reply.GetTrips()) != 1 || reply.GetTrips()[0].GetVersion() != c.by) {
					t.Errorf("answered %v, %v, want call %d", reply, err, c.by)
				}
				if c.by == 0 && err == nil {
					t.Errorf("answered %v", reply)
				}
			})
		})
	}
}

// A service that hangs holds a bounded number of calls; others wait for a moment.
func TestCallsUnderWayAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.InFlight, o.Wait = 3, 50*time.Millisecond
		service := plays(hangs)
		conn := guard.Wrap(service, o)
		var hung sync.WaitGroup
		for _, who := range []string{"a", "b", "c"} {
			hung.Go(func() { called(of(t, who), conn, write) })
		}
		synctest.Wait()
		if s := conn.State(); s.InFlight != 3 || s.Limit != 3 || s.Breaker != "closed" {
			t.Errorf("the service looks like %+v", s)
		}
		started := time.Now()
		err := conn.Invoke(t.Context(), write, nil, nil)
		if e := errs.From(err); e == nil || e.Reason != "SERVICE_BUSY" || e.Code != errs.Unavailable || e.Service != "trip" || e.RetryAfter <= 0 || time.Since(started) != o.Wait {
			t.Errorf("a fourth is answered %v after %s", err, time.Since(started))
		}
		if n := service.count(); n != 3 {
			t.Errorf("the service has %d calls", n)
		}
		hung.Wait()
		if s := conn.State(); s.InFlight != 0 || s.Breaker != "open" {
			t.Errorf("afterwards the service looks like %+v", s)
		}
	})
}

// of is a context of somebody.
func of(t *testing.T, account string) context.Context {
	return caller.NewContext(t.Context(), caller.Caller{AccountID: account, Role: caller.Member})
}

// One caller has half of the room, whatever it does: the others find theirs.
func TestOneCallerLeavesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.InFlight, o.Wait = 6, 50*time.Millisecond
		service := plays(hangs)
		conn := guard.Wrap(service, o)
		var hung sync.WaitGroup
		for range 10 {
			hung.Go(func() { called(of(t, "greedy"), conn, write) })
		}
		synctest.Wait()
		time.Sleep(o.Wait)
		synctest.Wait()
		if s := conn.State(); s.InFlight != 3 {
			t.Errorf("one caller has %d of 6 places", s.InFlight)
		}
		if err := conn.Invoke(of(t, "greedy"), write, nil, nil); errs.From(err).Reason != "SERVICE_BUSY" {
			t.Errorf("its next call is answered %v", err)
		}
		for range 3 {
			hung.Go(func() { called(of(t, "modest"), conn, write) })
		}
		synctest.Wait()
		if s := conn.State(); s.InFlight != 6 {
			t.Errorf("with another there are %d calls under way", s.InFlight)
		}
		hung.Wait()
		if s := conn.State(); s.InFlight != 0 {
			t.Errorf("afterwards there are %d calls under way", s.InFlight)
		}
	})
}
