package activity

import (
	"time"

	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

// maxSources bounds the sources of one filter.
const maxSources = 100

// Filter selects the activities that match all fields. An empty field matches all.
type Filter struct {
	Kinds         []Kind
	Sources       []string
	StartedFrom   *time.Time // inclusive
	StartedBefore *time.Time // exclusive

	// Texts are compared without case.
	Actor      string
	Telescope  string
	Instrument string
	Programme  string
	Observer   string
	Target     string
	Status     string // of the observation

	Cone      *Cone // activities with standard coordinates inside; see Sky.Standard
	AccountID string
	DeviceID  string
}

func (f Filter) check() error {
	for _, kind := range f.Kinds {
		if !kind.known() {
			return errs.Invalid("filter.kinds", "%.80q is not a kind", string(kind))
		}
	}
	if len(f.Sources) > maxSources {
		return errs.Invalid("filter.sources", "are more than %d", maxSources)
	}
	for _, source := range f.Sources {
		if err := checkSource("filter.sources", source); err != nil {
			return err
		}
	}
	if err := f.checkTexts(); err != nil {
		return err
	}
	if err := f.checkTimes(); err != nil {
		return err
	}
	if f.Cone != nil {
		if err := f.Cone.check(); err != nil {
			return err
		}
	}
	if err := input.OptionalID("filter.accountId", ids.Account, f.AccountID); err != nil {
		return err
	}
	return input.OptionalID("filter.deviceId", ids.Device, f.DeviceID)
}

func (f Filter) checkTexts() error {
	for _, line := range []struct{ field, text string }{
		{"filter.actor", f.Actor},
		{"filter.telescope", f.Telescope},
		{"filter.instrument", f.Instrument},
		{"filter.programme", f.Programme},
		{"filter.observer", f.Observer},
		{"filter.target", f.Target},
		{"filter.status", f.Status},
	} {
		if err := input.Line(line.field, line.text, maxName); err != nil {
			return err
		}
	}
	return nil
}

func (f Filter) checkTimes() error {
	for _, bound := range []struct {
		field string
		at    *time.Time
	}{{"filter.startedFrom", f.StartedFrom}, {"filter.startedBefore", f.StartedBefore}} {
		if _, err := input.OptionalTime(bound.field, bound.at); err != nil {
			return err
		}
	}
	return nil
}

// Selection is a filter over the visible activities.
type Selection struct {
	Filter  Filter
	Visible entity.Visibility
}
