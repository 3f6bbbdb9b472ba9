package device

import (
	"github.com/sluicehq/sluice/internal/errs"
)

// ReasonOffline means that a device cannot be reached.
const ReasonOffline = "DEVICE_OFFLINE"

// Missing reports that the device does not exist, or that the caller may not see it.
func Missing(id string) *errs.Error { return errs.Missing("device", id) }
