//go:build unix

package lifecycle

import (
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
)

// testTripsHang stops the process without ending it: its connections stay, and nothing answers.
func testTripsHang(t *testing.T, in *harness.Installation, operator string) {
	hung := in.Services["trip"].Cmd.Process
	if err := hung.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hung.Signal(syscall.SIGCONT) }()

	var slow time.Duration
	var a harness.Response
	var b harness.Dashboard
	harness.Eventually(t, harness.Timeout, "the process has stopped, which may be in the midst of an answer", func() bool {
		if slow, a = timed(t, in, operator); len(a.Errors) == 0 {
			return false
		}
		b = harness.PartialData[harness.Dashboard](t, a)
		return b.Trips == nil
	})
	if len(b.Overview.Degraded) != 1 || b.Overview.Degraded[0] != "TRIP" || b.Devices == nil || b.Jobs == nil || b.Activities == nil {
		t.Errorf("the answer is %s", a.Data)
	}
	for _, p := range a.Errors {
		if p.Extensions.Service != "TRIP" {
			t.Errorf("the error is %v, want one of TRIP", p)
		}
	}
	harness.Eventually(t, harness.Timeout, "the breaker has opened", func() bool {
		_, a = timed(t, in, operator)
		return hasReason(a, "CIRCUIT_OPEN")
	})
	quick := slow
	for range 5 {
		took, _ := timed(t, in, operator)
		quick = min(quick, took)
	}
	if quick > slow/4 {
		t.Errorf("an answer took %v while the service hung, and %v behind the breaker", slow, quick)
	}
	if err := hung.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	in.AwaitRecovery(t, operator)
}

// timed asks for the dashboard. A call that hangs must leave the request most of its time, with room
// for a machine that has other things to do.
func timed(t *testing.T, in *harness.Installation, token string) (time.Duration, harness.Response) {
	t.Helper()
	began := time.Now()
	a := in.Gateway.Execute(t, token, harness.DashboardQuery, nil)
	took := time.Since(began)
	if took > harness.RequestTimeout/2 {
		t.Errorf("the answer took %v; a call may take %v, and a request %v", took, harness.CallTimeout, harness.RequestTimeout)
	}
	return took, a
}

func hasReason(a harness.Response, reason string) bool {
	for _, p := range a.Errors {
		if p.Extensions.Reason == reason {
			return true
		}
	}
	return false
}
