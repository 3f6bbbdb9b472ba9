package device

import (
	"fmt"
	"slices"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

// The bounds of what is told; texts in characters.
const (
	maxDrafts     = 1_000 // a call
	maxChosen     = 1_000 // kinds or presences, a filter
	maxName       = 200
	maxSource     = 200
	maxExternalID = 400
	maxLabels     = 32
	maxLabelKey   = 63
	maxLabelValue = 255
)

func checkKind(field string, kind Kind) error {
	if !slices.Contains([]Kind{Gateway, Camera, Sensor, Vehicle}, kind) {
		return errs.Invalid(field, "must be GATEWAY, CAMERA, SENSOR or VEHICLE")
	}
	return nil
}

func checkPresence(field string, presence Presence) error {
	if !slices.Contains([]Presence{Online, Offline, Unknown}, presence) {
		return errs.Invalid(field, "must be ONLINE, OFFLINE or UNKNOWN")
	}
	return nil
}

func checkLabels(field string, labels map[string]string) error {
	if len(labels) > maxLabels {
		return errs.Invalid(field, "are more than %d", maxLabels)
	}
	for key, value := range labels {
		if err := input.Name(field, key, maxLabelKey); err != nil {
			return errs.Invalid(field, "the key %.80q is blank, longer than %d characters or has control characters", key, maxLabelKey)
		}
		if err := input.Line(fmt.Sprintf("%s.%s", field, key), value, maxLabelValue); err != nil {
			return err
		}
	}
	return nil
}

// checkID is for use cases about one device.
func checkID(field, id string) error { return input.ID(field, ids.Device, id) }

// known is those of the ids that can be of devices, each once.
func known(field string, all []string) ([]string, error) { return input.IDs(field, ids.Device, all) }
