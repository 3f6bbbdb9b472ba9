package device

import "github.com/sluicehq/sluice/internal/errs"

// Reasons that this service gives, beside those of package errs.
const (
	ReasonTooManyPoints  = "TOO_MANY_POINTS"
	ReasonImportMismatch = "IMPORT_MISMATCH"
	ReasonWrongSecret    = "WRONG_SECRET"

	ReasonDeviceOffline   = "DEVICE_OFFLINE"
	ReasonDeviceDeleted   = "DEVICE_DELETED"
	ReasonCommandTimeout  = "COMMAND_TIMED_OUT"
	ReasonCommandFailed   = "COMMAND_FAILED"
	ReasonCommandOver     = "COMMAND_OVER"
	ReasonResultTooLarge  = "RESULT_TOO_LARGE"
	ReasonTooManyCommands = "TOO_MANY_COMMANDS"
	ReasonNoLock          = "NO_LOCK"
	ReasonLockBusy        = "LOCK_BUSY"
	ReasonLockHeld        = "LOCK_HELD"
	ReasonGivenUp         = "GIVEN_UP"

	ReasonNotACamera     = "NOT_A_CAMERA"
	ReasonStreamFlapping = "STREAM_FLAPPING"
	ReasonTooManyViewers = "TOO_MANY_VIEWERS"
)

// Missing says that there is no such device, or that the caller may not know of it.
func Missing(id string) *errs.Error { return errs.Missing("device", id) }

// TooManyPoints says that an answer would hold more than MaxPoints.
func TooManyPoints() *errs.Error {
	return errs.New(errs.InvalidArgument, ReasonTooManyPoints,
		"this is more than %d points: ask for a shorter time, fewer keys, or longer steps with stepSeconds", MaxPoints)
}

func importMismatch(known Device) *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonImportMismatch,
		"device %.80q of %.80q was imported as a %s, and the kind of a device does not change", known.ExternalID, known.Source, known.Kind)
}
