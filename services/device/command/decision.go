package command

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
)

// Target names the subject of a decision.
type Target struct {
	DeviceID  string // "" for the device of the command
	CommandID string // "" for none
	Reference string // of the unlock to find; "" for none
	Key       idempotency.Key
	Now       time.Time
}

// State is the input of a decision. It is locked until the decision is stored.
type State struct {
	Device  device.Device
	Command *Command // the command of Target; nil if none, or of another device
	Open    int64    // open commands of the device
}

// Changes are the writes of a decision, all or nothing. The zero Changes writes nothing.
type Changes struct {
	Device   *device.Change // nil leaves it unchanged
	Commands []Command      // created (version 1) or changed
	Lines    []LogLine      // known lines are skipped
	Logged   *Command       // only LogLines and LogBytes have grown
	Notes    []device.Event
	Answer   Command // the result of the decision
}

// Decision accumulates the changes of a decision.
type Decision struct {
	State
	Now     time.Time
	Actor   string
	changes Changes
}

// Done returns the changes, unless the decision failed.
func (t *Decision) Done(err error) (Changes, error) {
	if err != nil {
		return Changes{}, err
	}
	return t.changes, nil
}

// Update stores a command that was created or changed. A finished command moves the lock that waits for it.
func (t *Decision) Update(c Command) error {
	t.changes.Commands = append(t.changes.Commands, c)
	t.changes.Answer = c
	l := t.Device.Lock
	if c.Status.Open() || l == nil || l.CommandID != c.ID {
		return nil
	}
	after, what := l.End(c.Name, c.Status == Succeeded, t.Now)
	return t.Move(after, what, c.ID)
}

func (t *Decision) drive(c Command) error {
	after, err := t.Device.Lock.Begin(c.Name, c.ID, c.Reference)
	if err != nil {
		return err
	}
	return t.Move(after, device.LockChanged, c.ID)
}

type lockData struct {
	From      device.LockState `json:"from"`
	To        device.LockState `json:"to"`
	CommandID string           `json:"commandId,omitempty"`
	Holder    string           `json:"holder,omitempty"`
	Attempts  int64            `json:"attempts,omitempty"`
}

// Move stores the lock after a change, once per decision.
func (t *Decision) Move(after device.Lock, what device.LockEvent, commandID string) error {
	before := t.Device.Lock.State
	data, err := json.Marshal(lockData{From: before, To: after.State, CommandID: commandID, Holder: after.Reference, Attempts: after.Attempts})
	if err != nil {
		return fmt.Errorf("write the event: %w", err)
	}
	t.Device.Lock = &after
	t.changes.Device = &device.Change{Device: t.Device, Event: device.Event{
		ID: ids.New(ids.Event), DeviceID: t.Device.ID, At: t.Now, Type: device.EventType(what),
		Message: after.Words(before, what), Actor: t.Actor, Data: string(data),
	}}
	return nil
}

// Doubt locks a vehicle that reports that it is open although its lock is LOCKED.
func (t *Decision) Doubt(commandID string) error {
	before := *t.Device.Lock
	after := before.ReportedOpen(t.Now)
	if after == before {
		return nil
	}
	return t.Move(after, device.LockDoubted, commandID)
}

func (t *Decision) note(what device.EventType, message string, data any) error {
	e, err := device.Noted(t.Device.ID, t.Now, what, message, t.Actor, data)
	if err != nil {
		return err
	}
	t.changes.Notes = append(t.changes.Notes, e)
	return nil
}
