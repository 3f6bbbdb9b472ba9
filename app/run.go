package app

import (
	"context"
	"fmt"
	"log/slog"
	"maps"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/gateway/edge"
	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/config"
	"github.com/sluicehq/sluice/internal/rpc"
)

// Serve runs the gateway and all services in one process, except services with a configured address.
func Serve(ctx context.Context, cfg config.Config, logger *slog.Logger) (*Program, error) {
	return build(ctx, cfg, logger, listenAddress{"addr", cfg.Addr}, func(ctx context.Context, w *wiring) error {
		if err := w.openData(); err != nil {
			return err
		}
		here, err := inThisProcess(cfg.Services)
		if err != nil {
			return err
		}
		elsewhere, err := w.remote(catalog.Names(), here, whereItListens(cfg.Services))
		if err != nil {
			return err
		}
		b, err := w.openBus(ctx, "nats")
		if err != nil {
			return err
		}
		services, conns, err := w.local(ctx, here, reachIn(elsewhere))
		if err != nil {
			return err
		}
		maps.Copy(conns, elsewhere)
		own, shared := map[string]edge.Check{}, map[string]edge.Check{}
		partOf := func(name string, remote bool, check edge.Check) {
			if remote {
				shared[name] = check
			} else {
				own[name] = check
			}
		}
		partOf("events", cfg.NATS.URL != "", func(context.Context) error { return b.Ready() })
		for _, s := range services {
			partOf(s.name, s.db.IsServer(), s.db.Ping)
			w.work(s, b)
		}
		for name, conn := range elsewhere {
			partOf(name, true, answers(conn))
		}
		if cfg.Demo {
			if err := w.prepareDemo(ctx, conns); err != nil {
				return err
			}
		}
		health := edge.NewHealth(own, shared)
		ports, err := w.cached(ctx, w.ports(conns), b, aloneIn(cfg, here))
		if err != nil {
			return err
		}
		handler, err := w.handler(ctx, ports, health, b)
		if err != nil {
			return err
		}
		w.serve(handler, health)
		return nil
	})
}

// Gateway runs the gateway alone. It dials the services at their configured or default addresses.
func Gateway(ctx context.Context, cfg config.Config, logger *slog.Logger) (*Program, error) {
	return build(ctx, cfg, logger, listenAddress{"addr", cfg.Addr}, func(ctx context.Context, w *wiring) error {
		if err := w.openData(); err != nil {
			return err
		}
		conns, err := w.remote(catalog.Names(), nil, whereItListens(cfg.Services))
		if err != nil {
			return err
		}
		if cfg.Demo {
			w.start(w.demoLoader(conns))
		}
		shared := map[string]edge.Check{}
		for name, conn := range conns {
			shared[name] = answers(conn)
		}
		var b *bus.Bus
		if cfg.NATS.URL != "" {
			if b, err = w.openBus(ctx, "nats-gateway"); err != nil {
				return err
			}
			shared["events"] = func(context.Context) error { return b.Ready() }
		}
		health := edge.NewHealth(nil, shared)
		ports, err := w.cached(ctx, w.ports(conns), b, false)
		if err != nil {
			return err
		}
		handler, err := w.handler(ctx, ports, health, b)
		if err != nil {
			return err
		}
		w.serve(handler, health)
		return nil
	})
}

// Service runs one service alone.
func Service(ctx context.Context, cfg config.Config, name string, logger *slog.Logger) (*Program, error) {
	settings, err := cfg.Services.Get(name)
	if err != nil {
		return nil, err
	}
	return build(ctx, cfg, logger, listenAddress{"services-" + name + "-listen", settings.Listen}, func(ctx context.Context, w *wiring) error {
		if err := w.openData(); err != nil {
			return err
		}
		b, err := w.openBus(ctx, "nats-"+name)
		if err != nil {
			return err
		}
		s, err := parts()[name].open(ctx, w, func(service string) (grpc.ClientConnInterface, error) {
			at, err := whereItListens(cfg.Services)(service)
			if err != nil {
				return nil, err
			}
			return w.dial(service, at)
		})
		if err != nil {
			return err
		}
		w.work(s, b)
		w.serveService(s)
		if err := w.serveWebSockets(ctx); err != nil {
			return err
		}
		if cfg.NATS.URL == "" {
			logger.Warn("the events of this service stay in this process: give all parts one broker with nats.url", "service", name)
		}
		return nil
	})
}

func (w *wiring) serveService(s *opened) {
	server := rpc.NewServer(w.calls, s.register)
	w.run("grpc", func(context.Context) error { return server.Serve(w.listener) })
	w.program.closing.add("grpc calls", func(stop context.Context) error {
		ended := make(chan struct{})
		go func() { defer close(ended); server.GracefulStop() }()
		select {
		case <-ended:
		case <-stop.Done():
			server.Stop()
			<-ended
		}
		return nil
	})
}

func inThisProcess(services config.Services) ([]string, error) {
	var names []string
	for _, name := range catalog.Names() {
		s, err := services.Get(name)
		if err != nil {
			return nil, err
		}
		if s.Addr == "" {
			names = append(names, name)
		}
	}
	return names, nil
}

func whereItListens(services config.Services) func(string) (string, error) {
	return func(name string) (string, error) {
		s, err := services.Get(name)
		if err != nil {
			return "", err
		}
		if s.Addr != "" {
			return s.Addr, nil
		}
		return s.Listen, nil
	}
}

func reachIn(conns map[string]grpc.ClientConnInterface) connector {
	return func(service string) (grpc.ClientConnInterface, error) {
		if conn, ok := conns[service]; ok {
			return conn, nil
		}
		return nil, fmt.Errorf("the %s service has no address and does not run in this process", service)
	}
}
