package command

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
)

// About says what a decision about a command is about.
type About struct {
	DeviceID  string // "": the device of the command
	CommandID string // "" for none
	Reference string // finds the unlock that was sent for it; "" for none
	Key       idempotency.Key
	Now       time.Time
}

// Situation is what a decision is made on. Nothing of it changes until the decision is kept.
type Situation struct {
	Device  device.Device
	Command *Command // that About names; nil when there is none, or it is another device's
	Open    int64    // open commands of the device
}

// Work is what a decision writes, all or nothing. The zero Work writes nothing.
type Work struct {
	Device   *device.Change // nil: it stays
	Commands []Command      // made (version 1) or changed
	Lines    []LogLine      // of these, those that are new are kept
	Logged   *Command       // whose LogLines and LogBytes have grown; it is no change otherwise
	Notes    []device.Event
	Answer   Command // what the decision gives back
}

// Turn is a decision in the making.
type Turn struct {
	Situation
	Now   time.Time
	Actor string
	work  Work
}

// Done is the work, unless something went wrong while it was made.
func (t *Turn) Done(err error) (Work, error) {
	if err != nil {
		return Work{}, err
	}
	return t.work, nil
}

// Put keeps a command that was made or changed; once it is over, the lock that waited for it moves.
func (t *Turn) Put(c Command) error {
	t.work.Commands = append(t.work.Commands, c)
	t.work.Answer = c
	l := t.Device.Lock
	if c.Status.Open() || l == nil || l.CommandID != c.ID {
		return nil
	}
	after, what := l.End(c.Name, c.Status == Succeeded, t.Now)
	return t.Move(after, what, c.ID)
}

// drive has the command move the lock.
func (t *Turn) drive(c Command) error {
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
	CommandID string     `json:"commandId,omitempty"`
	Holder    string     `json:"holder,omitempty"`
	Attempts  int64      `json:"attempts,omitempty"`
}

// Move keeps the lock as it is after; once a turn.
func (t *Turn) Move(after device.Lock, what device.LockEvent, commandID string) error {
	before := t.Device.Lock.State
	data, err := json.Marshal(lockData{From: before, To: after.State, CommandID: commandID, Holder: after.Holder, Attempts: after.Attempts})
	if err != nil {
		return fmt.Errorf("write the event: %w", err)
	}
	t.Device.Lock = &after
	t.Device.Version++
	t.Device.UpdatedAt = t.Now
	t.work.Device = &device.Change{Device: t.Device, Event: device.Event{
		ID: ids.New(ids.Event), DeviceID: t.Device.ID, At: t.Now, Type: device.EventType(what),
		Message: after.Words(before, what), Actor: t.Actor, Data: string(data),
	}}
	return nil
}

// Doubt has a vehicle locked that says it is open while we take it for locked.
func (t *Turn) Doubt(commandID string) error {
	before := *t.Device.Lock
	after := before.SaidOpen(t.Now)
	if after == before {
		return nil
	}
	return t.Move(after, device.LockDoubted, commandID)
}

func (t *Turn) note(what device.EventType, message string, data any) error {
	e, err := device.Noted(t.Device.ID, t.Now, what, message, t.Actor, data)
	if err != nil {
		return err
	}
	t.work.Notes = append(t.work.Notes, e)
	return nil
}
