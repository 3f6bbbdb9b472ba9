package twin

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/services/device"
)

// report is a reported configuration.
type report struct {
	Version  *int64          `json:"version"`
	Reported json.RawMessage `json:"reported"`
}

func parseReport(payload []byte) (version int64, reported string, err error) {
	var report report
	if err := input.Object("payload", string(payload), `{"version":N,"reported":{…}}`, &report); err != nil {
		return 0, "", err
	}
	if report.Version == nil || *report.Version < 0 {
		return 0, "", errs.Invalid("version", "must be the version of a wanted configuration")
	}
	reported, err = configObject("reported", string(report.Reported))
	return *report.Version, reported, err
}

// HandleReport stores a reported configuration. A late or repeated report has no effect. An unknown version is
// refused.
func (s *Service) HandleReport(ctx context.Context, m device.UpMessage) error {
	version, reported, err := parseReport(m.Payload)
	if err != nil {
		return err
	}
	at := m.ArrivedAt.UTC().Truncate(time.Microsecond)
	_, err = s.store.ChangeConfig(ctx, m.DeviceID, func(_ device.Device, c Config) (*Change, error) {
		if c.ReportedAt != nil && at.Before(*c.ReportedAt) {
			return nil, nil
		}
		if version > c.DesiredVersion {
			return nil, errs.Invalid("version", "%d is not a desired version: the latest is %d", version, c.DesiredVersion)
		}
		return reportedConfig(c, version, reported, at)
	})
	return err
}

// reportedConfig returns the change by a report; nil for a repeat. Only a new version has an event.
func reportedConfig(c Config, version int64, reported string, at time.Time) (*Change, error) {
	same := c.ReportedVersion != nil && *c.ReportedVersion == version
	if same && c.Reported == reported {
		return nil, nil
	}
	c.Reported, c.ReportedVersion, c.ReportedAt = reported, &version, &at
	if same {
		return &Change{Config: c}, nil
	}
	e, err := device.Noted(c.DeviceID, at, Reported, fmt.Sprintf("configuration %d is in place", version),
		c.DeviceID, configDetails{Version: version, InSync: c.InSync()})
	return &Change{Config: c, Event: &e}, err
}
