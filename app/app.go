// Package app composes the parts of Sluice and runs them: all in one process, or one part alone. A started Program is
// listening and ready. Close stops its parts in reverse order, within the deadline of its context, and leaves no
// goroutine. When a part cannot start, the parts before it are stopped and the error is returned. Several Programs
// may run in one process, each with its own folder and port.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/guard"
	"github.com/sluicehq/sluice/gateway/live"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/config"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/redisdb"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/worker"
	"github.com/sluicehq/sluice/services/account/signing"
)

// Program is a running Sluice, or a part of it.
type Program struct {
	Addr   string // listen address of the gateway: host:port
	MQTT   string // listen address for devices: host:port; "" without devices
	APIKey string // the demo's API key; "" without --demo

	closing closers
	failed  chan error
}

// Failed receives an error when the program cannot continue. The owner then closes it.
func (p *Program) Failed() <-chan error { return p.failed }

// fail reports the first error of a part that ended early.
func (p *Program) fail(err error) {
	select {
	case p.failed <- err:
	default:
	}
}

// Close stops the program. It is idempotent.
func (p *Program) Close(ctx context.Context) error { return p.closing.close(ctx) }

// wiring has the dependencies that parts share.
type wiring struct {
	config   config.Config
	logger   *slog.Logger
	clock    clock.Clock
	registry *prometheus.Registry
	tracing  *obs.Tracing
	calls    rpc.Options
	workers  worker.Options
	program  *Program
	listener net.Listener // nil for a program that does not listen
	hub      *live.Hub    // of a gateway with a broker

	responses bff.Responses   // of a gateway with a response cache
	redis     *redisdb.Client // nil without Redis
	online    bool            // it has a broker: devices may connect
	isDemo    bool            // the data folder is the demo's
	newDemo   bool            // since this start
	devices   http.Handler    // MQTT over WebSocket; nil when the device service runs elsewhere
	guards    []*guard.Conn
	signing   *signing.Keys // of the account service; nil when it runs elsewhere
}

// listenAddress is the address of a program, and its setting. The zero value does not listen.
type listenAddress struct {
	setting string // name of the flag
	addr    string
}

// build starts the parts of a program in order. When one fails, it stops the parts before it. It opens the listener
// first, because an address may be in use.
func build(ctx context.Context, cfg config.Config, logger *slog.Logger, at listenAddress, parts func(ctx context.Context, w *wiring) error) (*Program, error) {
	p := &Program{failed: make(chan error, 1)}
	w, err := newWiring(ctx, cfg, logger, p)
	if err == nil {
		err = w.listen(ctx, at)
	}
	if err == nil {
		err = parts(ctx, w)
	}
	if err == nil {
		return p, nil
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return nil, errors.Join(err, p.Close(stop))
}

// listen opens the listener. Connections before the program is ready wait in its backlog.
func (w *wiring) listen(ctx context.Context, at listenAddress) error {
	if at.addr == "" {
		return nil
	}
	config := net.ListenConfig{Control: unacknowledged(w.config.Live.IdleTimeout)}
	listener, err := config.Listen(ctx, "tcp", at.addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w: choose another address with --%s", at.addr, errors.Unwrap(err), at.setting)
	}
	w.listener, w.program.Addr = listener, listener.Addr().String()
	w.program.closing.add("listener", func(context.Context) error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err // the server that served has already closed it
		}
		return nil
	})
	return nil
}

func newWiring(ctx context.Context, cfg config.Config, logger *slog.Logger, p *Program) (*wiring, error) {
	tracing, err := obs.NewTracing(ctx, cfg.Telemetry.OTLPEndpoint, cfg.Telemetry.TraceRatio, logger)
	if err != nil {
		return nil, err
	}
	p.closing.add("traces", tracing.Shutdown)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics, err := worker.NewMetrics(registry)
	if err != nil {
		return nil, err
	}
	return &wiring{
		config: cfg, logger: logger, clock: clock.System{}, registry: registry, tracing: tracing, program: p,
		calls:   rpc.Options{Token: cfg.ServiceToken.Reveal(), Logger: logger, Tracing: tracing, Metrics: rpc.NewMetrics(registry)},
		workers: worker.Options{Logger: logger, Metrics: metrics},
	}, nil
}

func (w *wiring) run(name string, work func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := work(ctx); err != nil && ctx.Err() == nil {
			w.logger.Error("a part has ended", "part", name, "error", err)
			w.program.fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
	w.program.closing.add(name, func(stop context.Context) error {
		cancel()
		select {
		case <-ended:
			return nil
		case <-stop.Done():
			return stop.Err()
		}
	})
}

// start runs background loops until the program is closed. A failed loop is retried; a permanent error fails the
// program.
func (w *wiring) start(loops ...worker.Loop) {
	for _, loop := range loops {
		w.run(loop.Name, worker.New(loop, w.workers).Run)
	}
}

// closers is a stack of named clean-up functions.
type closers struct {
	mu    sync.Mutex
	named []closer
}

type closer struct {
	name  string
	close func(context.Context) error
}

func (c *closers) add(name string, stop func(context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.named = append(c.named, closer{name, stop})
}

// close runs all functions, also after a failure, and joins their errors.
func (c *closers) close(ctx context.Context) error {
	c.mu.Lock()
	named := c.named
	c.named = nil
	c.mu.Unlock()
	var failures []error
	for i := len(named) - 1; i >= 0; i-- {
		if err := named[i].close(ctx); err != nil {
			failures = append(failures, fmt.Errorf("close %s: %w", named[i].name, err))
		}
	}
	return errors.Join(failures...)
}
