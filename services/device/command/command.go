// Package command sends commands to devices and records their outcome.
//
// A Command ends, always: by the device's answer, by its deadline, or because it is cancelled. What a
// device says of a command that is unknown or over is noted and changes nothing. Every decision is made
// with the device's row locked (Decision), so of one device they happen one after another; a command that
// moves the lock of a vehicle moves it in the same transaction. What is to be done next, and when, is in
// the command's row, and is found there by any process (Attend).
package command

import (
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
)

// Service is the use cases. It is safe for concurrent use.
type Service struct {
	store    Store
	clock    clock.Clock
	downlink device.Downlink
	reserved func(device.Kind, string) bool
	pace     *device.Pace
}

// New returns a Service over a store. reserved reports whether a kind of device takes a command by a use
// case of its own alone.
func New(store Store, clock clock.Clock, downlink device.Downlink, reserved func(kind device.Kind, name string) bool) *Service {
	return &Service{store: store, clock: clock, downlink: downlink, reserved: reserved, pace: device.NewPace()}
}

// Status is where a command stands.
type Status string

// The statuses: QUEUED → SENT → ACKNOWLEDGED → one of the last four, which are final. A device may
// answer without having acknowledged, and before we know that it was sent.
const (
	Queued       Status = "QUEUED" // waits for the device, or for us
	Sent         Status = "SENT"   // on its way, at least once
	Acknowledged Status = "ACKNOWLEDGED"
	Succeeded    Status = "SUCCEEDED"
	Failed       Status = "FAILED"
	TimedOut     Status = "TIMED_OUT"
	Cancelled    Status = "CANCELLED"
)

// Open reports whether a command of this status can still change.
func (s Status) Open() bool { return s == Queued || s == Sent || s == Acknowledged }

// Command is what a device shall do, and the outcome.
type Command struct {
	ID        string
	DeviceID  string
	Version   int64
	Name      string
	Arguments string // a JSON object
	Status    Status
	Caller    string // who sent it: an account, an API key, "system"
	// Reference names what it is done for, a trip; "" for none. An unlock is sent once a reference.
	Reference string

	Timeout    time.Duration // how long the device has from when it is sent
	QueueUntil *time.Time    // how long it waits for a device that is offline; nil: not at all
	// Deadline ends it: while it is queued by when it must be sent, then by when it must be answered.
	Deadline time.Time
	DueAt    *time.Time // when to process it; nil once it is over
	Sends    int64      // how often it was sent

	CreatedAt      time.Time
	SentAt         *time.Time // first
	LastSentAt     *time.Time // last
	AcknowledgedAt *time.Time
	FinishedAt     *time.Time

	Result string // JSON, of a command that succeeded; "" for none
	Reason string // why it did not: UPPER_SNAKE; "" otherwise
	Error  string // the same in words

	LogLines int64 // stored
	LogBytes int64 // of their texts
}

// LogLine is what a device said while it ran a command.
type LogLine struct {
	CommandID string
	DeviceID  string
	Ordinal   int64 // within the command, growing
	At        time.Time
	Stream    string // "stdout", "stderr", …
	Text      string
}

// How commands go out.
const (
	DefaultTimeout = time.Minute
	MinTimeout     = time.Second
	maxTimeout     = 24 * time.Hour
	maxQueueing    = 30 * 24 * time.Hour

	// resendAfter is how long a command that was sent waits for the acknowledgement before it is sent again; the wait
	// doubles each time, and begins anew when the device reconnects. The device knows a repeat by its id.
	resendAfter = 2 * time.Second
	resendMost  = time.Minute
)

// Bounds of commands.
const (
	maxCommandName  = 100
	maxArguments    = 16 << 10 // bytes
	maxResult       = 32 << 10 // bytes
	maxCommandError = 1_000    // characters
	maxOpen         = 100      // open commands a device
	maxLogLines     = 1_000    // a command
	maxLogBytes     = 128 << 10
	maxLineBytes    = 2_000
	maxStream       = 32
)

// NewCommand is a new command that has yet to be sent; it is due at once.
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

// sending is the command when it goes out to the device, for the first time or again. A device that
// has just reconnect may not listen yet.
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

// answerBy is until when a command that is sent now must be answered. What was not to wait for the
// device has the time that it was given when it was created.
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
	if c.SentAt == nil { // it was, and we crashed before we knew
		c.SentAt, c.Deadline = &now, c.answerBy(now)
	}
	return c.dueBy(c.Deadline)
}

// Ended is the command in its final status.
func (c Command) Ended(status Status, now time.Time) Command {
	c.Version++
	c.Status, c.FinishedAt, c.DueAt = status, &now, nil
	return c
}

func (c Command) failed(reason, words string, now time.Time) Command {
	c.Reason, c.Error = reason, words
	return c.Ended(Failed, now)
}

// overdue is the command at its deadline: a device that never got it was not there.
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

// order is what the device receives.
type order struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Arguments jsonText  `json:"arguments"`
	Deadline  time.Time `json:"deadline"` // to be left alone after it
}

// jsonText is JSON that is written as it is.
type jsonText string

// MarshalJSON returns the text.
func (t jsonText) MarshalJSON() ([]byte, error) { return []byte(t), nil }
