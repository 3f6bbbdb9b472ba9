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

// script is a service as its callers find it: it answers each call by a function, the last again and
// again.
type script struct {
	mu      sync.Mutex
	answers []func(ctx context.Context) error
	calls   int
}

func plays(answers ...func(ctx context.Context) error) *script { return &script{answers: answers} }

func (s *script) Invoke(ctx context.Context, _ string, _, _ any, _ ...grpc.CallOption) error {
	s.mu.Lock()
	answer := s.answers[min(s.calls, len(s.answers)-1)]
	s.calls++
	s.mu.Unlock()
	return answer(ctx)
}

func (s *script) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("no contract has streams")
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func with(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

func fine(context.Context) error { return nil }

func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func nobody() error { return errs.New(errs.Unavailable, errs.ReasonServiceDown, "nobody there") }

func options() guard.Options {
	return guard.Options{Service: "trip", Timeout: time.Second, Failures: 3, OpenFor: 10 * time.Second, Logger: slog.New(slog.DiscardHandler)}
}

// called tells the reason of the answer to a call, "" for none.
func called(ctx context.Context, conn grpc.ClientConnInterface, method string) string {
	if err := conn.Invoke(ctx, method, nil, nil); err != nil {
		return errs.From(err).Reason
	}
	return ""
}

// Every call of every contract is either a read, which may be made twice, or is made once.
func TestReadsAreTriedTwiceAndWritesOnce(t *testing.T) {
	t.Parallel()
	reads := " GetKeySet BatchGetAccounts ListApiKeys BatchGetApiKeys" +
		" BatchGetActivities ListActivities SumAmounts ReportHydration" +
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
				service := plays(with(nobody()))
				called(t.Context(), guard.Wrap(service, options()), "/"+contract.ServiceName+"/"+method.MethodName)
				if n := service.count(); n != want {
					t.Errorf("%d calls, want %d", n, want)
				}
			})
		}
	}
}

func TestOnlyWhatFoundNobodyIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		first  error
		calls  int
		reason string
	}{
		{"nobody there", nobody(), 2, ""},
		{"a service that asks to come later", errs.New(errs.Unavailable, "DRAINING", "later"), 1, "DRAINING"},
		{"late", errs.New(errs.DeadlineExceeded, errs.ReasonDeadline, "late"), 1, errs.ReasonDeadline},
		{"a fault", errors.New("fault"), 1, errs.ReasonInternal},
		{"a refusal", errs.Missing("trip", "x"), 1, errs.ReasonNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			service := plays(with(c.first), fine)
			if reason := called(t.Context(), guard.Wrap(service, options()), read); reason != c.reason || service.count() != c.calls {
				t.Errorf("%q after %d calls", reason, service.count())
			}
		})
	}
}

func TestACallHasItsShareOfTheTime(t *testing.T) {
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
				reason := called(ctx, guard.Wrap(plays(hangs), options()), read)
				if took := time.Since(started); reason != errs.ReasonDeadline || took != c.want {
					t.Errorf("%q after %v, want %v", reason, took, c.want)
				}
			})
		})
	}
}

// outcome is what came of a call, and whether it counts against the service.
func TestWhatOpensTheBreaker(t *testing.T) {
	t.Parallel()
	late := func(ctx context.Context) error { time.Sleep(900 * time.Millisecond); return context.DeadlineExceeded }
	for _, c := range []struct {
		name   string
		answer func(context.Context) error
		opens  bool
	}{
		{"nobody there", with(nobody()), true},
		{"late", late, true},
		{"a fault", with(errors.New("fault")), true},
		{"fine", fine, false},
		{"a caller who left no time", with(context.DeadlineExceeded), false},
		{"a caller who went away", with(context.Canceled), false},
		{"bad input", with(errs.Invalid("x", "y")), false},
		{"unknown", with(errs.Missing("trip", "x")), false},
		{"not allowed", with(errs.Denied("no")), false},
		{"not signed in", with(errs.New(errs.Unauthenticated, "X", "no")), false},
		{"a conflict", with(errs.Conflict("trip", 1, 2)), false},
		{"a rule", with(errs.New(errs.FailedPrecondition, "TRIP_ALREADY_OPEN", "no")), false},
		{"too much", with(errs.New(errs.ResourceExhausted, "X", "no")), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				service := plays(c.answer)
				conn := guard.Wrap(service, options())
				for range 10 {
					called(t.Context(), conn, write)
				}
				want := 10
				if c.opens {
					want = 3
				}
				if service.count() != want || conn.Open() != c.opens {
					t.Errorf("the service was called %d times, open %v", service.count(), conn.Open())
				}
			})
		})
	}
}

func TestOneAnswerForgivesTheFailuresBefore(t *testing.T) {
	t.Parallel()
	fails := with(errors.New("fault"))
	service := plays(fails, fails, fine, fails, fails, with(errs.Missing("trip", "x")), fails, fails)
	conn := guard.Wrap(service, options())
	for range 8 {
		called(t.Context(), conn, write)
	}
	if conn.Open() || service.count() != 8 {
		t.Errorf("open %v after %d calls", conn.Open(), service.count())
	}
}

func TestACallerWhoGoesAwayForgivesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fails, leaves := with(nobody()), with(context.Canceled)
		service := plays(fails, leaves, fails, leaves, fails, leaves, fails, fine)
		conn := guard.Wrap(service, options())
		for range 5 {
			called(t.Context(), conn, write)
		}
		if !conn.Open() {
			t.Error("three failures in a row have not opened it")
		}
		time.Sleep(10*time.Second + 1)
		called(t.Context(), conn, write) // the trial's caller leaves
		called(t.Context(), conn, write) // the next trial fails
		if reason := called(t.Context(), conn, write); reason != "CIRCUIT_OPEN" {
			t.Errorf("after a trial that failed: %q", reason)
		}
	})
}

func TestAnOpenBreakerAnswersAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := plays(with(nobody()))
		conn := guard.Wrap(service, options())
		for range 3 {
			called(t.Context(), conn, write)
		}
		started := time.Now()
		for _, method := range []string{read, write} {
			e := errs.From(conn.Invoke(t.Context(), method, nil, nil))
			if e.Code != errs.Unavailable || e.Reason != "CIRCUIT_OPEN" || e.Service != "trip" || e.RetryAfter != 10*time.Second {
				t.Errorf("answered %+v", e)
			}
		}
		if time.Since(started) != 0 || service.count() != 3 {
			t.Errorf("it took %v and %d calls", time.Since(started), service.count())
		}
	})
}

func TestATrialCallDecides(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		trial func(context.Context) error
		next  string // what the call after the trial is answered
	}{
		{"that is fine closes it", fine, ""},
		{"that is refused closes it", with(errs.Missing("trip", "x")), ""},
		{"that fails opens it again", with(nobody()), "CIRCUIT_OPEN"},
		{"that its caller gives up leaves it to the next", with(context.Canceled), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fails := with(nobody())
				service := plays(fails, fails, fails, c.trial, fine)
				conn := guard.Wrap(service, options())
				for range 3 {
					called(t.Context(), conn, write)
				}
				time.Sleep(10*time.Second + 1)
				called(t.Context(), conn, write)
				if reason := called(t.Context(), conn, write); reason != c.next {
					t.Errorf("the next call is answered %q, want %q", reason, c.next)
				}
			})
		})
	}
}

func TestOnlyOneCallIsATrial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fails := with(nobody())
		service := plays(fails, fails, fails, hangs)
		conn := guard.Wrap(service, options())
		for range 3 {
			called(t.Context(), conn, write)
		}
		time.Sleep(10*time.Second + 1)
		var trial sync.WaitGroup
		trial.Go(func() { called(t.Context(), conn, write) })
		synctest.Wait()
		if reason := called(t.Context(), conn, write); reason != "CIRCUIT_OPEN" {
			t.Errorf("beside the trial: %q", reason)
		}
		trial.Wait()
		if service.count() != 4 {
			t.Errorf("%d calls, want 4", service.count())
		}
	})
}
