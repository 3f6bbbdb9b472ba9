package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/worker"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/camera"
	"github.com/sluicehq/sluice/services/device/ingress"
	"github.com/sluicehq/sluice/services/device/maintenance"
	"github.com/sluicehq/sluice/services/device/presence"
	devicerpc "github.com/sluicehq/sluice/services/device/rpc"
	devicestore "github.com/sluicehq/sluice/services/device/store"
	"github.com/sluicehq/sluice/services/device/uplink"
)

// Intervals of presence.
const (
	presenceSweep   = time.Second
	presenceCompare = 30 * time.Second
)

func openDevice(ctx context.Context, w *wiring, _ connector) (*opened, error) {
	db, err := w.openSealed(ctx, "device", devicestore.Migrations(), devicestore.Sealed()...)
	if err != nil {
		return nil, err
	}
	store := devicestore.New(db, devicerpc.Encoding())
	options := assembly.Options{Logger: w.logger, Count: w.countMessages(), Streams: w.streamRules(), Retention: w.retention()}
	part := &opened{name: "device", db: db}
	if !w.online {
		service := assembly.New(store, w.clock, options)
		part.register = func(r grpc.ServiceRegistrar) { devicerpc.Register(r, service) }
		return part, nil
	}
	listener, err := w.listenForDevices(ctx, store)
	if err != nil {
		return nil, err
	}
	options.Downlink, options.Connections = listener, listener
	service := assembly.New(store, w.clock, options)
	tracker := presence.NewTracker(store, listener, w.clock, w.logger, presence.Options{
		Grace: w.config.Device.OfflineGrace, Wait: w.config.Device.RestartGrace, Sweep: presenceSweep, Compare: presenceCompare,
		Welcome: listener.Greet,
	})
	loops := []worker.Loop{service.Reconciler.Loop(), service.Twins.DeliveryLoop(), tracker.Loop()}
	part.old = service.Retention
	part.register = func(r grpc.ServiceRegistrar) { devicerpc.Register(r, service) }
	part.loops = func(b *bus.Bus) []worker.Loop {
		parts := ingress.Parts{Registry: service.Registry, Uplink: service.Uplink, Tracker: tracker}
		if w.config.NATS.URL != "" {
			parts.Peers = b
		}
		return append(loops, worker.Continuous("device listener", func(ctx context.Context) error {
			if b.Ready() == nil { // else the next start migrates: devices do not wait for a broker that is away
				if err := w.migrateMessages(ctx, b, service.Uplink); err != nil {
					return err
				}
			}
			return listener.Run(ctx, parts)
		}))
	}
	return part, nil
}

func (w *wiring) listenForDevices(ctx context.Context, store *devicestore.Store) (*ingress.Listener, error) {
	c := w.config.MQTT
	options := ingress.Options{
		Addr: c.Addr, Clock: w.clock, Logger: w.logger, ProxyToken: w.calls.Token, RestartGrace: w.config.Device.RestartGrace,
		Limits: ingress.Limits{
			MaxPacket: int(c.MaxPacket), ConnectTimeout: c.ConnectTimeout, MaxKeepAlive: c.MaxKeepAlive,
			WriteQueue: int(c.WriteQueue), WriteTimeout: c.WriteTimeout,
			Connections: c.MaxConnections, SessionTTL: c.SessionTTL, Subscriptions: c.MaxSubscriptions,
			Messages: c.MessageRate, Bytes: int(c.ByteRate), Burst: c.Burst,
			Unauthenticated: c.MaxUnauthenticated, UnauthenticatedPerAddress: c.MaxUnauthenticatedPerAddress,
		},
	}
	if c.TLSCert != "" {
		certificate, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("read mqtt.tls_cert and mqtt.tls_key: %w", err)
		}
		options.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	listener, err := ingress.Listen(ctx, store, options)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for devices: %w: choose another address for devices with --mqtt-addr", err)
	}
	w.program.closing.add("device address", func(context.Context) error { return listener.Close() })
	w.program.MQTT, w.devices = listener.Addr(), listener
	w.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sluice_device_connections", Help: "Connected MQTT clients.",
	}, func() float64 { return float64(listener.Connections()) }))
	return listener, nil
}

// migrateMessages stores the messages that an MQTT listener of NATS, of earlier versions, left behind.
func (w *wiring) migrateMessages(ctx context.Context, b *bus.Bus, u *uplink.Service) error {
	found, err := b.MigrateMQTT(ctx, func(ctx context.Context, stored []bus.MQTTMessage) error {
		messages := make([]device.UpMessage, len(stored))
		for i, m := range stored {
			messages[i] = device.UpMessage{DeviceID: m.DeviceID, Topic: device.UpTopic(m.Topic), Payload: m.Data, ArrivedAt: m.ArrivedAt}
		}
		for _, outcome := range u.HandleAll(ctx, messages) {
			if outcome.Err != nil {
				return outcome.Err
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("take over messages of an earlier version: %w", err)
	case found && w.config.NATS.URL != "":
		w.logger.Warn("the NATS servers had an MQTT listener: switch it off, devices connect to the device service")
	}
	return nil
}

func (w *wiring) streamRules() camera.Rules {
	c := w.config.Camera
	return camera.Rules{
		Lease: c.Lease, Linger: c.Linger, Window: c.Window,
		Starts: c.MaxStarts, StartsByCaller: c.MaxStartsPerCaller, CallsPerMinute: c.CallsPerMinute,
	}
}

func (w *wiring) retention() maintenance.RetentionPolicy {
	c := w.config.Device
	return maintenance.RetentionPolicy{
		Raw: c.RawRetention, Step: c.RollupStep, Rolled: c.RollupRetention, Commands: c.CommandRetention, Events: c.EventRetention, Calls: c.AuditRetention,
	}
}

func (w *wiring) countMessages() func(device.UpTopic, string, int) {
	messages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_device_messages_total", Help: "Messages of devices by topic and what became of them; under readings, those that were sent and those that were stored.",
	}, []string{"topic", "outcome"})
	w.registry.MustRegister(messages)
	return func(topic device.UpTopic, outcome string, n int) {
		messages.WithLabelValues(string(topic), outcome).Add(float64(n))
	}
}
