package rpc_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/importer"
	importerrpc "github.com/sluicehq/sluice/importer/rpc"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/account"
	accountrpc "github.com/sluicehq/sluice/services/account/rpc"
	"github.com/sluicehq/sluice/services/account/signing"
	accountstore "github.com/sluicehq/sluice/services/account/store"
	"github.com/sluicehq/sluice/services/activity"
	activityrpc "github.com/sluicehq/sluice/services/activity/rpc"
	activitystore "github.com/sluicehq/sluice/services/activity/store"
	"github.com/sluicehq/sluice/services/device/assembly"
	devicerpc "github.com/sluicehq/sluice/services/device/rpc"
	devicestore "github.com/sluicehq/sluice/services/device/store"
	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	"github.com/sluicehq/sluice/services/trip"
	tripclients "github.com/sluicehq/sluice/services/trip/clients"
	triprpc "github.com/sluicehq/sluice/services/trip/rpc"
	tripstore "github.com/sluicehq/sluice/services/trip/store"
)

// fixture is a set of services over real stores, to which tests import recordings.
type fixture struct {
	importer.Services
	accounts   accountv1.AccountsClient
	devices    devicev1.DevicesClient
	trips      tripv1.TripsClient
	activities activityv1.ActivitiesClient
}

func calls() rpc.Options {
	return rpc.Options{Logger: slog.New(slog.DiscardHandler), Tracing: obs.NoTracing()}
}

// nobody is a connection with no service behind it.
func nobody() grpc.ClientConnInterface {
	return rpc.Within(rpc.NewChannel(calls(), func(grpc.ServiceRegistrar) {}), calls())
}

func build(t *testing.T) fixture {
	t.Helper()
	keys, err := signing.Open(t.Context(), &signing.Memory{}, signing.Options{})
	if err != nil {
		t.Fatal(err)
	}
	accounts := account.New(
		accountstore.New(sqltest.OpenSQLite(t, accountstore.Migrations()), accountrpc.EncodeAccount, accountrpc.EncodeAPIKey),
		keys, clock.System{}, account.Options{Identities: map[string]account.IdentityProvider{account.DemoProvider: account.DemoIdentities{}}})
	devices := assembly.New(devicestore.New(sqltest.OpenSQLite(t, devicestore.Migrations()), devicerpc.Encoding()), clock.System{}, assembly.Options{})
	activities := activity.New(activitystore.New(sqltest.OpenSQLite(t, activitystore.Migrations()), activityrpc.EncodeActivity), clock.System{})
	tripStore := tripstore.New(sqltest.OpenSQLite(t, tripstore.Migrations()), triprpc.EncodeTrip)
	channel := rpc.NewChannel(calls(), func(r grpc.ServiceRegistrar) {
		accountrpc.Register(r, accounts)
		devicerpc.Register(r, devices)
		activityrpc.Register(r, activities)
	})
	conn := rpc.Within(channel, calls())
	triprpc.Register(channel, trip.New(tripStore, tripclients.NewVehicles(conn), clock.System{}, trip.Tariff{Currency: "EUR"}, trip.SpeedLimits{}))
	return fixture{
		Services: demoServices(conn),
		accounts: accountv1.NewAccountsClient(conn), devices: devicev1.NewDevicesClient(conn),
		trips: tripv1.NewTripsClient(conn), activities: activityv1.NewActivitiesClient(conn),
	}
}

func asSystem(t *testing.T) context.Context {
	t.Helper()
	return caller.NewContext(t.Context(), caller.OfSystem())
}

func (h fixture) account(t *testing.T, code string) string {
	t.Helper()
	session, err := h.accounts.Login(t.Context(), &accountv1.LoginRequest{Provider: account.DemoProvider, Code: code})
	if err != nil {
		t.Fatal(err)
	}
	return session.GetAccount().GetId()
}

// text is a file of the name that holds the text.
func text(name, content string) importer.File {
	return importer.In(fstest.MapFS{name: {Data: []byte(content)}}, name)
}

// of is a file of the name whose content is made as it is read.
func of(name string, open func() fs.File) importer.File {
	return importer.File{Name: name, Open: func() (fs.File, error) { return open(), nil }}
}

// in imports one file, which must have no fault.
func (h fixture) in(t *testing.T, kind importer.Kind, file importer.File, options importer.Options) importer.Report {
	t.Helper()
	report, err := importer.Import(t.Context(), h.Services, kind, []importer.File{file}, options)
	if err != nil || report.Bad > 0 {
		t.Fatalf("%v, faults %v", err, report.Faults)
	}
	return report
}

func wantCounts(t *testing.T, got, want importer.Counts) {
	t.Helper()
	if got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

func wantFault(t *testing.T, f importer.Fault, file string, line int, reason string) {
	t.Helper()
	if f.File != file || f.Line != line || !strings.Contains(f.Reason, reason) {
		t.Errorf("fault %+v, want %s line %d: %s", f, file, line, reason)
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one about %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q, want it to say %q", err, part)
		}
	}
}

func wantRefusal(t *testing.T, err error, code errs.Code, part string) {
	t.Helper()
	e, ok := errors.AsType[*errs.Error](err)
	if !ok || e.Code != code || !strings.Contains(e.Message, part) {
		t.Errorf("error %v, want %s about %q", err, code, part)
	}
}

// demoServices are the services of an installation in which the demo identities exist.
func demoServices(conn grpc.ClientConnInterface) importer.Services {
	services := importerrpc.New(conn, conn, conn, conn)
	services.Demo = true
	return services
}
