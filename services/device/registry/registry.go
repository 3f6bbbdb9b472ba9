// Package registry registers, imports, changes, lists and deletes devices, verifies their secrets, and lists their
// events.
package registry

import (
	"context"
	"log/slog"
	"maps"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/services/device"
)

// Service has the use cases. It is safe for concurrent use.
type Service struct {
	store       Store
	clock       clock.Clock
	connections Connections
	logger      *slog.Logger
}

// New returns a Service over a store.
func New(store Store, clock clock.Clock, connections Connections, logger *slog.Logger) *Service {
	return &Service{store: store, clock: clock, connections: connections, logger: logger}
}

// RegisterInput is a new device.
type RegisterInput struct {
	Name           string
	Kind           device.Kind
	Labels         map[string]string // at most 32
	Lock           *bool             // whether a vehicle opens on command; nil means true
	IdempotencyKey string            // "" for none
}

// Register creates a device with a secret.
func (s *Service) Register(ctx context.Context, in RegisterInput) (Registration, error) {
	who, err := device.MayWrite(ctx)
	if err != nil {
		return Registration{}, err
	}
	if err := input.Name("name", in.Name, device.MaxName); err != nil {
		return Registration{}, err
	}
	if err := device.CheckKind("kind", in.Kind); err != nil {
		return Registration{}, err
	}
	if err := device.CheckLabels("labels", in.Labels); err != nil {
		return Registration{}, err
	}
	if err := stays(who, "labels", in.Labels); err != nil {
		return Registration{}, err
	}
	in.Labels = own(in.Labels)
	key, err := idempotency.NewKey(ctx, in.IdempotencyKey, "RegisterDevice", in)
	if err != nil {
		return Registration{}, err
	}
	fresh := s.fresh(in.Name, in.Kind, in.Labels)
	if fresh.Lock, err = in.lock(); err != nil {
		return Registration{}, err
	}
	made, change, err := issued(who, fresh)
	if err != nil {
		return Registration{}, err
	}
	d, err := s.store.Create(ctx, key, *change)
	if err != nil || d.ID != made.Device.ID {
		return Registration{Device: d}, err // the secret is lost
	}
	return made, nil
}

func (in RegisterInput) lock() (*device.Lock, error) {
	switch {
	case in.Kind == device.Vehicle && (in.Lock == nil || *in.Lock):
		return &device.Lock{State: device.Locked}, nil
	case in.Lock != nil && *in.Lock:
		return nil, errs.Invalid("lock", "is for vehicles")
	}
	return nil, nil
}

func (s *Service) fresh(name string, kind device.Kind, labels map[string]string) device.Device {
	now := s.clock.Now()
	return device.Device{
		ID: ids.New(ids.Device), Version: 1, Name: name, Kind: kind, Labels: own(labels),
		Presence: device.Unknown, CreatedAt: now, UpdatedAt: now,
	}
}

// stays refuses labels that would move a device beyond the caller's limit.
func stays(who caller.Caller, field string, labels map[string]string) error {
	if !who.SeesLabels(labels) {
		return errs.Denied("%s: this API key is limited to devices with certain labels, and these are not among them", field)
	}
	return nil
}

// own returns a copy that is never nil.
func own(labels map[string]string) map[string]string {
	copied := make(map[string]string, len(labels))
	maps.Copy(copied, labels)
	return copied
}

// UpdateInput changes a device; nil leaves a field unchanged.
type UpdateInput struct {
	ID              string
	Name            *string
	Labels          map[string]string // replaces all labels
	ExpectedVersion *int64            // nil accepts any version
}

// Update changes a device. An update without a difference leaves the version unchanged. VERSION_CONFLICT if the
// device is not at the expected version.
func (s *Service) Update(ctx context.Context, in UpdateInput) (device.Device, error) {
	who, err := device.MayWrite(ctx)
	if err != nil {
		return device.Device{}, err
	}
	if err := in.check(); err != nil {
		return device.Device{}, err
	}
	if err := device.Within(ctx, s.store, who, in.ID); err != nil {
		return device.Device{}, err
	}
	return s.store.Change(ctx, in.ID, func(d device.Device) (*device.Change, error) {
		if !device.Sees(who, d) {
			return nil, device.Missing(in.ID)
		}
		if err := expect(d, in.ExpectedVersion); err != nil {
			return nil, err
		}
		after := in.applied(d)
		if err := stays(who, "labels", after.Labels); err != nil {
			return nil, err
		}
		return updated(who, d, after, s.clock.Now())
	})
}

func (in UpdateInput) check() error {
	if err := device.CheckID("id", in.ID); err != nil {
		return err
	}
	if in.Name != nil {
		if err := input.Name("name", *in.Name, device.MaxName); err != nil {
			return err
		}
	}
	return device.CheckLabels("labels", in.Labels)
}

func (in UpdateInput) applied(d device.Device) device.Device {
	if in.Name != nil {
		d.Name = *in.Name
	}
	if in.Labels != nil {
		d.Labels = own(in.Labels)
	}
	return d
}

func expect(d device.Device, version *int64) error {
	if version != nil && *version != d.Version {
		return errs.Conflict("device", *version, d.Version)
	}
	return nil
}

// Delete deletes a device and closes its connections. VERSION_CONFLICT if it is not at the expected version; nil
// accepts any.
func (s *Service) Delete(ctx context.Context, id string, expectedVersion *int64) error {
	who, err := device.MayWrite(ctx)
	if err != nil {
		return err
	}
	if err := device.CheckID("id", id); err != nil {
		return err
	}
	if err := device.Within(ctx, s.store, who, id); err != nil {
		return err
	}
	_, err = s.store.Change(ctx, id, func(d device.Device) (*device.Change, error) {
		if !device.Sees(who, d) {
			return nil, device.Missing(id)
		}
		if err := expect(d, expectedVersion); err != nil {
			return nil, err
		}
		d.Deleted, d.Version, d.UpdatedAt = true, d.Version+1, s.clock.Now()
		return happened(who, d, device.Deleted, "deleted", details{})
	})
	if err == nil {
		s.disconnect(ctx, id)
	}
	return err
}
