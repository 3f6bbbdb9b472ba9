package app

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/cache"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/retention"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/worker"
	"github.com/sluicehq/sluice/services/account"
	accountrpc "github.com/sluicehq/sluice/services/account/rpc"
	"github.com/sluicehq/sluice/services/account/signing"
	accountstore "github.com/sluicehq/sluice/services/account/store"
	"github.com/sluicehq/sluice/services/activity"
	activityrpc "github.com/sluicehq/sluice/services/activity/rpc"
	activitystore "github.com/sluicehq/sluice/services/activity/store"
	"github.com/sluicehq/sluice/services/job"
	"github.com/sluicehq/sluice/services/job/logline"
	"github.com/sluicehq/sluice/services/job/queue"
	jobrpc "github.com/sluicehq/sluice/services/job/rpc"
	jobstore "github.com/sluicehq/sluice/services/job/store"
	"github.com/sluicehq/sluice/services/job/webhook"
	"github.com/sluicehq/sluice/services/trip"
	tripclients "github.com/sluicehq/sluice/services/trip/clients"
	tripevents "github.com/sluicehq/sluice/services/trip/events"
	triprpc "github.com/sluicehq/sluice/services/trip/rpc"
	tripstore "github.com/sluicehq/sluice/services/trip/store"
)

// opened is a service whose store is open.
type opened struct {
	name     string
	db       *sqldb.DB
	register func(grpc.ServiceRegistrar)
	old      []retention.Task               // lets go of what is old
	loops    func(b *bus.Bus) []worker.Loop // its own background loops; nil for none
}

// opener opens a service; connect reaches others.
type opener func(ctx context.Context, h *house, connect connector) (*opened, error)

// connector gives the connection to a service.
type connector func(service string) (grpc.ClientConnInterface, error)

// part connects one service to this program.
type part struct {
	open  opener
	port  func(p *bff.Ports, conn grpc.ClientConnInterface) // sets the port that calls the service over the connection
	cache func(p *bff.Ports, c *cache.Cache)                // wraps that port in the cache
}

// parts has one row for each service of internal/catalog, by its name.
func parts() map[string]part {
	return map[string]part{
		catalog.Account: {
			open:  openAccount,
			port:  func(p *bff.Ports, conn grpc.ClientConnInterface) { p.Accounts = bffrpc.NewAccounts(conn) },
			cache: func(p *bff.Ports, c *cache.Cache) { p.Accounts = c.Accounts(p.Accounts) },
		},
		catalog.Device: {
			open:  openDevice,
			port:  func(p *bff.Ports, conn grpc.ClientConnInterface) { p.Devices = bffrpc.NewDevices(conn) },
			cache: func(p *bff.Ports, c *cache.Cache) { p.Devices = c.Devices(p.Devices) },
		},
		catalog.Trip: {
			open:  openTrip,
			port:  func(p *bff.Ports, conn grpc.ClientConnInterface) { p.Trips = bffrpc.NewTrips(conn) },
			cache: func(p *bff.Ports, c *cache.Cache) { p.Trips = c.Trips(p.Trips) },
		},
		catalog.Job: {
			open:  openJob,
			port:  func(p *bff.Ports, conn grpc.ClientConnInterface) { p.Jobs = bffrpc.NewJobs(conn) },
			cache: func(p *bff.Ports, c *cache.Cache) { p.Jobs = c.Jobs(p.Jobs) },
		},
		catalog.Activity: {
			open:  openActivity,
			port:  func(p *bff.Ports, conn grpc.ClientConnInterface) { p.Activities = bffrpc.NewActivities(conn) },
			cache: func(p *bff.Ports, c *cache.Cache) { p.Activities = c.Activities(p.Activities) },
		},
	}
}

// openStore opens and migrates a service's database, and closes it with the program.
func (h *house) openStore(ctx context.Context, service string, migrations fs.FS) (*sqldb.DB, error) {
	dsn, err := h.config.DSN(service)
	if err != nil {
		return nil, err
	}
	var options []sqldb.Option
	if h.config.Telemetry.OTLPEndpoint != "" {
		options = append(options, sqldb.WithTracing(h.tracing.Provider()))
	}
	db, err := sqldb.Open(ctx, dsn, options...)
	if err != nil {
		return nil, fmt.Errorf("the %s service: %w", service, err)
	}
	h.program.closing.add(service+" store", func(context.Context) error { return db.Close() })
	if err := db.Migrate(ctx, migrations); err != nil {
		return nil, fmt.Errorf("the %s service: %w", service, err)
	}
	return db, nil
}

func openAccount(ctx context.Context, h *house, _ connector) (*opened, error) {
	db, err := h.openStore(ctx, "account", accountstore.Migrations())
	if err != nil {
		return nil, err
	}
	signer, err := signing.Open(filepath.Join(h.config.Data, "keys"))
	if err != nil {
		return nil, fmt.Errorf("open the signing keys: %w", err)
	}
	options := account.Options{Issuer: h.config.Auth.Issuer, AccessTTL: h.config.Auth.AccessTTL, RefreshTTL: h.config.Auth.RefreshTTL}
	if h.config.Demo {
		options.Identities = map[string]account.IdentityProvider{account.DemoProvider: account.DemoIdentities{}}
	}
	service := account.New(accountstore.New(db, accountrpc.EncodeAccount, accountrpc.EncodeAPIKey), signer, h.clock, options)
	return &opened{name: "account", db: db, register: func(r grpc.ServiceRegistrar) { accountrpc.Register(r, service) }}, nil
}

func openTrip(ctx context.Context, h *house, connect connector) (*opened, error) {
	db, err := h.openStore(ctx, "trip", tripstore.Migrations())
	if err != nil {
		return nil, err
	}
	devices, err := connect("device")
	if err != nil {
		return nil, err
	}
	t := h.config.Trip.Tariff
	tariff := trip.Tariff{Currency: t.Currency, StartFeeMinor: t.StartFeeMinor, PerKilometreMinor: t.PerKmMinor, PerMinuteMinor: t.PerMinuteMinor}
	if err := tariff.Check(); err != nil {
		return nil, fmt.Errorf("trip.tariff: %w", err)
	}
	service := trip.New(tripstore.New(db, triprpc.EncodeTrip), tripclients.NewVehicles(devices), h.clock, tariff)
	return &opened{
		name: "trip", db: db,
		register: func(r grpc.ServiceRegistrar) { triprpc.Register(r, service) },
		loops: func(b *bus.Bus) []worker.Loop {
			decoders := tripevents.Decoders{Opening: tripclients.DecodeOpening, Position: tripclients.DecodePosition}
			return append(tripevents.New(b, service, decoders, h.logger).Loops(), trip.NewTaskRunner(service).Loop())
		},
	}, nil
}

func openJob(ctx context.Context, h *house, _ connector) (*opened, error) {
	db, err := h.openStore(ctx, "job", jobstore.Migrations())
	if err != nil {
		return nil, err
	}
	kinds := job.Kinds{
		"log":     logline.New(h.logger),
		"webhook": webhook.New(webhook.Options{AllowPrivate: h.config.Job.WebhookAllowPrivate}),
	}
	store := jobstore.New(db, jobrpc.EncodeJob, jobrpc.EncodeOrder)
	scheduler := job.NewScheduler(store, h.clock, h.logger)
	service := job.New(store, h.clock, kinds, scheduler.Wake)
	jobs := job.NewWorker(store, h.clock, kinds, h.logger, scheduler.Wake)
	return &opened{
		name: "job", db: db, old: []retention.Task{retention.After("finished jobs", h.config.Job.FinishedRetention, store.DeleteFinished)},
		register: func(r grpc.ServiceRegistrar) { jobrpc.Register(r, service) },
		loops: func(b *bus.Bus) []worker.Loop {
			orders := queue.New(b, jobrpc.DecodeOrder, h.logger, queue.Options{Concurrency: h.config.Job.Workers})
			return []worker.Loop{scheduler.Loop(), jobs.Loop(orders)}
		},
	}, nil
}

func openActivity(ctx context.Context, h *house, _ connector) (*opened, error) {
	db, err := h.openStore(ctx, "activity", activitystore.Migrations())
	if err != nil {
		return nil, err
	}
	service := activity.New(activitystore.New(db, activityrpc.EncodeActivity), h.clock)
	return &opened{name: "activity", db: db, register: func(r grpc.ServiceRegistrar) { activityrpc.Register(r, service) }}, nil
}

// work starts what a service does beside answering: it relays its events, runs its own work and lets go of
// what is old.
func (h *house) work(s *opened, b *bus.Bus) {
	h.start(bus.NewRelay(b, s.db, bus.RelayOptions{Service: s.name, Clock: h.clock}).Loop())
	if s.loops != nil {
		h.start(s.loops(b)...)
	}
	if len(s.old) > 0 {
		h.start(retention.New(h.clock, h.logger, s.old...).Loop(s.name + " retention"))
	}
}

// local opens services in this process and gives the way to them.
func (h *house) local(ctx context.Context, names []string, connect connector) ([]*opened, map[string]grpc.ClientConnInterface, error) {
	services := make([]*opened, 0, len(names))
	conns := make(map[string]grpc.ClientConnInterface, len(names))
	reach := func(service string) (grpc.ClientConnInterface, error) {
		if conn, ok := conns[service]; ok {
			return conn, nil
		}
		return connect(service)
	}
	for _, name := range names {
		s, err := parts()[name].open(ctx, h, reach)
		if err != nil {
			return nil, nil, err
		}
		services = append(services, s)
		conns[name] = rpc.Within(rpc.NewChannel(h.calls, s.register), h.calls)
	}
	return services, conns, nil
}

// dial reaches a service in another process.
func (h *house) dial(service, addr string) (grpc.ClientConnInterface, error) {
	conn, err := rpc.Dial(addr, h.calls)
	if err != nil {
		return nil, fmt.Errorf("reach the %s service: %w", service, err)
	}
	h.program.closing.add(service+" connection", func(context.Context) error { return conn.Close() })
	return conn, nil
}
