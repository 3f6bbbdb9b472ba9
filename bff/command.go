package bff

import (
	"context"
	"time"
)

// Commands is the part of the device service for commands. All methods except SendCommand and CancelCommand are batch
// reads.
type Commands interface {
	SendCommand(ctx context.Context, input SendCommandInput) (*Command, error)
	CancelCommand(ctx context.Context, id string) (*Command, error)
	GetCommands(ctx context.Context, ids []string) ([]*Command, error)
	ListDeviceCommands(ctx context.Context, deviceIDs []string, page PageRequest) (map[string]Page[Command], error)
	GetCommandLogs(ctx context.Context, commandIDs []string, first int) (map[string][]*LogLine, error)
	GetDeviceLogs(ctx context.Context, deviceIDs []string, query LogQuery) (map[string][]*LogLine, error)
}

// CommandStatus is QUEUED, SENT, ACKNOWLEDGED, SUCCEEDED, FAILED, TIMED_OUT or CANCELLED.
type CommandStatus string

// LockState is LOCKED, UNLOCKING, UNLOCKED or LOCKING.
type LockState string

// Command is a command to a device, with its outcome.
type Command struct {
	ID             string
	DeviceID       string
	Name           string
	Arguments      JSON
	Status         CommandStatus
	Version        int
	Caller         string
	CreatedAt      time.Time
	QueueUntil     *time.Time
	Deadline       time.Time
	SentAt         *time.Time
	AcknowledgedAt *time.Time
	FinishedAt     *time.Time
	Result         JSON
	Reason         *string
	Error          *string
	ImageURL       *string // of the snapshot; set by the adapter that stores images
}

// LogLine is a line that a device logs while it runs a command.
type LogLine struct {
	CommandID string
	DeviceID  string
	At        time.Time
	Stream    string
	Text      string
}

// LogQuery selects the first lines in [From, To).
type LogQuery struct {
	From, To time.Time
	First    int
}

// SendCommandInput is the input that sends a command to a device.
type SendCommandInput struct {
	DeviceID       string
	Name           string
	Arguments      JSON
	TimeoutSeconds *int
	QueueUntil     *time.Time
	IdempotencyKey *string
}

// IsNode implements Node.
func (*Command) IsNode() {}

// GetID implements Node.
func (c *Command) GetID() string { return c.ID }

// IsNode marks the payload of an event.
func (*LogLine) IsNode() {}

// GetID returns the id of the command, by which subscribers select lines.
func (l *LogLine) GetID() string { return l.CommandID }
