package guard_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff/guard"
	"github.com/sluicehq/sluice/internal/errs"
	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	jobv1 "github.com/sluicehq/sluice/services/gen/job/v1"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
)

const (
	read  = "/sluice.trip.v1.Trips/BatchGetTrips"
	write = "/sluice.trip.v1.Trips/ReportPosition"
)

// script is a service with one result for each call; the last result repeats.
type script struct {
	mu      sync.Mutex
	results []func(ctx context.Context) error
	calls   int
}

func newScript(results ...func(ctx context.Context) error) *script { return &script{results: results} }

func (s *script) Invoke(ctx context.Context, _ string, _, _ any, _ ...grpc.CallOption) error {
	s.mu.Lock()
	result := s.results[min(s.calls, len(s.results)-1)]
	s.calls++
	s.mu.Unlock()
	return result(ctx)
}

func (s *script) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("no contract has streams")
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func returns(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

func succeeds(context.Context) error { return nil }

func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func unreachable() error { return errs.New(errs.Unavailable, errs.ReasonServiceDown, "unreachable") }

func options() guard.Options {
	return guard.Options{Service: "trip", Timeout: time.Second, Failures: 3, OpenFor: 10 * time.Second, Logger: slog.New(slog.DiscardHandler)}
}

// reasonOf calls the method and returns the reason of its error; "" without an error.
func reasonOf(ctx context.Context, conn grpc.ClientConnInterface, method string) string {
	if err := conn.Invoke(ctx, method, nil, nil); err != nil {
		return errs.From(err).Reason
	}
	return ""
}

// A method of a contract is either a read, which is retried, or a write, which is not.
func TestConnUnreachableServiceRetriesReadsOnly(t *testing.T) {
	t.Parallel()
	reads := " GetKeySet CheckSessions BatchGetAccounts ListApiKeys BatchGetApiKeys" +
		" BatchGetActivities ListActivities SumAmounts ReportHydration ListRevisions" +
		" BatchGetDevices ListDevices CountDevices BatchListEvents BatchQueryTelemetry" +
		" BatchGetJobs ListJobs CountJobs BatchListDeviceJobs BatchListRuns" +
		" BatchGetTrips ListTrips BatchGetOpenTrips BatchGetTracks "
	for _, contract := range []grpc.ServiceDesc{
		accountv1.Accounts_ServiceDesc, activityv1.Activities_ServiceDesc, devicev1.Devices_ServiceDesc, jobv1.Jobs_ServiceDesc, tripv1.Trips_ServiceDesc,
	} {
		for _, method := range contract.Methods {
			t.Run(method.MethodName, func(t *testing.T) {
				t.Parallel()
				want := 1
				if strings.Contains(reads, " "+method.MethodName+" ") {
					want = 2
				}
				service := newScript(returns(unreachable()))
				reasonOf(t.Context(), guard.Wrap(service, options()), "/"+contract.ServiceName+"/"+method.MethodName)
				if n := service.count(); n != want {
					t.Errorf("%d calls, want %d", n, want)
				}
			})
		}
	}
}

func TestConnRetriesOnlyCallsThatDidNotReachTheService(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		first  error
		calls  int
		reason string
	}{
		{"unreachable", unreachable(), 2, ""},
		{"a draining service", errs.New(errs.Unavailable, "DRAINING", "later"), 1, "DRAINING"},
		{"late", errs.New(errs.DeadlineExceeded, errs.ReasonDeadline, "late"), 1, errs.ReasonDeadline},
		{"a fault", errors.New("fault"), 1, errs.ReasonInternal},
		{"a refusal", errs.Missing("trip", "x"), 1, errs.ReasonNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			service := newScript(returns(c.first), succeeds)
			if reason := reasonOf(t.Context(), guard.Wrap(service, options()), read); reason != c.reason || service.count() != c.calls {
				t.Errorf("%q after %d calls", reason, service.count())
			}
		})
	}
}

func TestConnCallEndsAtTheEarlierDeadline(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		caller, want time.Duration
	}{
		{"a caller without a deadline", 0, time.Second},
		{"a caller with more time", time.Minute, time.Second},
		{"a caller with less time", 300 * time.Millisecond, 300 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.caller > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.caller)
					defer cancel()
				}
				started := time.Now()
				reason := reasonOf(ctx, guard.Wrap(newScript(hangs), options()), read)
				if took := time.Since(started); reason != errs.ReasonDeadline || took != c.want {
					t.Errorf("%q after %v, want %v", reason, took, c.want)
				}
			})
		})
	}
}

func TestBreakerOpensAfterFailuresOfTheServiceOnly(t *testing.T) {
	t.Parallel()
	late := func(ctx context.Context) error { time.Sleep(900 * time.Millisecond); return context.DeadlineExceeded }
	for _, c := range []struct {
		name   string
		result func(context.Context) error
		opens  bool
	}{
		{"unreachable", returns(unreachable()), true},
		{"late", late, true},
		{"a fault", returns(errors.New("fault")), true},
		{"succeeds", succeeds, false},
		{"a caller who left no time", returns(context.DeadlineExceeded), false},
		{"a cancelled call", returns(context.Canceled), false},
		{"bad input", returns(errs.Invalid("x", "y")), false},
		{"missing", returns(errs.Missing("trip", "x")), false},
		{"not allowed", returns(errs.Denied("no")), false},
		{"not signed in", returns(errs.New(errs.Unauthenticated, "X", "no")), false},
		{"a conflict", returns(errs.Conflict("trip", 1, 2)), false},
		{"a rule", returns(errs.New(errs.FailedPrecondition, "TRIP_ALREADY_OPEN", "no")), false},
		{"too much", returns(errs.New(errs.ResourceExhausted, "X", "no")), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				service := newScript(c.result)
				conn := guard.Wrap(service, options())
				for range 10 {
					reasonOf(t.Context(), conn, write)
				}
				want := 10
				if c.opens {
					want = 3
				}
				if service.count() != want || conn.IsOpen() != c.opens {
					t.Errorf("the service was called %d times, open %v", service.count(), conn.IsOpen())
				}
			})
		})
	}
}

func TestBreakerSuccessResetsTheCount(t *testing.T) {
	t.Parallel()
	fails := returns(errors.New("fault"))
	service := newScript(fails, fails, succeeds, fails, fails, returns(errs.Missing("trip", "x")), fails, fails)
	conn := guard.Wrap(service, options())
	for range 8 {
		reasonOf(t.Context(), conn, write)
	}
	if conn.IsOpen() || service.count() != 8 {
		t.Errorf("open %v after %d calls", conn.IsOpen(), service.count())
	}
}

func TestBreakerCancelledCallDoesNotResetTheCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fails, cancels := returns(unreachable()), returns(context.Canceled)
		service := newScript(fails, cancels, fails, cancels, fails, cancels, fails, succeeds)
		conn := guard.Wrap(service, options())
		for range 5 {
			reasonOf(t.Context(), conn, write)
		}
		if !conn.IsOpen() {
			t.Error("three failures in a row have not opened it")
		}
		time.Sleep(10*time.Second + 1)
		reasonOf(t.Context(), conn, write) // the caller of the trial call goes away
		reasonOf(t.Context(), conn, write) // the next trial fails
		if reason := reasonOf(t.Context(), conn, write); reason != "CIRCUIT_OPEN" {
			t.Errorf("after a trial that failed: %q", reason)
		}
	})
}

func TestBreakerOpenRefusesCallsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := newScript(returns(unreachable()))
		conn := guard.Wrap(service, options())
		for range 3 {
			reasonOf(t.Context(), conn, write)
		}
		started := time.Now()
		for range 2 {
			e := errs.From(conn.Invoke(t.Context(), write, nil, nil))
			if e.Code != errs.Unavailable || e.Reason != "CIRCUIT_OPEN" || e.Service != "trip" || e.RetryAfter != 10*time.Second {
				t.Errorf("the error is %+v", e)
			}
		}
		if time.Since(started) != 0 || service.count() != 3 {
			t.Errorf("it took %v and %d calls", time.Since(started), service.count())
		}
	})
}

func TestBreakerOfWritesOpenLetsReadsPass(t *testing.T) {
	t.Parallel()
	readOnly := returns(errs.New(errs.Unavailable, "DATABASE_READ_ONLY", "no writes"))
	service := newScript(readOnly, readOnly, readOnly, succeeds)
	conn := guard.Wrap(service, options())
	for range 3 {
		reasonOf(t.Context(), conn, write)
	}
	if reason := reasonOf(t.Context(), conn, write); reason != "CIRCUIT_OPEN" {
		t.Errorf("a write after failed writes: %q, want CIRCUIT_OPEN", reason)
	}
	if reason := reasonOf(t.Context(), conn, read); reason != "" {
		t.Errorf("a read after failed writes: %q, want no error", reason)
	}
}

func TestBreakerTrialCallDecidesTheState(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		trial func(context.Context) error
		next  string // the reason of the call after the trial
	}{
		{"a success closes it", succeeds, ""},
		{"a refusal closes it", returns(errs.Missing("trip", "x")), ""},
		{"a failure opens it", returns(unreachable()), "CIRCUIT_OPEN"},
		{"a cancelled call leaves it half-open", returns(context.Canceled), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fails := returns(unreachable())
				service := newScript(fails, fails, fails, c.trial, succeeds)
				conn := guard.Wrap(service, options())
				for range 3 {
					reasonOf(t.Context(), conn, write)
				}
				time.Sleep(10*time.Second + 1)
				reasonOf(t.Context(), conn, write)
				if reason := reasonOf(t.Context(), conn, write); reason != c.next {
					t.Errorf("the reason of the next call is %q, want %q", reason, c.next)
				}
			})
		})
	}
}

func TestBreakerHalfOpenAdmitsOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fails := returns(unreachable())
		service := newScript(fails, fails, fails, hangs)
		conn := guard.Wrap(service, options())
		for range 3 {
			reasonOf(t.Context(), conn, write)
		}
		time.Sleep(10*time.Second + 1)
		var trial sync.WaitGroup
		trial.Go(func() { reasonOf(t.Context(), conn, write) })
		synctest.Wait()
		if reason := reasonOf(t.Context(), conn, write); reason != "CIRCUIT_OPEN" {
			t.Errorf("beside the trial: %q", reason)
		}
		trial.Wait()
		if service.count() != 4 {
			t.Errorf("%d calls, want 4", service.count())
		}
	})
}
