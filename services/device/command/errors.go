package command

import "github.com/sluicehq/sluice/internal/errs"

// Reasons of failures and refusals.
const (
	ReasonDeviceDeleted  = "DEVICE_DELETED"
	ReasonTimedOut       = "COMMAND_TIMED_OUT"
	ReasonFailed         = "COMMAND_FAILED"
	ReasonOver           = "COMMAND_OVER"
	ReasonResultTooLarge = "RESULT_TOO_LARGE"
	ReasonTooMany        = "TOO_MANY_COMMANDS"
)

func over(c Command) *errs.Error {
	return errs.New(errs.FailedPrecondition, ReasonOver, "this command is over: it is %s", c.Status)
}
