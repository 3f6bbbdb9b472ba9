package device

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/internal/page"
)

// What happens to a configuration.
const (
	ConfigWanted   EventType = "CONFIG_WANTED"
	ConfigReported EventType = "CONFIG_REPORTED"
)

// maxConfig bounds a configuration, in bytes: with its version around it, it fits a device's message.
const maxConfig = maxPayload - 1<<10

// MaxConfigVersions is how many wanted configurations of a device are remembered.
const MaxConfigVersions = 1_000

// Config is a device's twin: the configuration that is wanted, and the one that it says it has.
type Config struct {
	DeviceID       string
	Desired        string     // a JSON object; "{}" while nothing was wanted
	DesiredVersion int64      // 0 while nothing was wanted; grows by one
	DesiredAt      *time.Time // nil while nothing was wanted

	Reported        string // a JSON object; "" while nothing was reported
	ReportedVersion *int64 // the wanted version that it has
	ReportedAt      *time.Time
}

// InSync tells whether the device has said that it has what is wanted.
func (c Config) InSync() bool {
	return c.DesiredVersion == 0 || c.ReportedVersion != nil && *c.ReportedVersion == c.DesiredVersion
}

// ConfigVersion is a configuration that is or was wanted.
type ConfigVersion struct {
	ID       string
	DeviceID string
	Version  int64
	Desired  string
	At       time.Time
	Actor    string // who wanted it
}

// ConfigChange is a configuration as it shall be kept, and what happened.
type ConfigChange struct {
	Config Config
	Wanted *ConfigVersion // nil unless another configuration is wanted
	Event  *Event         // nil for what is not worth an event: nothing is emitted then
}

// DecideConfig says what becomes of a device's configuration; nil when it stays as it is.
type DecideConfig func(d Device, c Config) (*ConfigChange, error)

// Configs is the part of a Store that keeps configurations. A device that nothing was wanted of has
// one too: the empty one.
type Configs interface {
	// ChangeConfig lets decide say what becomes of the configuration and keeps it, and remembers a new
	// wanted version. Of one device, changes happen one after another, with those of the device too.
	// decide may be called again, so it must not act. NOT_FOUND when there is no such device.
	ChangeConfig(ctx context.Context, deviceID string, decide DecideConfig) (Config, error)

	// GetConfigs gives the configurations of those of the devices that there are, in any order.
	GetConfigs(ctx context.Context, deviceIDs []string) ([]Config, error)

	// ConfigVersions gives a page of what was wanted of each device, the newest first.
	ConfigVersions(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[ConfigVersion], error)

	// UndeliveredConfigs gives configurations that are wanted, were not reported, and were not handed
	// on in this version, of devices that are not known to be away.
	UndeliveredConfigs(ctx context.Context, limit int) ([]Config, error)

	// MarkDelivered remembers that the versions were handed on.
	MarkDelivered(ctx context.Context, delivered []Config) error

	// SetConfigSchema keeps the JSON Schema of a kind; "" for none.
	SetConfigSchema(ctx context.Context, schema ConfigSchema) error

	// ConfigSchemas gives the schemas that there are, in order of their kinds.
	ConfigSchemas(ctx context.Context) ([]ConfigSchema, error)
}

// SetConfigInput says what is wanted of a device.
type SetConfigInput struct {
	DeviceID        string
	Desired         string // a JSON object
	ExpectedVersion *int64 // of what was wanted before; nil for any
}

// SetConfig says what is wanted of a device. What is wanted already makes no new version.
// VERSION_CONFLICT when another version was wanted than was expected; INVALID_ARGUMENT with the path
// of the fault when it does not fit the schema of the device's kind.
func (s *Service) SetConfig(ctx context.Context, in SetConfigInput) (Config, error) {
	who, err := mayOperate(ctx, caller.DeviceConfigure)
	if err != nil {
		return Config{}, err
	}
	if err := checkID("id", in.DeviceID); err != nil {
		return Config{}, err
	}
	if in.Desired, err = configObject("desired", in.Desired); err != nil {
		return Config{}, err
	}
	if err := s.fitsSchema(ctx, who, in); err != nil {
		return Config{}, err
	}
	changed, err := s.store.ChangeConfig(ctx, in.DeviceID, func(d Device, c Config) (*ConfigChange, error) {
		if !sees(who, d) {
			return nil, Missing(in.DeviceID)
		}
		if in.ExpectedVersion != nil && *in.ExpectedVersion != c.DesiredVersion {
			return nil, errs.Conflict("wanted configuration", *in.ExpectedVersion, c.DesiredVersion)
		}
		if c.DesiredVersion > 0 && c.Desired == in.Desired {
			return nil, nil
		}
		return wanted(who, c, in.Desired, s.clock.Now())
	})
	if err != nil {
		return Config{}, err
	}
	s.courier.wake()
	return changed, nil
}

// mayOperate gives the caller when it may do what scope names to devices. Members may not, whatever
// the scopes of their keys say.
func mayOperate(ctx context.Context, scope string) (caller.Caller, error) {
	who, err := caller.Require(ctx, scope)
	if err != nil {
		return caller.Caller{}, err
	}
	if !who.Staff() {
		return caller.Caller{}, errs.Denied("only staff operates devices")
	}
	return who, nil
}

// configObject is a JSON object without spaces around its parts, as it is kept and compared.
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

// configDetails is the data of an event about a configuration.
type configDetails struct {
	Version int64 `json:"version"`
	InSync  bool  `json:"inSync"`
}

func wanted(who caller.Caller, c Config, desired string, now time.Time) (*ConfigChange, error) {
	c.Desired, c.DesiredVersion, c.DesiredAt = desired, c.DesiredVersion+1, &now
	version := ConfigVersion{
		ID: ids.New(ids.Config), DeviceID: c.DeviceID, Version: c.DesiredVersion, Desired: desired, At: now, Actor: who.Name(),
	}
	e, err := noted(c.DeviceID, now, ConfigWanted, fmt.Sprintf("configuration %d is wanted", c.DesiredVersion),
		who.Name(), configDetails{Version: c.DesiredVersion, InSync: c.InSync()})
	return &ConfigChange{Config: c, Wanted: &version, Event: &e}, err
}

// BatchGetConfigs gives the configurations of those of the devices that there are and the caller may
// see. They are for staff: for others no device has one to show.
func (s *Service) BatchGetConfigs(ctx context.Context, deviceIDs []string) ([]Config, error) {
	devices, err := s.seenByStaff(ctx, deviceIDs)
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	return s.store.GetConfigs(ctx, idsOf(devices))
}

// seenByStaff is those of the devices that there are and the caller may see, if it is staff.
func (s *Service) seenByStaff(ctx context.Context, deviceIDs []string) ([]Device, error) {
	who, err := caller.Require(ctx, caller.DeviceRead)
	if err != nil {
		return nil, err
	}
	if !who.Staff() {
		return nil, nil
	}
	return s.seen(ctx, who, "deviceIds", deviceIDs)
}

// ConfigPage is a page of what was wanted of one device.
type ConfigPage struct {
	DeviceID string
	page.Page[ConfigVersion]
}

// maxVersions bounds the versions of one answer, so that it fits a message.
const maxVersions = 200

// BatchListConfigVersions gives a page of what was wanted of each device, the newest first, at most
// 200 in all. The cursor of the request holds for each of them. For staff.
func (s *Service) BatchListConfigVersions(ctx context.Context, deviceIDs []string, request page.Request) ([]ConfigPage, error) {
	size, err := request.Size()
	if err != nil {
		return nil, err
	}
	if size*len(deviceIDs) > maxVersions {
		return nil, errs.Invalid("first", "asks for more than %d wanted configurations in one answer", maxVersions)
	}
	devices, err := s.seenByStaff(ctx, deviceIDs)
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	pages, err := s.store.ConfigVersions(ctx, idsOf(devices), request)
	if err != nil {
		return nil, err
	}
	answer := make([]ConfigPage, len(devices))
	for i, d := range devices {
		answer[i] = ConfigPage{DeviceID: d.ID, Page: pages[d.ID]}
	}
	return answer, nil
}

// configReport is what a device says of its configuration.
type configReport struct {
	Version  *int64          `json:"version"`
	Reported json.RawMessage `json:"reported"`
}

func parseConfigReport(payload []byte) (version int64, reported string, err error) {
	var report configReport
	if err := input.Object("payload", string(payload), `{"version":N,"reported":{…}}`, &report); err != nil {
		return 0, "", err
	}
	if report.Version == nil || *report.Version < 0 {
		return 0, "", errs.Invalid("version", "must be the version of a wanted configuration")
	}
	reported, err = configObject("reported", string(report.Reported))
	return *report.Version, reported, err
}

// takeConfigReport keeps what a device says of its configuration. What it said before, and comes
// late or again, changes nothing. A version that was never wanted is refused.
func (s *Service) takeConfigReport(ctx context.Context, m UpMessage) error {
	version, reported, err := parseConfigReport(m.Payload)
	if err != nil {
		return err
	}
	at := m.ArrivedAt.UTC().Truncate(time.Microsecond)
	_, err = s.store.ChangeConfig(ctx, m.DeviceID, func(_ Device, c Config) (*ConfigChange, error) {
		if c.ReportedAt != nil && at.Before(*c.ReportedAt) {
			return nil, nil
		}
		if version > c.DesiredVersion {
			return nil, errs.Invalid("version", "%d was never wanted: %d is", version, c.DesiredVersion)
		}
		return reportedConfig(c, version, reported, at)
	})
	return err
}

// reportedConfig is the change to what the device has now; nil when it has said so before. Only
// another version is worth an event.
func reportedConfig(c Config, version int64, reported string, at time.Time) (*ConfigChange, error) {
	same := c.ReportedVersion != nil && *c.ReportedVersion == version
	if same && c.Reported == reported {
		return nil, nil
	}
	c.Reported, c.ReportedVersion, c.ReportedAt = reported, &version, &at
	if same {
		return &ConfigChange{Config: c}, nil
	}
	e, err := noted(c.DeviceID, at, ConfigReported, fmt.Sprintf("configuration %d is in place", version),
		c.DeviceID, configDetails{Version: version, InSync: c.InSync()})
	return &ConfigChange{Config: c, Event: &e}, err
}
