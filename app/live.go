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
func (w *wiring) subscriptions(ctx context.Context, authenticator live.Authenticator, admit *admission.Controller, b *bus.Bus) (*live.Hub, error) {
	if b == nil {
		w.logger.Warn("there are no subscriptions: give all parts one broker with nats.url")
		return nil, nil
	}
	secret, err := w.cursorSecret()
	if err != nil {
		return nil, err
	}
	l := w.config.Live
	hub, err := live.New(ctx, live.Options{
		JetStream: b.JetStream(), Decode: bffentity.Decode, Auth: authenticator, Secret: secret,
		Origins: w.config.HTTP.CORSOrigins, Clock: w.clock, Logger: w.logger, Registry: w.registry, Admission: admit,
		Requests: w.requests(),
		Settings: live.Settings{
			InitTimeout: l.InitTimeout, IdleTimeout: l.IdleTimeout, KeepAlive: l.KeepAlive, WriteTimeout: l.WriteTimeout,
			DrainTime: l.DrainTime, RequestTimeout: w.config.HTTP.RequestTimeout,
			MaxTotal: l.MaxTotal, MaxConnections: l.MaxConnections, MaxSubscriptions: l.MaxSubscriptions,
			MaxMessage: int64(l.MaxMessage), QueueBytes: int(l.Queue),
			History: l.History, HistoryBytes: int64(l.HistoryBytes), Compression: l.Compression,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("follow the events: %w", err)
	}
	w.program.closing.add("subscriptions", hub.Close) // in case a later part fails to start
	w.hub = hub
	return hub, nil
}

// cursorSecret returns the secret of cursors, which gateways with the same setting, or the same service token, share.
func (w *wiring) cursorSecret() ([]byte, error) {
	if key := w.config.Live.CursorKey.Reveal(); key != "" {
		return []byte(key), nil
	}
	if token := w.config.ServiceToken.Reveal(); token != "" {
		return []byte(token), nil
	}
	if err := createDataFolder(w.config.Data); err != nil {
		return nil, err
	}
	return eventstream.LoadSecret(filepath.Join(w.config.Data, "cursors.key"))
}

// lastGrace is the time of draining clients beyond the drain time.
const lastGrace = 3 * time.Second

// drainFirst closes subscriptions before the server waits for requests, after readiness has failed.
func (w *wiring) drainFirst(health *edge.Health) {
	if w.hub == nil {
		return
	}
	w.program.closing.add("subscribers", func(stop context.Context) error {
		stop, cancel := context.WithTimeout(stop, w.config.Live.DrainTime+lastGrace)
		defer cancel()
		return w.hub.Close(stop)
	})
}
