package command

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// Store persists commands and their logs. Open commands of a deleted device remain, to be ended.
type Store interface {
	device.Reader
	Decider

	// GetCommands returns the existing commands, in any order, of devices that have the labels.
	GetCommands(ctx context.Context, ids []string, labels map[string]string) ([]Command, error)

	// ListCommands returns a page of each device's commands, the newest first.
	ListCommands(ctx context.Context, deviceIDs []string, request page.Request) (map[string]page.Page[Command], error)

	// CommandLogs returns the first lines of each command's log, at most most.
	CommandLogs(ctx context.Context, commandIDs []string, most int) ([]LogLine, error)

	// DeviceLogs returns the first lines that each device logged in [from, to), at most most, by time.
	DeviceLogs(ctx context.Context, deviceIDs []string, from, to time.Time, most int) ([]LogLine, error)

	// Unacknowledged returns the open commands without an acknowledgement, the oldest first.
	Unacknowledged(ctx context.Context, deviceID string) ([]string, error)

	// DueCommands returns at most most open commands that are due at now, the most urgent first.
	DueCommands(ctx context.Context, now time.Time, most int) ([]string, error)
}

// Decider is the part of a Store that stores decisions.
type Decider interface {
	// Decide stores the changes that decide returns, in one transaction. Changes of one device are serial, so the
	// State is current until the commit. The store may retry decide, so it must have no side effects. Its error is
	// returned unchanged. A repeat under the key returns the first Answer. NOT_FOUND if Target names no existing
	// device or, without a device, no existing command.
	Decide(ctx context.Context, about Target, decide func(State) (Changes, error)) (Command, error)
}
