package telemetry

import (
	"github.com/sluicehq/sluice/internal/errs"
)

// ReasonTooManyPoints means that a response would exceed MaxPoints.
const ReasonTooManyPoints = "TOO_MANY_POINTS"

// TooManyPoints reports that a response would exceed MaxPoints.
func TooManyPoints() *errs.Error {
	return errs.New(errs.InvalidArgument, ReasonTooManyPoints,
		"this is more than %d points: ask for a shorter time, fewer keys, or longer steps with stepSeconds", MaxPoints)
}
