package app

import (
	"context"
	"path/filepath"

	"github.com/sluicehq/sluice/internal/bus"
)

// openBus opens the broker: the servers that the settings name, or one in this process that stores its streams in the
// folder.
func (h *house) openBus(ctx context.Context, folder string) (*bus.Bus, error) {
	b, err := bus.Open(ctx, bus.Options{
		URL: h.config.NATS.URL.Reveal(), StoreDir: filepath.Join(h.config.Data, folder),
		EventsMaxAge: h.config.NATS.EventsMaxAge, EventsMaxBytes: int64(h.config.NATS.EventsMaxBytes),
		Logger: h.logger, Registry: h.registry,
	})
	if err != nil {
		return nil, err
	}
	h.program.closing.add("events", b.Close)
	h.online = true
	return b, nil
}
