package device

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
)

// EventType is what kind of thing happened to a device.
type EventType string

// The types. In lower case they name the change in the subject of the emitted event.
const (
	Registered EventType = "REGISTERED"
	Imported   EventType = "IMPORTED"
	Updated    EventType = "UPDATED"
	Deleted    EventType = "DELETED"
)

// Event is something that happened to a device.
type Event struct {
	ID       string
	DeviceID string
	At       time.Time
	Type     EventType
	Message  string // in words
	Actor    string // who did it: an account, an API key, "system"
	Data     string // a JSON object
}

// Change is a device as it shall be stored, and what happened to it.
type Change struct {
	Device     Device
	Event      Event
	SecretHash string // of the device's new secret; "" leaves it as it is
}

// Noted is an event of a device that changes nothing of it.
func Noted(deviceID string, at time.Time, what EventType, message, actor string, data any) (Event, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return Event{}, fmt.Errorf("write the event: %w", err)
	}
	return Event{
		ID: ids.New(ids.Event), DeviceID: deviceID, At: at,
		Type: what, Message: message, Actor: actor, Data: string(text),
	}, nil
}
