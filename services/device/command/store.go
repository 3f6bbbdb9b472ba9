package command

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// Store stores commands and what devices say while they run them. Commands of devices that were deleted
// are there as long as they are open, to be ended.
type Store interface {
	device.Reader
	Decider

	// GetCommands returns the commands that there are, in any order, of devices that have the labels.
	GetCommands(ctx context.Context, ids []string, labels map[string]string) ([]Command, error)

	// ListCommands returns a page of each device's commands, the newest first, as Events does.
	ListCommands(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[Command], error)

	// CommandLogs returns the first lines of each command's log, at most most.
	CommandLogs(ctx context.Context, commandIDs []string, most int) ([]LogLine, error)

	// DeviceLogs returns the first lines that each device logged over [from, to), at most most, by time.
	DeviceLogs(ctx context.Context, deviceIDs []string, from, to time.Time, most int) ([]LogLine, error)

	// Unacknowledged returns the open commands that the device has not acknowledged, the oldest first.
	Unacknowledged(ctx context.Context, deviceID string) ([]string, error)

	// DueCommands returns open commands to be processed at now, the most urgent first.
	DueCommands(ctx context.Context, now time.Time, most int) ([]string, error)
}

// Decider is the part of a Store that stores decisions.
type Decider interface {
	// Decide calls decide, which decides about commands and the device that they are for, and stores it
	// as one transaction. Of one device, changes happen one after another, so nothing of the
	// State changes until the decision is stored. decide may be called again, so it must not act.
	// Its error is returned unchanged. A repeat under the key returns the first answer. NOT_FOUND when
	// Target names no device, or no command where it names a command alone.
	Decide(ctx context.Context, about Target, decide func(State) (Changes, error)) (Command, error)
}
