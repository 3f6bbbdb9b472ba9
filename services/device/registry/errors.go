package registry

import (
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
)

// Reasons of refusals.
const (
	ReasonImportMismatch = "IMPORT_MISMATCH"
	ReasonWrongSecret    = "WRONG_SECRET"
)

func importMismatch(known device.Device) *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonImportMismatch,
		"device %.80q of %.80q was imported as a %s, and the kind of a device does not change", known.ExternalID, known.Source, known.Kind)
}
