package outages

import (
	"syscall"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

func TestGatewayThatStopsIsNotReadyAndStillAcceptsRequests(t *testing.T) {
	t.Parallel()
	in := harness.StartServices(t)
	gateway := in.StartGateway(t, harness.ServiceToken, "--http-drain-delay", "5s")
	if err := gateway.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, harness.Timeout, "the gateway is not ready", func() bool {
		status, _ := gateway.Get(t, "/readyz")
		return status == 503
	})
	harness.Query[any](t, gateway, "", `{ __typename }`, nil) // on a new connection
	if err := gateway.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := gateway.ExitCode(t); code == 0 {
		t.Error("a second signal did not end the gateway at once")
	}
}
