package app

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/edge"
	"github.com/sluicehq/sluice/gateway/live"
	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/internal/bus"
)

// subscriptions returns the hub that follows the events of the broker, or nil without a broker.
func (h *house) subscriptions(ctx context.Context, authenticator live.Authenticator, admit *admission.Controller, b *bus.Bus) (*live.Hub, error) {
	if b == nil {
		h.logger.Warn("there are no subscriptions: give all parts one broker with nats.url")
		return nil, nil
	}
	secret, err := h.cursorSecret()
	if err != nil {
		return nil, err
	}
	l := h.config.Live
	hub, err := live.New(ctx, live.Options{
		JetStream: b.JetStream(), Decode: bffentity.Decode, Auth: authenticator, Secret: secret,
		Origins: h.config.HTTP.CORSOrigins, Clock: h.clock, Logger: h.logger, Registry: h.registry, Admission: admit,
		Requests: h.requests(),
		Settings: live.Settings{
			InitTimeout: l.InitTimeout, IdleTimeout: l.IdleTimeout, KeepAlive: l.KeepAlive, WriteTimeout: l.WriteTimeout,
			DrainTime: l.DrainTime, RequestTimeout: h.config.HTTP.RequestTimeout,
			MaxTotal: l.MaxTotal, MaxConnections: l.MaxConnections, MaxSubscriptions: l.MaxSubscriptions,
			MaxMessage: int64(l.MaxMessage), QueueBytes: int(l.Queue),
			History: l.History, HistoryBytes: int64(l.HistoryBytes), Compression: l.Compression,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("follow the events: %w", err)
	}
	h.program.closing.add("subscriptions", hub.Close) // should what comes after it fail to start
	h.hub = hub
	return hub, nil
}

// cursorSecret is the same for all gateways when they are told one, or share the token of services.
func (h *house) cursorSecret() ([]byte, error) {
	if key := h.config.Live.CursorKey.Reveal(); key != "" {
		return []byte(key), nil
	}
	if token := h.config.ServiceToken.Reveal(); token != "" {
		return []byte(token), nil
	}
	if err := makeData(h.config.Data); err != nil {
		return nil, err
	}
	return eventstream.LoadSecret(filepath.Join(h.config.Data, "cursors.key"))
}

// lastGrace is what clients that are told to go have beyond the time over which they are told.
const lastGrace = 3 * time.Second

// drainFirst has subscribers told to go before requests are waited for, once the process is not ready
// any more.
func (h *house) drainFirst(health *edge.Health) {
	if h.hub == nil {
		return
	}
	h.program.closing.add("subscribers", func(stop context.Context) error {
		health.Drain()
		stop, cancel := context.WithTimeout(stop, h.config.Live.DrainTime+lastGrace)
		defer cancel()
		return h.hub.Close(stop)
	})
}
