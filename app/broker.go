package app

import (
	"context"
	"path/filepath"

	"github.com/sluicehq/sluice/internal/bus"
)

// openBus connects to the configured broker, or starts one in this process with its streams in the folder.
func (w *wiring) openBus(ctx context.Context, folder string) (*bus.Bus, error) {
	b, err := bus.Open(ctx, bus.Options{
		URL: w.config.NATS.URL.Reveal(), StoreDir: filepath.Join(w.config.Data, folder),
		EventsMaxAge: w.config.NATS.EventsMaxAge, EventsMaxBytes: int64(w.config.NATS.EventsMaxBytes),
		Replicas: w.config.NATS.Replicas, Logger: w.logger, Registry: w.registry,
	})
	if err != nil {
		return nil, err
	}
	w.program.closing.add("events", b.Close)
	w.start(b.Loop())
	w.online = true
	return b, nil
}
