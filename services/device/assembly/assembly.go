// Package assembly composes the device service from its packages.
package assembly

import (
	"log/slog"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/retention"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/camera"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/ingress"
	"github.com/sluicehq/sluice/services/device/maintenance"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/telemetry"
	"github.com/sluicehq/sluice/services/device/twin"
	"github.com/sluicehq/sluice/services/device/uplink"
	"github.com/sluicehq/sluice/services/device/vehicle"
)

// Store persists the rows of all packages.
type Store interface {
	registry.Store
	command.Store
	vehicle.Store
	camera.Store
	twin.Store
	telemetry.Store
	maintenance.AuditStore
	uplink.Store
	maintenance.RetentionStore
	maintenance.DueStore
	ingress.Sessions
}

// Encoding encodes the payload of events.
type Encoding struct {
	Device  func(device.Device) ([]byte, error)
	Command func(command.Command) ([]byte, error)
	LogLine func(command.LogLine) ([]byte, error)
}

// Options configure the service. The zero value reaches no device.
type Options struct {
	Downlink    device.Downlink      // nil drops messages to devices
	Connections registry.Connections // nil for no listener
	Logger      *slog.Logger         // nil discards logs
	// Count counts messages by topic and outcome: taken, refused or failed. "readings" counts sent and stored ones.
	Count     uplink.Count
	Streams   camera.Rules
	Retention maintenance.RetentionPolicy
}

func (o Options) withDefaults() Options {
	if o.Downlink == nil {
		o.Downlink = device.NoDownlink{}
	}
	if o.Connections == nil {
		o.Connections = registry.NoConnections{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Count == nil {
		o.Count = func(device.UpTopic, string, int) {}
	}
	return o
}

// Service is the whole device service. Its parts are safe for concurrent use.
type Service struct {
	Registry   *registry.Service
	Commands   *command.Service
	Vehicles   *vehicle.Service
	Cameras    *camera.Service
	Twins      *twin.Service
	Telemetry  *telemetry.Service
	Calls      *maintenance.AuditLog
	Uplink     *uplink.Service
	Reconciler *maintenance.Reconciler // runs due tasks while Run runs
	Retention  []retention.Task        // deletes expired rows, for a retention.Sweeper
}

// New returns the Service over a store.
func New(store Store, clock clock.Clock, options Options) *Service {
	o := options.withDefaults()
	s := &Service{
		Registry: registry.New(store, clock, o.Connections, o.Logger),
		Commands: command.New(store, clock, o.Downlink, camera.Reserved),
		Twins:    twin.New(store, clock, o.Downlink),
		Calls:    maintenance.NewAuditLog(store, clock, o.Logger),
	}
	s.Telemetry = telemetry.New(store, clock, func(outcome string, n int) { o.Count("readings", outcome, n) })
	s.Retention = maintenance.RetentionTasks(store, o.Retention, func(n int) { o.Count("readings", "rolled", n) })
	s.Vehicles = vehicle.New(store, clock, s.Commands)
	s.Cameras = camera.New(store, clock, s.Commands, o.Streams)
	s.Uplink = uplink.New(store, clock, uplink.Handlers{
		Telemetry: s.Telemetry, Commands: s.Commands, Vehicles: s.Vehicles, Cameras: s.Cameras, Twins: s.Twins,
	}, o.Count)
	s.Reconciler = maintenance.NewReconciler(store, clock,
		maintenance.DueTask{Due: store.DueCommands, Do: s.Commands.Attend},
		maintenance.DueTask{Due: store.DueLocks, Do: s.Vehicles.Secure},
		maintenance.DueTask{Due: store.DueStreams, Do: s.Cameras.Attend})
	return s
}
