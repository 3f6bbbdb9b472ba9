package rpc_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	"github.com/sluicehq/sluice/services/trip"
	tripclients "github.com/sluicehq/sluice/services/trip/clients"
	triprpc "github.com/sluicehq/sluice/services/trip/rpc"
	"github.com/sluicehq/sluice/services/trip/store"
)

// env is the service over SQLite behind its contract, with a device service that returns every device as a vehicle,
// except the camera and the unknown device.
type env struct {
	tripv1.TripsClient
	db              *sqldb.DB
	clock           *clock.Manual
	camera, unknown string
	devices         error // the error of the device service, when not nil
}

func noon() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

func tariff() trip.Tariff {
	return trip.Tariff{Currency: "EUR", StartFeeMinor: 100, PerKilometreMinor: 25, PerMinuteMinor: 30}
}

func newEnv(t *testing.T) *env {
	t.Helper()
	h := &env{
		db: sqltest.OpenSQLite(t, store.Migrations()), clock: clock.NewManual(noon()),
		camera: ids.New(ids.Device), unknown: ids.New(ids.Device),
	}
	h.TripsClient = h.with(tariff())
	return h
}

// with returns the service over the same data with another tariff.
func (h *env) with(tariff trip.Tariff) tripv1.TripsClient {
	options := rpc.Options{Logger: slog.New(slog.DiscardHandler), Tracing: obs.NoTracing()}
	devices := rpc.NewChannel(options, func(r grpc.ServiceRegistrar) {
		devicev1.RegisterDevicesServer(r, deviceService{env: h})
		devicev1.RegisterRidesServer(r, rideService{})
	})
	service := trip.New(store.New(h.db, triprpc.EncodeTrip), tripclients.NewVehicles(rpc.Within(devices, options)), h.clock, tariff, trip.SpeedLimits{})
	trips := rpc.NewChannel(options, func(r grpc.ServiceRegistrar) { triprpc.Register(r, service) })
	return tripv1.NewTripsClient(rpc.Within(trips, options))
}

type deviceService struct {
	devicev1.UnimplementedDevicesServer
	env *env
}

func (s deviceService) BatchGetDevices(ctx context.Context, r *devicev1.BatchGetDevicesRequest) (*devicev1.BatchGetDevicesResponse, error) {
	if s.env.devices != nil {
		return nil, s.env.devices
	}
	if _, err := caller.Require(ctx, caller.DeviceRead); err != nil {
		return nil, err
	}
	reply := &devicev1.BatchGetDevicesResponse{}
	for _, id := range r.GetIds() {
		kind := devicev1.Kind_KIND_VEHICLE
		if id == s.env.camera {
			kind = devicev1.Kind_KIND_CAMERA
		}
		if id != s.env.unknown {
			reply.Devices = append(reply.Devices, &devicev1.Device{Id: id, Kind: kind})
		}
	}
	return reply, nil
}

// rideService accepts every ride.
type rideService struct {
	devicev1.UnimplementedRidesServer
}

func (rideService) PutRide(context.Context, *devicev1.PutRideRequest) (*devicev1.PutRideResponse, error) {
	return &devicev1.PutRideResponse{}, nil
}

// as returns the context of a caller with a new account.
func as(t *testing.T, role caller.Role) (ctx context.Context, accountID string) {
	t.Helper()
	accountID = ids.New(ids.Account)
	return caller.NewContext(t.Context(), caller.Caller{AccountID: accountID, Role: role, Scopes: caller.ScopesOf(role)}), accountID
}

func system(t *testing.T) context.Context {
	t.Helper()
	return caller.NewContext(t.Context(), caller.OfSystem())
}

// at returns a position a number of seconds after noon, and ten metres north of the start for each second.
func at(seconds int) *typesv1.Position {
	return &typesv1.Position{
		Latitude: 48 + float64(seconds)*10/111_195.0797, Longitude: 11.5, At: timestamppb.New(noon().Add(time.Duration(seconds) * time.Second)),
	}
}

func (h *env) start(ctx context.Context, t *testing.T) *tripv1.Trip {
	t.Helper()
	started, err := h.StartTrip(ctx, &tripv1.StartTripRequest{VehicleId: ids.New(ids.Device), Position: at(0)})
	if err != nil {
		t.Fatal(err)
	}
	return started
}

func (h *env) report(ctx context.Context, t *testing.T, tripID string, p *typesv1.Position) *tripv1.Trip {
	t.Helper()
	reported, err := h.ReportPosition(ctx, &tripv1.ReportPositionRequest{TripId: tripID, Position: p})
	if err != nil {
		t.Fatal(err)
	}
	return reported
}

func (h *env) end(ctx context.Context, t *testing.T, tripID string) *tripv1.Trip {
	t.Helper()
	ended, err := h.EndTrip(ctx, &tripv1.EndTripRequest{TripId: tripID})
	if err != nil {
		t.Fatal(err)
	}
	return ended
}

func (h *env) events(t *testing.T) []sqldb.Event {
	t.Helper()
	pending, err := h.db.PendingEvents(t.Context(), 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return pending
}

// refused requires that the error has the code and the reason.
func refused(t *testing.T, what string, err error, code errs.Code, reason string) {
	t.Helper()
	if e := errs.From(err); err == nil || e.Code != code || e.Reason != reason {
		t.Errorf("%s: %v, want %s %s", what, err, code, reason)
	}
}
