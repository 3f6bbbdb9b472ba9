package device

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
)

// Refused is a message of the device that was not taken.
const Refused EventType = "MESSAGE_REFUSED"

// Note writes down what happened to the device, without changing it: its version stays and nothing
// is emitted. Of a device that is not there, nothing is written.
func (s *Service) Note(ctx context.Context, e Event) error {
	return s.store.Note(ctx, e)
}

// noted is an event of a device that changes nothing of it.
func noted(deviceID string, at time.Time, what EventType, message, actor string, data any) (Event, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return Event{}, fmt.Errorf("write the event: %w", err)
	}
	return Event{
		ID: ids.New(ids.Event), DeviceID: deviceID, At: at,
		Type: what, Message: message, Actor: actor, Data: string(text),
	}, nil
}
