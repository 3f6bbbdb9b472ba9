package trip

import "github.com/sluicehq/sluice/internal/errs"

// Reasons of refusals and failures.
const (
	ReasonTripAlreadyOpen = "TRIP_ALREADY_OPEN"
	ReasonVehicleInUse    = "VEHICLE_IN_USE"
	ReasonNotAVehicle     = "NOT_A_VEHICLE"
	ReasonTripFinished    = "TRIP_FINISHED"
	ReasonTrackFull       = "TRACK_FULL"
	ReasonImportMismatch  = "IMPORT_MISMATCH"
	ReasonTripUnlocking   = "TRIP_UNLOCKING"
	ReasonVehicleNotReady = "VEHICLE_NOT_READY"
	ReasonUnlockTimeout   = "UNLOCK_TIMED_OUT"
	ReasonEndedEarly      = "ENDED_WHILE_UNLOCKING"
)

// AlreadyOpen reports that the account has an open trip.
func AlreadyOpen() *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonTripAlreadyOpen, "this account has an open trip: end it first")
}

// VehicleInUse reports that the vehicle is on an open trip.
func VehicleInUse() *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonVehicleInUse, "this vehicle is on an open trip")
}

// NotAVehicle reports a device of another kind.
func NotAVehicle(deviceID string) *errs.Error {
	return errs.New(errs.InvalidArgument, ReasonNotAVehicle, "vehicleId: the device %q is not a vehicle", deviceID)
}

// VehicleNotReady reports a vehicle that is not locked.
func VehicleNotReady() *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonVehicleNotReady, "this vehicle is not locked yet from its last trip")
}

func errUnlocking() *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonTripUnlocking, "this trip starts when its vehicle is open")
}

func errOver(t Trip) *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonTripFinished, "this trip is over: it is %s", t.Status)
}

func errTrackFull() *errs.Error {
	return errs.New(errs.ResourceExhausted, ReasonTrackFull, "a trip keeps at most %d fixes", maxFixes)
}

func errImportMismatch(t Trip) *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonImportMismatch,
		"trip %q of %q was imported for another account or vehicle", t.ExternalID, t.Source)
}
