package telemetry

import (
	"github.com/sluicehq/sluice/internal/errs"
)

// ReasonTooManyPoints says that less is to be requested at once.
const ReasonTooManyPoints = "TOO_MANY_POINTS"

// TooManyPoints says that an answer would hold more than MaxPoints.
func TooManyPoints() *errs.Error {
	return errs.New(errs.InvalidArgument, ReasonTooManyPoints,
		"this is more than %d points: ask for a shorter time, fewer keys, or longer steps with stepSeconds", MaxPoints)
}
