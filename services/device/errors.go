package device

import (
	"github.com/sluicehq/sluice/internal/errs"
)

// ReasonOffline says that a device cannot be reached.
const ReasonOffline = "DEVICE_OFFLINE"

// Missing says that there is no such device, or that the caller may not know of it.
func Missing(id string) *errs.Error { return errs.Missing("device", id) }
