package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/cache"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/retention"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/seal"
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

// opened is a service with an open store.
type opened struct {
	name     string
	db       *sqldb.DB
	register func(grpc.ServiceRegistrar)
	old      []retention.Task               // retention tasks
	loops    func(b *bus.Bus) []worker.Loop // its own background loops; nil for none
}

// opener opens a service. connect dials other services.
type opener func(ctx context.Context, w *wiring, connect connector) (*opened, error)

// connector returns the connection to a service.
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

func (w *wiring) openStore(ctx context.Context, service string, schema sqldb.Schema) (*sqldb.DB, error) {
	return w.openPrepared(ctx, service, func(ctx context.Context, db *sqldb.DB) error { return db.Migrate(ctx, schema) })
}

// openSealed opens the store of a service that stores secrets, and seals those that are not sealed yet.
func (w *wiring) openSealed(ctx context.Context, service string, schema sqldb.Schema, sealed ...sqldb.Sealed) (*sqldb.DB, error) {
	keys, err := w.sealingKeys()
	if err != nil {
		return nil, err
	}
	return w.openPrepared(ctx, service, func(ctx context.Context, db *sqldb.DB) error {
		if err := db.Migrate(ctx, schema); err != nil {
			return err
		}
		return db.SealAll(ctx, sealed...)
	}, sqldb.WithKeys(keys))
}

// sealingKeys returns the keys of the settings, or of a file in the data folder.
func (w *wiring) sealingKeys() (*seal.Keys, error) {
	if setting := w.config.SealingKeys.Reveal(); setting != "" {
		return seal.Parse(setting)
	}
	if err := createDataFolder(w.config.Data); err != nil {
		return nil, err
	}
	return seal.Load(filepath.Join(w.config.Data, "sealing.key"))
}

// prepare brings an open database into the form that the service needs.
type prepare func(ctx context.Context, db *sqldb.DB) error

func (w *wiring) openPrepared(ctx context.Context, service string, prepare prepare, options ...sqldb.Option) (*sqldb.DB, error) {
	dsn, err := w.config.DSN(service)
	if err != nil {
		return nil, err
	}
	settings, err := w.config.Services.Get(service)
	if err != nil {
		return nil, err
	}
	options = append(options, sqldb.WithMaxConnections(settings.MaxConnections))
	if w.config.Telemetry.OTLPEndpoint != "" {
		options = append(options, sqldb.WithTracing(w.tracing.Provider()))
	}
	db, err := openDatabase(ctx, dsn, prepare, options)
	for failures := 1; isAway(err); failures++ {
		if failures == 1 {
			w.logger.Warn("the database is away: the service waits for it", "service", service, "error", err)
		}
		if err := clock.Sleep(ctx, w.clock, clock.Backoff(failures, minDatabaseBackoff, maxDatabaseBackoff, rand.Float64())); err != nil {
			return nil, fmt.Errorf("the %s service: wait for the database: %w", service, err)
		}
		db, err = openDatabase(ctx, dsn, prepare, options)
	}
	if err != nil {
		return nil, fmt.Errorf("the %s service: %w", service, err)
	}
	w.program.closing.add(service+" store", func(context.Context) error { return db.Close() })
	db.LimitStorage(sqldb.StorageLimits{Account: int64(settings.AccountStorage), Device: int64(w.config.Device.Storage)})
	return db, nil
}

const (
	minDatabaseBackoff = 100 * time.Millisecond
	maxDatabaseBackoff = 5 * time.Second
)

func openDatabase(ctx context.Context, dsn string, prepare prepare, options []sqldb.Option) (*sqldb.DB, error) {
	db, err := sqldb.Open(ctx, dsn, options...)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// isAway reports whether a database server accepts no connections now. For a SQLite file waiting does not help.
func isAway(err error) bool {
	e := errs.From(err)
	return e != nil && e.Reason == sqldb.ReasonUnavailable
}

func openAccount(ctx context.Context, w *wiring, _ connector) (*opened, error) {
	db, err := w.openSealed(ctx, "account", accountstore.Migrations(), accountstore.SealedKeys())
	if err != nil {
		return nil, err
	}
	options := account.Options{Issuer: w.config.Auth.Issuer, AccessTTL: w.config.Auth.AccessTTL, RefreshTTL: w.config.Auth.RefreshTTL}
	if w.config.Demo {
		options.Identities = map[string]account.IdentityProvider{account.DemoProvider: account.DemoIdentities{}}
	}
	store := accountstore.New(db, accountrpc.EncodeAccount, accountrpc.EncodeAPIKey)
	if err := w.checkDemoAccounts(ctx, store); err != nil {
		return nil, err
	}
	keys, err := w.sealingKeys()
	if err != nil {
		return nil, err
	}
	options.Derive = keys.Derive
	w.signing, err = signing.Open(ctx, store, signing.Options{
		Clock: w.clock, Rotation: w.config.Auth.KeyRotation, TokenTTL: w.config.Auth.AccessTTL, Folder: filepath.Join(w.config.Data, "keys"),
	})
	if err != nil {
		return nil, fmt.Errorf("open the signing keys: %w", err)
	}
	service := account.New(store, w.signing, w.clock, options)
	return &opened{
		name: "account", db: db, register: func(r grpc.ServiceRegistrar) { accountrpc.Register(r, service) },
		loops: func(*bus.Bus) []worker.Loop { return []worker.Loop{w.signing.Loop()} },
	}, nil
}

func openTrip(ctx context.Context, w *wiring, connect connector) (*opened, error) {
	db, err := w.openStore(ctx, "trip", tripstore.Migrations())
	if err != nil {
		return nil, err
	}
	devices, err := connect("device")
	if err != nil {
		return nil, err
	}
	t := w.config.Trip.Tariff
	tariff := trip.Tariff{Currency: t.Currency, StartFeeMinor: t.StartFeeMinor, PerKilometreMinor: t.PerKmMinor, PerMinuteMinor: t.PerMinuteMinor}
	if err := tariff.Check(); err != nil {
		return nil, fmt.Errorf("trip.tariff: %w", err)
	}
	byKind, err := w.config.Trip.SpeedLimits()
	if err != nil {
		return nil, err
	}
	service := trip.New(tripstore.New(db, triprpc.EncodeTrip), tripclients.NewVehicles(devices), w.clock, tariff,
		trip.SpeedLimits{Default: w.config.Trip.MaxSpeed, ByKind: byKind})
	return &opened{
		name: "trip", db: db,
		register: func(r grpc.ServiceRegistrar) { triprpc.Register(r, service) },
		loops: func(b *bus.Bus) []worker.Loop {
			decoders := tripevents.Decoders{Opening: tripclients.DecodeOpening, Position: tripclients.DecodePosition}
			return append(tripevents.New(b, service, decoders, w.logger).Loops(), trip.NewTaskRunner(service).Loop())
		},
	}, nil
}

func openJob(ctx context.Context, w *wiring, _ connector) (*opened, error) {
	db, err := w.openSealed(ctx, "job", jobstore.Migrations(), jobstore.Sealed()...)
	if err != nil {
		return nil, err
	}
	hooks := webhook.New(webhook.Options{AllowPrivate: w.config.Job.WebhookAllowPrivate})
	kinds := job.Kinds{"log": logline.New(w.logger), "webhook": hooks}
	store := jobstore.New(db, jobrpc.EncodeJob, jobrpc.EncodeOrder)
	if err := store.Conceal(ctx, "webhook", hooks); err != nil {
		return nil, fmt.Errorf("seal the credentials of webhooks: %w", err)
	}
	scheduler := job.NewScheduler(store, w.clock, w.logger)
	service := job.New(store, w.clock, kinds, scheduler.Wake)
	jobs := job.NewWorker(store, w.clock, kinds, w.logger, scheduler.Wake)
	return &opened{
		name: "job", db: db, old: []retention.Task{retention.After("finished jobs", w.config.Job.FinishedRetention, store.DeleteFinished)},
		register: func(r grpc.ServiceRegistrar) { jobrpc.Register(r, service) },
		loops: func(b *bus.Bus) []worker.Loop {
			orders := queue.New(b, jobrpc.DecodeOrder, w.logger, queue.Options{Concurrency: w.config.Job.Workers})
			return []worker.Loop{scheduler.Loop(), jobs.Loop(orders)}
		},
	}, nil
}

func openActivity(ctx context.Context, w *wiring, _ connector) (*opened, error) {
	db, err := w.openStore(ctx, "activity", activitystore.Migrations())
	if err != nil {
		return nil, err
	}
	store := activitystore.New(db, activityrpc.EncodeActivity)
	service := activity.New(store, w.clock)
	return &opened{
		name: "activity", db: db, register: func(r grpc.ServiceRegistrar) { activityrpc.Register(r, service) },
		old: []retention.Task{retention.After("history of activities", w.config.Activity.HistoryRetention, store.DeleteHistory)},
	}, nil
}

// work starts the relay of a service's events, its own loops and retention.
func (w *wiring) work(s *opened, b *bus.Bus) {
	w.start(bus.NewRelay(b, s.db, bus.RelayOptions{Service: s.name, Clock: w.clock}).Loop())
	if s.loops != nil {
		w.start(s.loops(b)...)
	}
	if len(s.old) > 0 {
		w.start(retention.New(w.clock, w.logger, s.old...).Loop(s.name + " retention"))
	}
}

func (w *wiring) local(ctx context.Context, names []string, connect connector) ([]*opened, map[string]grpc.ClientConnInterface, error) {
	services := make([]*opened, 0, len(names))
	conns := make(map[string]grpc.ClientConnInterface, len(names))
	reach := func(service string) (grpc.ClientConnInterface, error) {
		if conn, ok := conns[service]; ok {
			return conn, nil
		}
		return connect(service)
	}
	for _, name := range names {
		s, err := parts()[name].open(ctx, w, reach)
		if err != nil {
			return nil, nil, err
		}
		services = append(services, s)
		conns[name] = rpc.Within(rpc.NewChannel(w.calls, s.register), w.calls)
	}
	return services, conns, nil
}

func (w *wiring) dial(service, addr string) (grpc.ClientConnInterface, error) {
	conn, err := rpc.Dial(addr, w.calls)
	if err != nil {
		return nil, fmt.Errorf("reach the %s service: %w", service, err)
	}
	w.program.closing.add(service+" connection", func(context.Context) error { return conn.Close() })
	return conn, nil
}
