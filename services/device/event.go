package device

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
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

// Change is a device as it shall be kept, and what happened to it.
type Change struct {
	Device     Device
	Event      Event
	SecretHash string // of the device's new secret; "" leaves it as it is
}

// details is the data of an event.
type details struct {
	Version    int64    `json:"version"` // of the device since then
	Kind       Kind     `json:"kind,omitempty"`
	Source     string   `json:"source,omitempty"`
	ExternalID string   `json:"externalId,omitempty"`
	Changed    []string `json:"changed,omitempty"`
}

func happened(who caller.Caller, d Device, what EventType, message string, more details) (*Change, error) {
	more.Version = d.Version
	data, err := json.Marshal(more)
	if err != nil {
		return nil, fmt.Errorf("write the event: %w", err)
	}
	return &Change{Device: d, Event: Event{
		ID: ids.New(ids.Event), DeviceID: d.ID, At: d.UpdatedAt,
		Type: what, Message: message, Actor: who.Name(), Data: string(data),
	}}, nil
}

// updated is the change from before to after, or nil when they are the same.
func updated(who caller.Caller, before, after Device, now time.Time) (*Change, error) {
	changed, words := differences(before, after)
	if len(changed) == 0 {
		return nil, nil
	}
	after.Version, after.UpdatedAt = before.Version+1, now
	return happened(who, after, Updated, strings.Join(words, ", "), details{Changed: changed})
}

// differences names what can be changed and was, as fields and in words.
func differences(before, after Device) (fields, words []string) {
	if before.Name != after.Name {
		fields, words = append(fields, "name"), append(words, fmt.Sprintf("renamed to %.80q", after.Name))
	}
	if !maps.Equal(before.Labels, after.Labels) {
		fields, words = append(fields, "labels"), append(words, "labels changed")
	}
	if !samePosition(before.Position, after.Position) {
		fields, words = append(fields, "position"), append(words, "position changed")
	}
	return fields, words
}
