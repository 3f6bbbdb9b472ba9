package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
)

type details struct {
	Version    int64       `json:"version"` // of the device since then
	Kind       device.Kind `json:"kind,omitempty"`
	Source     string      `json:"source,omitempty"`
	ExternalID string      `json:"externalId,omitempty"`
	Changed    []string    `json:"changed,omitempty"`
}

func happened(who caller.Caller, d device.Device, what device.EventType, message string, more details) (*device.Change, error) {
	more.Version = d.Version
	data, err := json.Marshal(more)
	if err != nil {
		return nil, fmt.Errorf("write the event: %w", err)
	}
	return &device.Change{Device: d, Event: device.Event{
		ID: ids.New(ids.Event), DeviceID: d.ID, At: d.UpdatedAt,
		Type: what, Message: message, Actor: who.Name(), Data: string(data),
	}}, nil
}

func updated(who caller.Caller, before, after device.Device, now time.Time) (*device.Change, error) {
	changed, words := differences(before, after)
	if len(changed) == 0 {
		return nil, nil
	}
	after.Version, after.UpdatedAt = before.Version+1, now
	return happened(who, after, device.Updated, strings.Join(words, ", "), details{Changed: changed})
}

// differences returns the changed fields, as names and in words.
func differences(before, after device.Device) (fields, words []string) {
	if before.Name != after.Name {
		fields, words = append(fields, "name"), append(words, fmt.Sprintf("renamed to %.80q", after.Name))
	}
	if !maps.Equal(before.Labels, after.Labels) {
		fields, words = append(fields, "labels"), append(words, "labels changed")
	}
	if !device.SamePosition(before.Position, after.Position) {
		fields, words = append(fields, "position"), append(words, "position changed")
	}
	return fields, words
}
