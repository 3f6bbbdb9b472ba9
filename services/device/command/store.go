package command

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// Store keeps commands and what devices say while they run them. Commands of devices that were deleted
// are there as long as they are open, to be ended.
type Store interface {
	device.Reader
	Decider

	// GetCommands gives the commands that there are, in any order, of devices that have the labels.
	GetCommands(ctx context.Context, ids []string, labels map[string]string) ([]Command, error)

	// ListCommands gives a page of each device's commands, the newest first, as Events does.
	ListCommands(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[Command], error)

	// CommandLogs gives the first lines of each command's log, at most most.
	CommandLogs(ctx context.Context, commandIDs []string, most int) ([]LogLine, error)

	// DeviceLogs gives the first lines that each device logged over [from, to), at most most, by time.
	DeviceLogs(ctx context.Context, deviceIDs []string, from, to time.Time, most int) ([]LogLine, error)

	// Unacknowledged gives the open commands that the device has not acknowledged, the oldest first.
	Unacknowledged(ctx context.Context, deviceID string) ([]string, error)

	// DueCommands gives open commands to be looked after at now, the most urgent first.
	DueCommands(ctx context.Context, now time.Time, most int) ([]string, error)
}

// Decider is the part of a Store that keeps decisions.
type Decider interface {
	// Changes lets decide say what becomes of commands and of the device that they are for, and keeps it
	// as one transaction. Of one device, changes happen one after another, so nothing of the
	// State changes until the decision is kept. decide may be called again, so it must not act.
	// Its error comes back as it is. A repeat under the key gives the first answer. NOT_FOUND when
	// Target names no device, or no command where it names a command alone.
	Decide(ctx context.Context, about Target, decide func(State) (Changes, error)) (Command, error)
}
