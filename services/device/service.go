package device

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

// Service is the use cases. It is safe for concurrent use.
type Service struct {
	store    Store
	clock    clock.Clock
	downlink Downlink
	courier  *configCourier
	door     Door
	logger   *slog.Logger
	count    func(topic UpTopic, outcome string, n int)
	notes    *notes
	streams  StreamRules
	calls    *callLog

	keepCallsFor time.Duration
	takes        map[UpTopic]taker
	welcomes     []welcomer
}

// Options are what the use cases need beside a store. The zero value reaches no device.
type Options struct {
	Downlink Downlink     // nil: messages to devices go nowhere
	Door     Door         // nil: devices do not connect here
	Logger   *slog.Logger // nil: nowhere
	// Count counts what became of messages by topic: taken, refused or failed. Of "readings", it counts
	// those that were sent and those that were stored.
	Count   func(topic UpTopic, outcome string, n int)
	Streams StreamRules
	// KeepCallsFor is how long it is kept what API keys called; 30 days for 0.
	KeepCallsFor time.Duration
}

// New gives the use cases over a store.
func New(store Store, clock clock.Clock, options Options) *Service {
	s := &Service{
		store: store, clock: clock, downlink: options.Downlink, door: options.Door,
		logger: options.Logger, count: options.Count, notes: newNotes(), courier: newConfigCourier(),
		streams: options.Streams.withDefaults(), calls: newCallLog(), keepCallsFor: options.KeepCallsFor,
	}
	if s.keepCallsFor <= 0 {
		s.keepCallsFor = callRetention
	}
	if s.downlink == nil {
		s.downlink = nowhere{}
	}
	if s.door == nil {
		s.door = nowhere{}
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.count == nil {
		s.count = func(UpTopic, string, int) {}
	}
	s.takes, s.welcomes = s.takers(), s.welcomers()
	return s
}

// RegisterInput makes a device known.
type RegisterInput struct {
	Name           string
	Kind           Kind
	Labels         map[string]string // at most 32
	Lock           *bool             // whether a vehicle opens on command; nil: every vehicle does
	IdempotencyKey string            // "" for none
}

// Register makes a device known and gives it a secret.
func (s *Service) Register(ctx context.Context, in RegisterInput) (Registration, error) {
	who, err := mayWrite(ctx)
	if err != nil {
		return Registration{}, err
	}
	if err := input.Name("name", in.Name, maxName); err != nil {
		return Registration{}, err
	}
	if err := checkKind("kind", in.Kind); err != nil {
		return Registration{}, err
	}
	if err := checkLabels("labels", in.Labels); err != nil {
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
		return Registration{Device: d}, err // nobody knows the secret any more
	}
	return made, nil
}

// lock is the lock that the device comes with: a vehicle is locked when it is registered.
func (in RegisterInput) lock() (*Lock, error) {
	switch {
	case in.Kind == Vehicle && (in.Lock == nil || *in.Lock):
		return &Lock{State: Locked}, nil
	case in.Lock != nil && *in.Lock:
		return nil, errs.Invalid("lock", "is for vehicles")
	}
	return nil, nil
}

func (s *Service) fresh(name string, kind Kind, labels map[string]string) Device {
	now := s.clock.Now()
	return Device{
		ID: ids.New(ids.Device), Version: 1, Name: name, Kind: kind, Labels: own(labels),
		Presence: Unknown, CreatedAt: now, UpdatedAt: now,
	}
}

// stays refuses labels that would put a device outside of what the caller is limited to.
func stays(who caller.Caller, field string, labels map[string]string) error {
	if !who.SeesLabels(labels) {
		return errs.Denied("%s: this API key is limited to devices with certain labels, and these are not among them", field)
	}
	return nil
}

// own is a copy that is never nil.
func own(labels map[string]string) map[string]string {
	copied := make(map[string]string, len(labels))
	maps.Copy(copied, labels)
	return copied
}

// mayWrite gives the caller when it may change devices. Members do not, whatever the scopes of
// their keys say.
func mayWrite(ctx context.Context) (caller.Caller, error) {
	who, err := caller.Require(ctx, caller.DeviceWrite)
	if err != nil {
		return caller.Caller{}, err
	}
	if !who.Staff() {
		return caller.Caller{}, errs.Denied("only staff changes devices")
	}
	return who, nil
}

// UpdateInput changes a device; what is nil stays as it is.
type UpdateInput struct {
	ID              string
	Name            *string
	Labels          map[string]string // the whole new set, which may be empty
	ExpectedVersion *int64            // nil for any
}

// Update changes a device. What makes no difference leaves it at its version. VERSION_CONFLICT when
// it is not at the expected version.
func (s *Service) Update(ctx context.Context, in UpdateInput) (Device, error) {
	who, err := mayWrite(ctx)
	if err != nil {
		return Device{}, err
	}
	if err := in.check(); err != nil {
		return Device{}, err
	}
	if err := s.within(ctx, who, in.ID); err != nil {
		return Device{}, err
	}
	return s.store.Change(ctx, in.ID, func(d Device) (*Change, error) {
		if !sees(who, d) {
			return nil, Missing(in.ID)
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
	if err := checkID("id", in.ID); err != nil {
		return err
	}
	if in.Name != nil {
		if err := input.Name("name", *in.Name, maxName); err != nil {
			return err
		}
	}
	return checkLabels("labels", in.Labels)
}

func (in UpdateInput) applied(d Device) Device {
	if in.Name != nil {
		d.Name = *in.Name
	}
	if in.Labels != nil {
		d.Labels = own(in.Labels)
	}
	return d
}

func expect(d Device, version *int64) error {
	if version != nil && *version != d.Version {
		return errs.Conflict("device", *version, d.Version)
	}
	return nil
}

// Delete takes a device out of service and cuts its connections. VERSION_CONFLICT when it is not at the expected version; nil
// stands for any.
func (s *Service) Delete(ctx context.Context, id string, expectedVersion *int64) error {
	who, err := mayWrite(ctx)
	if err != nil {
		return err
	}
	if err := checkID("id", id); err != nil {
		return err
	}
	if err := s.within(ctx, who, id); err != nil {
		return err
	}
	_, err = s.store.Change(ctx, id, func(d Device) (*Change, error) {
		if !sees(who, d) {
			return nil, Missing(id)
		}
		if err := expect(d, expectedVersion); err != nil {
			return nil, err
		}
		d.Deleted, d.Version, d.UpdatedAt = true, d.Version+1, s.clock.Now()
		return happened(who, d, Deleted, "deleted", details{})
	})
	if err == nil {
		s.shut(ctx, id)
	}
	return err
}
