package device

import (
	"context"
	"errors"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
)

// UpTopic is what a message of a device is about. Over MQTT the topic is devices/<device id>/<topic>.
type UpTopic string

// What devices tell.
const (
	UpTelemetry      UpTopic = "telemetry"
	UpPosition       UpTopic = "position"
	UpState          UpTopic = "state"
	UpEvents         UpTopic = "events"
	UpConfigReported UpTopic = "config/reported"
	UpCommandAck     UpTopic = "commands/ack"
	UpCommandLog     UpTopic = "commands/log"
	UpCommandResult  UpTopic = "commands/result"
)

// UpTopics lists what devices tell.
func UpTopics() []UpTopic {
	return []UpTopic{UpTelemetry, UpPosition, UpState, UpEvents, UpConfigReported, UpCommandAck, UpCommandLog, UpCommandResult}
}

// maxPayload bounds a message of a device, in bytes.
const maxPayload = 64 << 10

// UpMessage is what a device told. The broker has found out that it is this device; it may come again.
type UpMessage struct {
	DeviceID  string
	Topic     UpTopic
	Payload   []byte
	ArrivedAt time.Time // when the broker took it
	Sequence  uint64    // grows from message to message of the broker
}

// taker does what a message asks for. An error that is the device's fault (INVALID_ARGUMENT,
// NOT_FOUND, FAILED_PRECONDITION, ALREADY_EXISTS, PERMISSION_DENIED) refuses the message: it is noted
// in the device's event log and does not come again. After any other error it comes again, so a
// taker must bear a message twice.
type taker func(ctx context.Context, m UpMessage) error

// takers says who takes what. A topic without a row is refused.
func (s *Service) takers() map[UpTopic]taker {
	return map[UpTopic]taker{
		UpTelemetry:      s.takeTelemetry,
		UpPosition:       s.takePositions,
		UpState:          s.takeState,
		UpEvents:         s.takeEvent,
		UpCommandAck:     s.takeAck,
		UpCommandLog:     s.takeLog,
		UpCommandResult:  s.takeResult,
		UpConfigReported: s.takeConfigReport,
	}
}

func (s *Service) untaken(_ context.Context, m UpMessage) error {
	return errs.Invalid("topic", "nobody takes %.80q", m.Topic)
}

// welcomer does what a device that has just connected waits for. It may be called again for the same
// connection, and for a device that was there all the time.
type welcomer func(ctx context.Context, deviceID string) error

// welcomers says what is done for a device that is there again: wanted configuration, queued commands.
func (s *Service) welcomers() []welcomer {
	return []welcomer{s.sendWaiting, s.welcomeConfig}
}

// TakeAll handles messages of devices, and says of each what Take would. Telemetry is kept in one
// transaction.
func (s *Service) TakeAll(ctx context.Context, messages []UpMessage) []error {
	outcomes := make([]error, len(messages))
	var recordings []Recording
	var of []int // which message a recording is of
	for i, m := range messages {
		if m.Topic != UpTelemetry {
			outcomes[i] = s.Take(ctx, m)
			continue
		}
		recording, err := m.recording()
		if err != nil {
			outcomes[i] = s.settle(ctx, m, err)
			continue
		}
		recordings, of = append(recordings, recording), append(of, i)
	}
	if len(recordings) == 0 {
		return outcomes
	}
	stored, err := s.store.RecordAll(ctx, recordings)
	for i, r := range recordings {
		outcomes[of[i]] = err
		if err == nil {
			s.count(UpTelemetry, "taken", 1)
			s.count("readings", "sent", len(r.Readings))
		}
	}
	s.count("readings", "stored", int(stored))
	return outcomes
}

// recording reads a message of telemetry.
func (m UpMessage) recording() (Recording, error) {
	if err := checkPayload(m); err != nil {
		return Recording{}, err
	}
	readings, err := m.readings()
	return Recording{DeviceID: m.DeviceID, Readings: readings, ArrivedAt: m.ArrivedAt}, err
}

func (s *Service) takeTelemetry(ctx context.Context, m UpMessage) error {
	recording, err := m.recording()
	if err != nil {
		return err
	}
	stored, err := s.store.RecordAll(ctx, []Recording{recording})
	if err != nil {
		return err
	}
	s.count("readings", "sent", len(recording.Readings))
	s.count("readings", "stored", int(stored))
	return nil
}

// Take handles one message of a device. nil: done with, also when it was refused; that is noted in
// the device's event log. An error: not now, deliver it again.
func (s *Service) Take(ctx context.Context, m UpMessage) error {
	take, known := s.takes[m.Topic]
	if !known {
		take = s.untaken
	}
	err := checkPayload(m)
	if err == nil {
		err = take(ctx, m)
	}
	return s.settle(ctx, m, err)
}

// settle counts what became of the message, and notes when it was refused.
func (s *Service) settle(ctx context.Context, m UpMessage, err error) error {
	topic := m.Topic
	if _, known := s.takes[topic]; !known {
		topic = "other"
	}
	switch {
	case err == nil:
		s.count(topic, "taken", 1)
		return nil
	case blamesDevice(err):
		s.count(topic, "refused", 1)
		return s.refuse(ctx, m, errs.From(err))
	}
	s.count(topic, "failed", 1)
	return err
}

func checkPayload(m UpMessage) error {
	if len(m.Payload) > maxPayload {
		return errs.Invalid("payload", "has %d bytes, more than %d", len(m.Payload), maxPayload)
	}
	return nil
}

// blamesDevice tells whether sending the message again would be refused again.
func blamesDevice(err error) bool {
	switch errs.From(err).Code {
	case errs.InvalidArgument, errs.NotFound, errs.FailedPrecondition, errs.AlreadyExists, errs.PermissionDenied:
		return true
	}
	return false
}

// Welcome does for a device that has just connected what it waits for. One welcomer that fails does
// not keep the others.
func (s *Service) Welcome(ctx context.Context, deviceID string) error {
	var failures []error
	for _, welcome := range s.welcomes {
		failures = append(failures, welcome(ctx, deviceID))
	}
	return errors.Join(failures...)
}
