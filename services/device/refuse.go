package device

import (
	"context"

	"github.com/sluicehq/sluice/internal/errs"
)

// refusal is the data of an event about a message that was not taken.
type refusal struct {
	Topic  UpTopic `json:"topic"`
	Reason string  `json:"reason"`
	Bytes  int     `json:"bytes"`
}

// refuse notes that the message was not taken, and why.
func (s *Service) refuse(ctx context.Context, m UpMessage, why *errs.Error) error {
	e, err := noted(m.DeviceID, s.clock.Now(), Refused, why.Message, m.DeviceID,
		refusal{Topic: m.Topic, Reason: why.Reason, Bytes: len(m.Payload)})
	if err != nil {
		return err
	}
	return s.store.Note(ctx, e)
}
