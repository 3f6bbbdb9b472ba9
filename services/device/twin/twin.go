// Package twin stores the desired and the reported configuration of each device. A desired configuration has a
// version, and is sent until the device reports that version. The device's own version is independent.
package twin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// Service has the use cases. It is safe for concurrent use.
type Service struct {
	store    Store
	clock    clock.Clock
	downlink device.Downlink
	delivery *delivery
}

// New returns a Service over a store.
func New(store Store, clock clock.Clock, downlink device.Downlink) *Service {
	return &Service{store: store, clock: clock, downlink: downlink, delivery: newDelivery()}
}

// The events of a configuration.
const (
	Desired  device.EventType = "CONFIG_WANTED"
	Reported device.EventType = "CONFIG_REPORTED"
)

// maxConfig bounds a configuration, in bytes: with its version it fits a device's message.
const maxConfig = device.MaxPayload - 1<<10

// MaxVersions bounds the stored desired configurations of a device.
const MaxVersions = 1_000

// Config is a device's twin: the desired and the reported configuration.
type Config struct {
	DeviceID       string
	Desired        string     // a JSON object; "{}" before the first
	DesiredVersion int64      // 0 before the first; grows by one
	DesiredAt      *time.Time // nil before the first

	Reported        string // a JSON object; "" before the first report
	ReportedVersion *int64 // the desired version of the report
	ReportedAt      *time.Time
}

// InSync reports whether the device has reported the desired version.
func (c Config) InSync() bool {
	return c.DesiredVersion == 0 || c.ReportedVersion != nil && *c.ReportedVersion == c.DesiredVersion
}

// Version is a present or past desired configuration.
type Version struct {
	ID       string
	DeviceID string
	Version  int64
	Desired  string
	At       time.Time
	Actor    string // who wanted it
}

// SetInput is the input of Set.
type SetInput struct {
	DeviceID        string
	Desired         string // a JSON object
	ExpectedVersion *int64 // of the current desired configuration; nil accepts any
}

// Set stores the desired configuration of a device. An equal configuration creates no new version. VERSION_CONFLICT
// if the current version is not the expected one; INVALID_ARGUMENT with the path of the fault if the schema of the
// device's kind refuses it.
func (s *Service) Set(ctx context.Context, in SetInput) (Config, error) {
	who, err := device.MayOperate(ctx, caller.DeviceConfigure)
	if err != nil {
		return Config{}, err
	}
	if err := device.CheckID("id", in.DeviceID); err != nil {
		return Config{}, err
	}
	if in.Desired, err = configObject("desired", in.Desired); err != nil {
		return Config{}, err
	}
	if err := s.fitsSchema(ctx, who, in); err != nil {
		return Config{}, err
	}
	changed, err := s.store.ChangeConfig(ctx, in.DeviceID, func(d device.Device, c Config) (*Change, error) {
		if !device.Sees(who, d) {
			return nil, device.Missing(in.DeviceID)
		}
		if in.ExpectedVersion != nil && *in.ExpectedVersion != c.DesiredVersion {
			return nil, errs.Conflict("wanted configuration", *in.ExpectedVersion, c.DesiredVersion)
		}
		if c.DesiredVersion > 0 && c.Desired == in.Desired {
			return nil, nil
		}
		return newDesired(who, c, in.Desired, s.clock.Now())
	})
	if err != nil {
		return Config{}, err
	}
	s.delivery.wakeup.Wake()
	return changed, nil
}

// configObject returns a JSON object in the form that is stored and compared: without spaces.
func configObject(field, text string) (string, error) {
	var compact bytes.Buffer
	if err := input.JSON(field, text, maxConfig); err != nil {
		return "", err
	}
	if err := json.Compact(&compact, []byte(text)); err != nil {
		return "", errs.Invalid(field, "is not JSON")
	}
	if compact.Len() == 0 || compact.Bytes()[0] != '{' {
		return "", errs.Invalid(field, "must be a JSON object")
	}
	return compact.String(), nil
}

type configDetails struct {
	Version int64 `json:"version"`
	InSync  bool  `json:"inSync"`
}

func newDesired(who caller.Caller, c Config, desired string, now time.Time) (*Change, error) {
	c.Desired, c.DesiredVersion, c.DesiredAt = desired, c.DesiredVersion+1, &now
	version := Version{
		ID: ids.New(ids.Config), DeviceID: c.DeviceID, Version: c.DesiredVersion, Desired: desired, At: now, Actor: who.Name(),
	}
	e, err := device.Noted(c.DeviceID, now, Desired, fmt.Sprintf("configuration %d is desired", c.DesiredVersion),
		who.Name(), configDetails{Version: c.DesiredVersion, InSync: c.InSync()})
	return &Change{Config: c, Desired: &version, Event: &e}, err
}

// BatchGet returns the configurations of the existing devices that the caller may see. For staff.
func (s *Service) BatchGet(ctx context.Context, deviceIDs []string) ([]Config, error) {
	devices, err := device.VisibleToStaff(ctx, s.store, deviceIDs)
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	return s.store.GetConfigs(ctx, device.IDsOf(devices))
}

// maxVersions bounds the versions of one response, which must fit a gRPC message.
const maxVersions = 200

// BatchListVersions returns a page of each device's desired versions, the newest first, at most 200 in all. The
// cursor of the request applies to each device. For staff.
func (s *Service) BatchListVersions(ctx context.Context, deviceIDs []string, request page.Request) ([]device.Page[Version], error) {
	size, err := request.Size()
	if err != nil {
		return nil, err
	}
	if size*len(deviceIDs) > maxVersions {
		return nil, errs.Invalid("first", "requests more than %d desired configurations in one response", maxVersions)
	}
	devices, err := device.VisibleToStaff(ctx, s.store, deviceIDs)
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	known := device.IDsOf(devices)
	pages, err := s.store.ConfigVersions(ctx, known, request)
	if err != nil {
		return nil, err
	}
	return device.PagesOf(known, pages), nil
}
