package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/rpc"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
)

// trips answers with whatever the test wants to see cross.
type trips struct {
	tripv1.UnimplementedTripsServer
	answer func(ctx context.Context) (*tripv1.Trip, error)
}

func (s trips) StartTrip(ctx context.Context, _ *tripv1.StartTripRequest) (*tripv1.Trip, error) {
	return s.answer(ctx)
}

func options(log *bytes.Buffer) rpc.Options {
	return rpc.Options{Logger: slog.New(slog.NewTextHandler(log, nil)), Tracing: obs.NoTracing()}
}

func overTCP(t *testing.T, server, client rpc.Options, register func(grpc.ServiceRegistrar)) tripv1.TripsClient {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := rpc.NewServer(server, register)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	t.Cleanup(func() { srv.Stop(); <-done })
	conn, err := rpc.Dial(listener.Addr().String(), client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return tripv1.NewTripsClient(conn)
}

// eachWay runs the test over TCP and within the process.
func eachWay(t *testing.T, answer func(ctx context.Context) (*tripv1.Trip, error), check func(t *testing.T, client tripv1.TripsClient, log *bytes.Buffer)) {
	t.Helper()
	register := func(r grpc.ServiceRegistrar) { tripv1.RegisterTripsServer(r, trips{answer: answer}) }
	t.Run("over TCP", func(t *testing.T) {
		t.Parallel()
		var log bytes.Buffer
		check(t, overTCP(t, options(&log), options(&log), register), &log)
	})
	t.Run("within the process", func(t *testing.T) {
		t.Parallel()
		var log bytes.Buffer
		o := options(&log)
		check(t, tripv1.NewTripsClient(rpc.Within(rpc.NewChannel(o, register), o)), &log)
	})
}

func TestCallerRequestAndDeadlineCross(t *testing.T) {
	t.Parallel()
	want := caller.Caller{AccountID: "account_1", Role: caller.Member, Scopes: []string{"trip:write"}}
	answer := func(ctx context.Context) (*tripv1.Trip, error) {
		got := caller.FromContext(ctx)
		if _, ok := ctx.Deadline(); !ok || obs.RequestID(ctx) != "r1" || got.Name() != want.Name() || !got.Has("trip:write") {
			return nil, errors.New("something was lost")
		}
		return &tripv1.Trip{Id: "trip_1"}, nil
	}
	eachWay(t, answer, func(t *testing.T, client tripv1.TripsClient, _ *bytes.Buffer) {
		ctx, cancel := context.WithTimeout(obs.WithRequestID(caller.NewContext(t.Context(), want), "r1"), 10*time.Second)
		defer cancel()
		if got, err := client.StartTrip(ctx, &tripv1.StartTripRequest{}); err != nil || got.GetId() != "trip_1" {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

func TestRefusalsComeOutAsTheyWentIn(t *testing.T) {
	t.Parallel()
	answer := func(context.Context) (*tripv1.Trip, error) {
		refusal := errs.New(errs.FailedPrecondition, "TRIP_ALREADY_OPEN", "you have an open trip")
		refusal.RetryAfter = 2 * time.Second
		return nil, refusal.Because(errors.New("unique index trips_open"))
	}
	eachWay(t, answer, func(t *testing.T, client tripv1.TripsClient, _ *bytes.Buffer) {
		_, err := client.StartTrip(t.Context(), &tripv1.StartTripRequest{})
		e := errs.From(err)
		if e.Code != errs.FailedPrecondition || e.Reason != "TRIP_ALREADY_OPEN" || e.Service != "trip" ||
			e.Message != "you have an open trip" || e.RetryAfter != 2*time.Second {
			t.Errorf("came out as %+v", e)
		}
	})
}

func TestFaultsAndPanicsAreMaskedAndLogged(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(context.Context) (*tripv1.Trip, error){
		"a fault": func(context.Context) (*tripv1.Trip, error) { return nil, errors.New("secret table") },
		"a panic": func(context.Context) (*tripv1.Trip, error) { panic("secret table") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachWay(t, answer, func(t *testing.T, client tripv1.TripsClient, log *bytes.Buffer) {
				_, err := client.StartTrip(t.Context(), &tripv1.StartTripRequest{})
				e := errs.From(err)
				if e.Code != errs.Internal || strings.Contains(err.Error(), "secret") {
					t.Errorf("came out as %v", err)
				}
				if !strings.Contains(log.String(), "secret table") {
					t.Errorf("not logged: %q", log.String())
				}
			})
		})
	}
}

func TestAServiceThatIsAwayIsUnavailableAndNamed(t *testing.T) {
	t.Parallel()
	conn, err := rpc.Dial("127.0.0.1:1", options(&bytes.Buffer{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = tripv1.NewTripsClient(conn).StartTrip(t.Context(), &tripv1.StartTripRequest{})
	if e := errs.From(err); e.Code != errs.Unavailable || e.Service != "trip" || strings.Contains(e.Message, "127.0.0.1") {
		t.Errorf("came out as %+v", e)
	}
}

func TestCallsWithoutTheTokenAreRefused(t *testing.T) {
	t.Parallel()
	register := func(r grpc.ServiceRegistrar) {
		tripv1.RegisterTripsServer(r, trips{answer: func(context.Context) (*tripv1.Trip, error) { return &tripv1.Trip{}, nil }})
	}
	for token, want := range map[string]errs.Code{"": errs.Unauthenticated, "wrong": errs.Unauthenticated, "right": ""} {
		server, client := options(&bytes.Buffer{}), options(&bytes.Buffer{})
		server.Token, client.Token = "right", token
		_, err := overTCP(t, server, client, register).StartTrip(t.Context(), &tripv1.StartTripRequest{})
		var got errs.Code
		if err != nil {
			got = errs.From(err).Code
		}
		if got != want {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

// Reflection shows all methods: it needs the token. Probes of health have none.
func TestReflectionWithoutTheTokenIsRefused(t *testing.T) {
	t.Parallel()
	server := options(&bytes.Buffer{})
	server.Token = "right"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := rpc.NewServer(server, func(grpc.ServiceRegistrar) {})
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	t.Cleanup(func() { srv.Stop(); <-done })
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	for token, want := range map[string]codes.Code{"": codes.Unauthenticated, "wrong": codes.Unauthenticated, "right": codes.OK} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "sluice-token", token)
		stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
		if err == nil {
			_ = stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}) // Recv has the error
			_, err = stream.Recv()
		}
		if status.Code(err) != want {
			t.Errorf("token %q: %v, want %v", token, err, want)
		}
	}
	if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("health: %v", err)
	}
}
