package bff

import (
	"context"
	"time"
)

// Commands is what devices are told to do. All but SendCommand and CancelCommand are batch reads.
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

// Command is what a device was told to do, and what became of it.
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
	ImageURL       *string // where the image of a snapshot can be had; who keeps images knows it
}

// LogLine is what a device said while it ran a command.
type LogLine struct {
	CommandID string
	DeviceID  string
	At        time.Time
	Stream    string
	Text      string
}

// LogQuery asks for the first lines over [From, To).
type LogQuery struct {
	From, To time.Time
	First    int
}

// SendCommandInput tells a device to do something.
type SendCommandInput struct {
	DeviceID       string
	Name           string
	Arguments      JSON
	TimeoutSeconds *int
	QueueUntil     *time.Time
	IdempotencyKey *string
}

// IsNode marks what has an id of its own.
func (*Command) IsNode() {}

// GetID gives the id.
func (c *Command) GetID() string { return c.ID }

// IsNode marks what events can be about.
func (*LogLine) IsNode() {}

// GetID gives the id of the command, which subscribers ask for.
func (l *LogLine) GetID() string { return l.CommandID }
