package device

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

const (
	maxBatch      = 1_000 // ids, or imported devices, a call
	maxName       = 200   // runes
	maxSource     = 200   // runes
	maxExternalID = 400   // runes
	maxLabels     = 32
	maxLabelKey   = 63  // runes
	maxLabelValue = 255 // runes
)

func kinds() []Kind { return []Kind{Gateway, Camera, Sensor, Vehicle} }

func checkKind(field string, kind Kind) error {
	if !slices.Contains(kinds(), kind) {
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

// checkText takes any text of one line, "" too.
func checkText(field, text string, most int) error {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return errs.Invalid(field, "must be UTF-8 without control characters")
	}
	if utf8.RuneCountInString(text) > most {
		return errs.Invalid(field, "is longer than %d characters", most)
	}
	return nil
}

func checkName(field, name string, most int) error {
	if strings.TrimSpace(name) == "" {
		return errs.Invalid(field, "is missing")
	}
	return checkText(field, name, most)
}

func checkLabels(field string, labels map[string]string) error {
	if len(labels) > maxLabels {
		return errs.Invalid(field, "are more than %d", maxLabels)
	}
	for key, value := range labels {
		if err := checkName(field, key, maxLabelKey); err != nil {
			return errs.Invalid(field, "the key %.80q is blank, longer than %d characters or has control characters", key, maxLabelKey)
		}
		if err := checkText(fmt.Sprintf("%s.%s", field, key), value, maxLabelValue); err != nil {
			return err
		}
	}
	return nil
}

// checkTime gives the time as it is kept, in whole microseconds.
func checkTime(field string, at time.Time) (time.Time, error) {
	at = at.UTC()
	if at.Year() < 1900 || at.Year() > 2200 {
		return time.Time{}, errs.Invalid(field, "must be between the years 1900 and 2200")
	}
	return at.Truncate(time.Microsecond), nil
}

// checkID is for use cases about one device.
func checkID(field, id string) error {
	if err := ids.Check(ids.Device, id); err != nil {
		return errs.Invalid(field, "%v", err)
	}
	return nil
}

// known is those of the ids that can be of devices, each once.
func known(field string, all []string) ([]string, error) {
	if len(all) > maxBatch {
		return nil, errs.Invalid(field, "are more than %d", maxBatch)
	}
	all = slices.Clone(all)
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(all, func(id string) bool { return ids.Check(ids.Device, id) != nil }), nil
}
