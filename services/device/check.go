package device

import (
	"fmt"
	"slices"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

// Limits of input; texts in characters.
const (
	MaxName       = 200
	maxLabels     = 32
	MaxLabelKey   = 63
	maxLabelValue = 255
)

// CheckKind validates the kind in an input.
func CheckKind(field string, kind Kind) error {
	if !slices.Contains([]Kind{Gateway, Camera, Sensor, Vehicle}, kind) {
		return errs.Invalid(field, "must be GATEWAY, CAMERA, SENSOR or VEHICLE")
	}
	return nil
}

// CheckPresence validates the presence in an input.
func CheckPresence(field string, presence Presence) error {
	if !slices.Contains([]Presence{Online, Offline, Unknown}, presence) {
		return errs.Invalid(field, "must be ONLINE, OFFLINE or UNKNOWN")
	}
	return nil
}

// CheckLabels validates the labels in an input.
func CheckLabels(field string, labels map[string]string) error {
	if len(labels) > maxLabels {
		return errs.Invalid(field, "are more than %d", maxLabels)
	}
	for key, value := range labels {
		if err := input.Name(field, key, MaxLabelKey); err != nil {
			return errs.Invalid(field, "the key %.80q is blank, longer than %d characters or has control characters", key, MaxLabelKey)
		}
		if err := input.Line(fmt.Sprintf("%s.%s", field, key), value, maxLabelValue); err != nil {
			return err
		}
	}
	return nil
}

// CheckID validates the id of a device in an input.
func CheckID(field, id string) error { return input.ID(field, ids.Device, id) }

// KnownIDs returns the ids that have the form of a device's id, each once.
func KnownIDs(field string, all []string) ([]string, error) { return input.IDs(field, ids.Device, all) }
