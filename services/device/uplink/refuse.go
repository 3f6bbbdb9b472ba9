package uplink

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
)

// Refused is the event of a refused message.
const Refused device.EventType = "MESSAGE_REFUSED"

type refusal struct {
	Topic     device.UpTopic `json:"topic"`
	Reason    string         `json:"reason"`
	Bytes     int            `json:"bytes"`
	Unnoted   int            `json:"unnoted,omitempty"` // refusals since the last event, which were only counted
	ArrivedAt string         `json:"arrivedAt"`
}

// reportsAMinute bounds the events of one device in its event log.
const reportsAMinute = 120

// refusalRate bounds the refusals of one device in its event log: all of a developer who experiments, few of a client
// in a loop.
func refusalRate() device.Rate { return device.Rate{AtOnce: 60, AMinute: 6} }

// refuse notes that the message was refused and why, within the rate.
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
