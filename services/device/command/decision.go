package command

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
)

// Target says what a decision about a command is about.
type Target struct {
	DeviceID  string // "": the device of the command
	CommandID string // "" for none
	Reference string // finds the unlock that was sent for it; "" for none
	Key       idempotency.Key
	Now       time.Time
}

// State is the input of a decision. Nothing of it changes until the decision is stored.
type State struct {
	Device  device.Device
	Command *Command // that Target names; nil when there is none, or it is another device's
	Open    int64    // open commands of the device
}

// Changes is what a decision writes, all or nothing. The zero Changes writes nothing.
type Changes struct {
	Device   *device.Change // nil: it stays
	Commands []Command      // made (version 1) or changed
	Lines    []LogLine      // of these, those that are new are stored
	Logged   *Command       // whose LogLines and LogBytes have grown; it is no change otherwise
	Notes    []device.Event
	Answer   Command // what the decision returns
}

// Decision is a decision in the making.
type Decision struct {
	State
	Now     time.Time
	Actor   string
	changes Changes
}

// Done is the work, unless the decision failed.
func (t *Decision) Done(err error) (Changes, error) {
	if err != nil {
		return Changes{}, err
	}
	return t.changes, nil
}

// Update stores a command that was created or changed; once it is over, the lock that waited for it moves.
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

// lockData is the data of an event about a lock.
type lockData struct {
	From      device.LockState `json:"from"`
	To        device.LockState `json:"to"`
	CommandID string           `json:"commandId,omitempty"`
	Holder    string           `json:"holder,omitempty"`
	Attempts  int64            `json:"attempts,omitempty"`
}

// Move stores the lock as it is after; once a turn.
func (t *Decision) Move(after device.Lock, what device.LockEvent, commandID string) error {
	before := t.Device.Lock.State
	data, err := json.Marshal(lockData{From: before, To: after.State, CommandID: commandID, Holder: after.Reference, Attempts: after.Attempts})
	if err != nil {
		return fmt.Errorf("write the event: %w", err)
	}
	t.Device.Lock = &after
	t.Device.Version++
	t.Device.UpdatedAt = t.Now
	t.changes.Device = &device.Change{Device: t.Device, Event: device.Event{
		ID: ids.New(ids.Event), DeviceID: t.Device.ID, At: t.Now, Type: device.EventType(what),
		Message: after.Words(before, what), Actor: t.Actor, Data: string(data),
	}}
	return nil
}

// Doubt has a vehicle locked that says it is open while we take it for locked.
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
