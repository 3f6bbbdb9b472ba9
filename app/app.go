// Package app puts the parts of Sluice together and runs them: all in one process, or one part
// alone.
//
// A Program that has started listens and is ready; Close takes it down in the reverse order in which
// it came up, within a bounded time, and leaves nothing running. Several Programs may run in one
// process, each on its own folder and port.
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
)

// Program is a running Sluice, or a part of it.
type Program struct {
	Addr   string // where it listens: host:port
	MQTT   string // where devices connect to it: host:port; "" when they do not
	APIKey string // the demo's API key; "" without --demo

	closing closers
	failed  chan error
}

// Failed gives an error when the program can no longer do its work; it should then be closed.
func (p *Program) Failed() <-chan error { return p.failed }

// fail reports an error of a part that should have gone on; the first is enough.
func (p *Program) fail(err error) {
	select {
	case p.failed <- err:
	default:
	}
}

// Close takes the program down. It may be called more than once.
func (p *Program) Close(ctx context.Context) error { return p.closing.close(ctx) }

// house is what all parts of a program share.
type house struct {
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

	responses bff.Responses   // of a gateway that keeps answers
	redis     *redisdb.Client // nil without Redis
	online    bool            // it has a broker: devices may connect
	devices   http.Handler    // MQTT over WebSocket; nil when the device service runs elsewhere
	guards    []*guard.Conn
}

// door is where a program listens; the zero door is for one that does not.
type door struct {
	setting string // which flag says so
	addr    string
}

// build starts a program part by part; when a part fails, those before it are taken down again. It
// takes the address first, because nothing else is worth doing when that is taken.
func build(ctx context.Context, cfg config.Config, logger *slog.Logger, at door, parts func(ctx context.Context, h *house) error) (*Program, error) {
	p := &Program{failed: make(chan error, 1)}
	h, err := newHouse(ctx, cfg, logger, p)
	if err == nil {
		err = h.listen(ctx, at)
	}
	if err == nil {
		err = parts(ctx, h)
	}
	if err == nil {
		return p, nil
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return nil, errors.Join(err, p.Close(stop))
}

// listen takes the address. Whoever comes before the program is ready waits.
func (h *house) listen(ctx context.Context, at door) error {
	if at.addr == "" {
		return nil
	}
	config := net.ListenConfig{Control: unacknowledged(h.config.Live.IdleTimeout)}
	listener, err := config.Listen(ctx, "tcp", at.addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w: choose another address with --%s", at.addr, errors.Unwrap(err), at.setting)
	}
	h.listener, h.program.Addr = listener, listener.Addr().String()
	h.program.closing.add("listener", func(context.Context) error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err // a server that has served has closed it
		}
		return nil
	})
	return nil
}

func newHouse(ctx context.Context, cfg config.Config, logger *slog.Logger, p *Program) (*house, error) {
	tracing, err := obs.NewTracing(ctx, cfg.Telemetry.OTLPEndpoint, cfg.Telemetry.TraceRatio)
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
	return &house{
		config: cfg, logger: logger, clock: clock.System{}, registry: registry, tracing: tracing, program: p,
		calls:   rpc.Options{Token: cfg.ServiceToken.Reveal(), Logger: logger, Tracing: tracing, Metrics: rpc.NewMetrics(registry)},
		workers: worker.Options{Logger: logger, Metrics: metrics},
	}, nil
}

// run keeps a goroutine going until the program is closed.
func (h *house) run(name string, work func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := work(ctx); err != nil && ctx.Err() == nil {
			h.logger.Error("a part has ended", "part", name, "error", err)
			h.program.fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
	h.program.closing.add(name, func(stop context.Context) error {
		cancel()
		select {
		case <-ended:
			return nil
		case <-stop.Done():
			return stop.Err()
		}
	})
}

// start runs background loops until the program is closed. A loop that fails is retried; a permanent error of one
// fails the program.
func (h *house) start(loops ...worker.Loop) {
	for _, loop := range loops {
		h.run(loop.Name, worker.New(loop, h.workers).Run)
	}
}

// closers take things down, the last first.
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

// close goes on past what fails, and tells all that did.
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
