package app

import (
	"context"
	"strings"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/cache"
	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/config"
)

// cached wraps the ports in the cache, if every change can invalidate it. Without a broker, changes that pass through
// no gateway cannot. Without Redis, changes through other gateways cannot.
func (w *wiring) cached(ctx context.Context, ports bff.Ports, b *bus.Bus, sole bool) (bff.Ports, error) {
	if err := w.openRedis(); err != nil {
		return ports, err
	}
	settings := w.config.Cache
	shared := w.redis != nil
	if !settings.Enabled || b == nil || !shared && !sole && !settings.SingleGateway {
		w.logger.Info("responses of the services are not cached", "enabled", settings.Enabled, "broker", b != nil, "redis", shared)
		return ports, nil
	}
	options := cache.Options{
		Memory: int64(settings.Memory), MaxEntry: int(settings.MaxEntry),
		Clock: w.clock, Logger: w.logger, Registry: w.registry,
	}
	if shared {
		options.Redis = &cache.RedisOptions{Client: w.redis, WriteTime: 2 * w.config.CallTimeout}
	}
	c := cache.New(options)
	w.program.closing.add("cache", c.Close)
	stop, err := c.ListenToPeers(b.JetStream().Conn())
	if err != nil {
		return ports, err
	}
	w.program.closing.add("cache of other gateways", func(context.Context) error { return stop() })
	w.start(c.Follower(ctx, b.JetStream()).Loop())
	w.responses = c.Responses()
	for _, part := range parts() {
		part.cache(&ports, c)
	}
	return ports, nil
}

// aloneIn reports whether no other gateway can reach these rows: the services, their databases and their broker all
// belong to this process.
func aloneIn(cfg config.Config, here []string) bool {
	for _, name := range here {
		if dsn, err := cfg.DSN(name); err != nil || !strings.HasPrefix(dsn, "sqlite:") {
			return false
		}
	}
	return cfg.NATS.URL == "" && len(here) == len(catalog.Names())
}
