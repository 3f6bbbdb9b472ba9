package rpc_test

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/rpc"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
)

// process is one of several servers of a service.
type process struct {
	addr   string
	server *grpc.Server
	done   chan error
	calls  atomic.Int64
}

func (p *process) start(t *testing.T) {
	t.Helper()
	if p.addr == "" {
		p.addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	p.addr = listener.Addr().String()
	p.server = rpc.NewServer(options(&bytes.Buffer{}), func(r grpc.ServiceRegistrar) {
		tripv1.RegisterTripsServer(r, trips{answer: func(context.Context) (*tripv1.Trip, error) {
			p.calls.Add(1)
			return &tripv1.Trip{}, nil
		}})
	})
	p.done = make(chan error, 1)
	go func() { p.done <- p.server.Serve(listener) }()
}

func (p *process) stop() {
	p.server.GracefulStop()
	<-p.done
}

func TestCallsAreDistributedOverTheProcessesThatRun(t *testing.T) {
	t.Parallel()
	var first, second process
	first.start(t)
	second.start(t)
	conn, err := rpc.Dial(first.addr+","+second.addr, options(&bytes.Buffer{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	client := tripv1.NewTripsClient(conn)
	call := func() {
		if _, err := client.StartTrip(t.Context(), &tripv1.StartTripRequest{}); err != nil {
			t.Errorf("a call failed: %v", err)
		}
	}
	awaitBoth := func() {
		first.calls.Store(0)
		second.calls.Store(0)
		for deadline := time.Now().Add(20 * time.Second); first.calls.Load() == 0 || second.calls.Load() == 0; call() {
			if time.Now().After(deadline) {
				t.Fatalf("%d and %d calls, want some each", first.calls.Load(), second.calls.Load())
			}
		}
	}
	awaitBoth()
	first.stop() // within the deadline of the test, although the health checks of the client are streams
	before := second.calls.Load()
	for range 20 {
		call()
	}
	if n := second.calls.Load() - before; n != 20 {
		t.Errorf("%d calls to the process that runs, want 20", n)
	}
	first.start(t)
	t.Cleanup(first.stop)
	t.Cleanup(second.stop)
	awaitBoth()
}

func TestHostNameIsResolved(t *testing.T) {
	t.Parallel()
	var one process
	one.start(t)
	t.Cleanup(one.stop)
	_, port, err := net.SplitHostPort(one.addr)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rpc.Dial("localhost:"+port, options(&bytes.Buffer{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := tripv1.NewTripsClient(conn).StartTrip(t.Context(), &tripv1.StartTripRequest{}); err != nil {
		t.Error(err)
	}
}
