package uplink

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
)

// Refused is a message of the device that was not taken.
const Refused device.EventType = "MESSAGE_REFUSED"

// refusal is the data of an event about a message that was not taken.
type refusal struct {
	Topic     device.UpTopic `json:"topic"`
	Reason    string         `json:"reason"`
	Bytes     int            `json:"bytes"`
	Unnoted   int            `json:"unnoted,omitempty"` // refusals before it that were only counted
	ArrivedAt string         `json:"arrivedAt"`
}

// reportsAMinute is how many events of one device the event log takes.
const reportsAMinute = 120

// refusalRate is how many refusals of one device the event log takes: all of one who tries things out, and
// little of one who is refused all the time.
func refusalRate() device.Rate { return device.Rate{AtOnce: 60, AMinute: 6} }

// refuse notes that the message was not taken, and why; of a device that is refused all the time, only now and then.
func (s *Service) refuse(ctx context.Context, m device.UpMessage, why *errs.Error) error {
	now := s.clock.Now()
	if !s.pace.May(refusals+m.DeviceID, refusalRate(), now) {
		return nil
	}
	e, err := device.Noted(m.DeviceID, now, Refused, why.Message, m.DeviceID, refusal{
		Topic: m.Topic, Reason: why.Reason, Bytes: len(m.Payload), Unnoted: s.pace.Skipped(refusals + m.DeviceID),
		ArrivedAt: m.ArrivedAt.UTC().Format(time.RFC3339Nano),
	})
	if err != nil {
		return err
	}
	return s.store.Note(ctx, e)
}

const refusals = "refusals "
