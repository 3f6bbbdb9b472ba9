package device

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
)

// EventType is the type of an event of a device.
type EventType string

// The types. In lower case they are part of the subject of the emitted event.
const (
	Registered EventType = "REGISTERED"
	Imported   EventType = "IMPORTED"
	Updated    EventType = "UPDATED"
	Deleted    EventType = "DELETED"
)

// Event is an entry in the event log of a device.
type Event struct {
	ID       string
	DeviceID string
	At       time.Time
	Type     EventType
	Message  string // in words
	Actor    string // an account, an API key, or "system"
	Data     string // a JSON object
}

// Change is the device to store, and its event.
type Change struct {
	Device     Device
	Event      Event
	SecretHash string // of a new secret; "" leaves it unchanged
}

// Noted returns an event that changes nothing else of the device.
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
