// Package command sends commands to devices and records their outcome.
//
// Every Command ends: by the device's result, by its deadline, or by a cancel. A message about an unknown or finished
// command is noted and changes nothing. Decisions are made while the device's row is locked, so those of one device
// are serial; a command that moves a vehicle's lock updates the lock in the same transaction. The next due time is in
// the command's row, and any process finds it there (Attend).
package command

import (
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
)

// Service has the use cases. It is safe for concurrent use.
type Service struct {
	store    Store
	clock    clock.Clock
	downlink device.Downlink
	reserved func(device.Kind, string) bool
	pace     *device.Pace
}

// New returns a Service over a store. reserved reports whether only a use case of its own may send a command.
func New(store Store, clock clock.Clock, downlink device.Downlink, reserved func(kind device.Kind, name string) bool) *Service {
	return &Service{store: store, clock: clock, downlink: downlink, reserved: reserved, pace: device.NewPace()}
}

// Status is the status of a command.
type Status string

// The statuses: QUEUED → SENT → ACKNOWLEDGED → one of the last four, which are final. A result may arrive without an
// acknowledgement, and before SENT is stored.
const (
	Queued       Status = "QUEUED" // not sent yet
	Sent         Status = "SENT"   // sent at least once
	Acknowledged Status = "ACKNOWLEDGED"
	Succeeded    Status = "SUCCEEDED"
	Failed       Status = "FAILED"
	TimedOut     Status = "TIMED_OUT"
	Cancelled    Status = "CANCELLED"
)

// Open reports whether the status is not final.
func (s Status) Open() bool { return s == Queued || s == Sent || s == Acknowledged }

// Command is a command to a device, and its outcome.
type Command struct {
	ID        string
	DeviceID  string
	Version   int64
	Name      string
	Arguments string // a JSON object
	Status    Status
	Caller    string // an account, an API key, or "system"
	// Reference is the trip of an unlock; "" for none. One unlock is sent per reference.
	Reference string

	Timeout    time.Duration // from sending to the result
	QueueUntil *time.Time    // until when it waits for an offline device; nil does not wait
	// Deadline ends it: while QUEUED the time to be sent, then the time of the result.
	Deadline time.Time
	DueAt    *time.Time // nil once it is final
	Sends    int64      // number of deliveries

	CreatedAt      time.Time
	SentAt         *time.Time // the first time
	LastSentAt     *time.Time // the latest time
	AcknowledgedAt *time.Time
	FinishedAt     *time.Time

	Result string // JSON, of a success; "" for none
	Reason string // of a failure: UPPER_SNAKE; else ""
	Error  string // Reason in words

	LogLines int64 // number of stored lines
	LogBytes int64 // bytes of their texts
}

// LogLine is a line that a device logged while it ran a command.
type LogLine struct {
	CommandID string
	DeviceID  string
	Ordinal   int64 // within the command, ascending
	At        time.Time
	Stream    string // "stdout", "stderr", …
	Text      string
}

// Timing of deliveries.
const (
	DefaultTimeout = time.Minute
	MinTimeout     = time.Second
	maxTimeout     = 24 * time.Hour
	maxQueueing    = 30 * 24 * time.Hour

	// resendAfter is the delay before a command without an acknowledgement is sent again. It doubles each time, and
	// is reset when the device reconnects. The device deduplicates by id.
	resendAfter = 2 * time.Second
	resendMost  = time.Minute
)

// Bounds of commands.
const (
	maxCommandName  = 100
	maxArguments    = 16 << 10 // bytes
	maxResult       = 32 << 10 // bytes
	maxCommandError = 1_000    // characters
	maxOpen         = 100      // open commands per device
	maxLogLines     = 1_000    // per command
	maxLogBytes     = 128 << 10
	maxLineBytes    = 2_000
	maxStream       = 32
)

// NewCommand returns a new command, which is due at once.
func NewCommand(deviceID, name, arguments, who string, timeout time.Duration, queueUntil *time.Time, now time.Time) Command {
	c := Command{
		ID: ids.New(ids.Command), DeviceID: deviceID, Version: 1, Name: name, Arguments: arguments, Status: Queued,
		Caller: who, Timeout: timeout, QueueUntil: queueUntil, Deadline: now.Add(timeout), CreatedAt: now, DueAt: &now,
	}
	if queueUntil != nil {
		c.Deadline = *queueUntil
	}
	return c
}

// sending returns the command at a delivery. A device that has just reconnected may not be subscribed yet.
func (c Command) sending(now time.Time, back bool) Command {
	c.Version++
	c.Sends++
	c.LastSentAt = &now
	if c.Status == Queued {
		c.Status, c.SentAt, c.Deadline = Sent, &now, c.answerBy(now)
	}
	wait := resendAfter
	for i := int64(1); i < c.Sends && wait < resendMost && !back; i++ {
		wait *= 2
	}
	return c.dueBy(now.Add(min(wait, resendMost)))
}

// answerBy returns the deadline for the result of a command that is sent now. A command that does not queue has the
// deadline of its creation.
func (c Command) answerBy(now time.Time) time.Time {
	if c.QueueUntil == nil {
		return c.Deadline
	}
	return now.Add(c.Timeout)
}

func (c Command) dueBy(at time.Time) Command {
	if at.After(c.Deadline) {
		at = c.Deadline
	}
	c.DueAt = &at
	return c
}

func (c Command) acknowledged(now time.Time) Command {
	c.Version++
	c.Status, c.AcknowledgedAt = Acknowledged, &now
	if c.SentAt == nil { // sent before a crash, without the mark
		c.SentAt, c.Deadline = &now, c.answerBy(now)
	}
	return c.dueBy(c.Deadline)
}

// Ended returns the command with the final status.
func (c Command) Ended(status Status, now time.Time) Command {
	c.Version++
	c.Status, c.FinishedAt, c.DueAt = status, &now, nil
	return c
}

func (c Command) failed(reason, words string, now time.Time) Command {
	c.Reason, c.Error = reason, words
	return c.Ended(Failed, now)
}

// overdue returns the command at its deadline: never sent means that the device was offline.
func (c Command) overdue(now time.Time) Command {
	if c.Status == Queued {
		return c.offline(now)
	}
	c.Reason, c.Error = ReasonTimedOut, fmt.Sprintf("the device did not answer within %s", c.Timeout)
	return c.Ended(TimedOut, now)
}

func (c Command) offline(now time.Time) Command {
	return c.failed(device.ReasonOffline, "the device is offline", now)
}

// order is the payload to the device.
type order struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Arguments jsonText  `json:"arguments"`
	Deadline  time.Time `json:"deadline"` // after which the device must ignore it
}

// jsonText is raw JSON.
type jsonText string

// MarshalJSON returns the text.
func (t jsonText) MarshalJSON() ([]byte, error) { return []byte(t), nil }
