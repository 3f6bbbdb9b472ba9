package device

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
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
	Device  Device
	Command *Command // that About names; nil when there is none, or it is another device's
	Open    int64    // open commands of the device
}

// Work is what a decision writes, all or nothing. The zero Work writes nothing.
type Work struct {
	Device   *Change   // nil: it stays
	Commands []Command // made (version 1) or changed
	Lines    []LogLine // of these, those that are new are kept
	Logged   *Command  // whose LogLines and LogBytes have grown; it is no change otherwise
	Notes    []Event
	Answer   Command // what the decision gives back
}

// turn is a decision in the making.
type turn struct {
	Situation
	now   time.Time
	actor string
	work  Work
}

// done is the work, unless something went wrong while it was made.
func (t *turn) done(err error) (Work, error) {
	if err != nil {
		return Work{}, err
	}
	return t.work, nil
}

// put keeps a command that was made or changed; once it is over, the lock that waited for it moves.
func (t *turn) put(c Command) error {
	t.work.Commands = append(t.work.Commands, c)
	t.work.Answer = c
	l := t.Device.Lock
	if c.Status.Open() || l == nil || l.CommandID != c.ID {
		return nil
	}
	after, what := l.end(c, t.now)
	return t.move(after, what, c.ID)
}

// drive has the command move the lock.
func (t *turn) drive(c Command) error {
	after, err := t.Device.Lock.begin(c)
	if err != nil {
		return err
	}
	return t.move(after, LockChanged, c.ID)
}

// move keeps the lock as it is after; once a turn.
func (t *turn) move(after Lock, what EventType, commandID string) error {
	before := t.Device.Lock.State
	data, err := json.Marshal(lockData{From: before, To: after.State, CommandID: commandID, Holder: after.Holder, Attempts: after.Attempts})
	if err != nil {
		return fmt.Errorf("write the event: %w", err)
	}
	t.Device.Lock = &after
	t.Device.Version++
	t.Device.UpdatedAt = t.now
	t.work.Device = &Change{Device: t.Device, Event: Event{
		ID: ids.New(ids.Event), DeviceID: t.Device.ID, At: t.now, Type: what,
		Message: after.words(before, what), Actor: t.actor, Data: string(data),
	}}
	return nil
}

func (t *turn) note(what EventType, message string, data any) error {
	e, err := noted(t.Device.ID, t.now, what, message, t.actor, data)
	if err != nil {
		return err
	}
	t.work.Notes = append(t.work.Notes, e)
	return nil
}
