package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/worker"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/camera"
	"github.com/sluicehq/sluice/services/device/maintenance"
	"github.com/sluicehq/sluice/services/device/mqtt"
	"github.com/sluicehq/sluice/services/device/presence"
	devicerpc "github.com/sluicehq/sluice/services/device/rpc"
	devicestore "github.com/sluicehq/sluice/services/device/store"
)

// How often it is looked at who has gone, and at who is connected.
const (
	presenceSweep   = time.Second
	presenceCompare = 30 * time.Second
)

func openDevice(ctx context.Context, h *house, _ connector) (*opened, error) {
	db, err := h.openStore(ctx, "device", devicestore.Migrations())
	if err != nil {
		return nil, err
	}
	store := devicestore.New(db, devicerpc.Encoding())
	options := assembly.Options{Logger: h.logger, Count: h.countMessages(), Streams: h.streamRules(), Retention: h.retention()}
	var link *mqtt.Link
	if h.field != nil {
		link = mqtt.New(h.field, h.logger)
		options.Downlink, options.Connections = link, link
	}
	service := assembly.New(store, h.clock, options)
	loops := []worker.Loop{service.Reconciler.Loop(), service.Twins.DeliveryLoop()}
	if link != nil {
		keeper := presence.NewKeeper(store, link, h.clock, h.logger, presence.Options{
			Grace: h.config.Device.OfflineGrace, Wait: h.config.Device.RestartGrace, Sweep: presenceSweep, Compare: presenceCompare,
			Welcome: service.Uplink.Welcome, Check: link.Check(service.Registry),
		})
		loops = append(loops, keeper.Loop(), worker.Continuous("device listener", func(ctx context.Context) error {
			return link.Run(ctx, service.Registry, service.Uplink, keeper)
		}))
	}
	return &opened{
		name: "device", db: db, old: service.Retention, register: func(r grpc.ServiceRegistrar) { devicerpc.Register(r, service) },
		loops: func(*bus.Bus) []worker.Loop { return loops },
	}, nil
}

func (h *house) streamRules() camera.Rules {
	c := h.config.Camera
	return camera.Rules{
		Lease: c.Lease, Linger: c.Linger, Window: c.Window,
		Starts: c.MaxStarts, StartsByCaller: c.MaxStartsPerCaller, CallsPerMinute: c.CallsPerMinute,
	}
}

func (h *house) retention() maintenance.RetentionPolicy {
	c := h.config.Device
	return maintenance.RetentionPolicy{
		Raw: c.RawRetention, Step: c.RollupStep, Rolled: c.RollupRetention, Commands: c.CommandRetention, Events: c.EventRetention, Calls: c.AuditRetention,
	}
}

// countMessages counts what became of what devices said.
func (h *house) countMessages() func(device.UpTopic, string, int) {
	messages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_device_messages_total", Help: "Messages of devices by topic and what became of them; under readings, those that were sent and those that were stored.",
	}, []string{"topic", "outcome"})
	h.registry.MustRegister(messages)
	return func(topic device.UpTopic, outcome string, n int) {
		messages.WithLabelValues(string(topic), outcome).Add(float64(n))
	}
}
