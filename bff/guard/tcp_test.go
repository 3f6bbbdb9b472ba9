package guard_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/sluicehq/sluice/bff/guard"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/testserver"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
)

// trips is a trip service with a given result.
type trips struct {
	tripv1.UnimplementedTripsServer
	result func(ctx context.Context) error
}

func (s trips) BatchGetTrips(ctx context.Context, _ *tripv1.BatchGetTripsRequest) (*tripv1.BatchGetTripsResponse, error) {
	return &tripv1.BatchGetTripsResponse{}, s.result(ctx)
}

func calls() rpc.Options {
	return rpc.Options{Logger: slog.New(slog.DiscardHandler), Tracing: obs.NoTracing()}
}

// serve runs a trip service at the address until stop is called.
func serve(t *testing.T, addr string, result func(ctx context.Context) error) (at string, stop func()) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(calls(), func(r grpc.ServiceRegistrar) { tripv1.RegisterTripsServer(r, trips{result: result}) })
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			server.Stop()
			<-ended
		}
	}
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

// dial returns a guarded client and the connection below it.
func dial(t *testing.T, addr string, options guard.Options) (tripv1.TripsClient, *guard.Conn, *grpc.ClientConn) {
	t.Helper()
	conn, err := rpc.Dial(addr, calls())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	guarded := guard.Wrap(conn, options)
	return tripv1.NewTripsClient(guarded), guarded, conn
}

func call(ctx context.Context, client tripv1.TripsClient) *errs.Error {
	_, err := client.BatchGetTrips(ctx, &tripv1.BatchGetTripsRequest{})
	return errs.From(err)
}

func TestConnRestartedServiceIsCalled(t *testing.T) {
	t.Parallel()
	addr, stop := serve(t, "127.0.0.1:"+testserver.FreePort(t), succeeds)
	o := options()
	o.Timeout, o.OpenFor = 20*time.Second, 3*time.Second
	client, guarded, conn := dial(t, addr, o)
	if e := call(t.Context(), client); e != nil {
		t.Fatalf("while it runs: %v", e)
	}
	stop()
	for range 3 {
		if e := call(t.Context(), client); e == nil || e.Code != errs.Unavailable || e.Service != "trip" {
			t.Errorf("while it is stopped: %+v", e)
		}
	}
	if !guarded.IsOpen() {
		t.Error("the breaker has not opened")
	}
	serve(t, addr, succeeds)
	ready(t, conn)
	<-time.After(o.OpenFor + time.Millisecond)
	if e := call(t.Context(), client); e != nil || guarded.IsOpen() {
		t.Errorf("when it runs again: %v", e)
	}
}

// ready waits until the connection is established.
func ready(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn.ResetConnectBackoff()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		conn.Connect()
		if !conn.WaitForStateChange(ctx, state) {
			t.Fatal("the connection is not established")
		}
	}
}

func TestConnHungServiceOpensTheBreaker(t *testing.T) {
	t.Parallel()
	deadlines := make(chan time.Time, 10)
	addr, _ := serve(t, "127.0.0.1:0", func(ctx context.Context) error {
		deadline, _ := ctx.Deadline()
		deadlines <- deadline
		<-ctx.Done()
		return ctx.Err()
	})
	o := options()
	o.Timeout, o.OpenFor = 2*time.Second, time.Minute
	client, guarded, _ := dial(t, addr, o)
	started := time.Now()
	for range o.Failures {
		if e := call(t.Context(), client); e == nil || e.Code != errs.DeadlineExceeded || e.Service != "trip" {
			t.Errorf("while it hangs: %+v", e)
		}
	}
	if left := (<-deadlines).Sub(started); left > 2*o.Timeout {
		t.Errorf("the deadline of the service is %v", left)
	}
	if e := call(t.Context(), client); e == nil || e.Reason != "CIRCUIT_OPEN" || !guarded.IsOpen() {
		t.Errorf("after %d that hung: %+v", o.Failures, e)
	}
}

func TestConnCancelledCallsDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	addr, _ := serve(t, "127.0.0.1:0", func(ctx context.Context) error {
		entered <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	o := options()
	o.Timeout = time.Minute
	client, guarded, _ := dial(t, addr, o)
	for range 5 * o.Failures {
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan *errs.Error, 1)
		go func() { result <- call(ctx, client) }()
		<-entered
		cancel()
		if e := <-result; e == nil || e.Code != errs.Cancelled {
			t.Errorf("a cancelled call returns %+v", e)
		}
	}
	if guarded.IsOpen() {
		t.Error("the breaker has opened")
	}
}
