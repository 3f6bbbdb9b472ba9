// Package uplink takes what devices say: it reads each message, refuses what cannot be read and notes why,
// and hands it to the room that it is for.
//
// A message of a device is handled at least once, and handling it again changes nothing more; but an
// event that it reports may then be noted twice.
package uplink

import (
	"context"
	"errors"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/camera"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/telemetry"
	"github.com/sluicehq/sluice/services/device/twin"
	"github.com/sluicehq/sluice/services/device/vehicle"
)

// Handlers process messages, by topic.
type Handlers struct {
	Telemetry *telemetry.Service
	Commands  *command.Service
	Vehicles  *vehicle.Service
	Cameras   *camera.Service
	Twins     *twin.Service
}

// Store stores what devices say of themselves.
type Store interface {
	// Observe tells others where a device was, and stores the latest of the positions when it is later
	// than the one that is known. The version stays. For a device that does not exist nothing is published.
	Observe(ctx context.Context, deviceID string, positions []device.Position, now time.Time) error

	// Report stores the board that a device reported and its firmware, in place of what is known. The
	// version is unchanged; a change is published.
	Report(ctx context.Context, deviceID string, state ReportedState, now time.Time) error

	// Note writes down what happened to a device and leaves the device as it is. Of a device that is
	// not there, nothing is written.
	Note(ctx context.Context, e device.Event) error
}

// Count counts the outcome of messages by topic: taken, refused or failed.
type Count func(topic device.UpTopic, outcome string, n int)

// Service is the use cases. It is safe for concurrent use.
type Service struct {
	store    Store
	clock    clock.Clock
	handlers Handlers
	count    Count
	pace     *device.Pace
	takes    map[device.UpTopic]taker
	welcomes []welcomer
}

// New returns a Service over a store.
func New(store Store, clock clock.Clock, handlers Handlers, count Count) *Service {
	s := &Service{store: store, clock: clock, handlers: handlers, count: count, pace: device.NewPace()}
	s.takes, s.welcomes = s.takers(), s.welcomers()
	return s
}

// taker does what a message asks for. An error that is the device's fault (INVALID_ARGUMENT,
// NOT_FOUND, FAILED_PRECONDITION, ALREADY_EXISTS, PERMISSION_DENIED) refuses the message: it is noted
// in the device's event log and does not be redelivered. After any other error it is redelivered, so a
// taker must bear a message twice.
type taker func(ctx context.Context, m device.UpMessage) error

// takers says who takes what. A topic without a row is refused.
func (s *Service) takers() map[device.UpTopic]taker {
	return map[device.UpTopic]taker{
		device.UpTelemetry:      s.takeTelemetry,
		device.UpPosition:       s.takePositions,
		device.UpState:          s.takeState,
		device.UpEvents:         s.takeEvent,
		device.UpCommandAck:     s.handlers.Commands.TakeAck,
		device.UpCommandLog:     s.handlers.Commands.TakeLog,
		device.UpCommandResult:  s.takeResult,
		device.UpConfigReported: s.handlers.Twins.TakeReport,
	}
}

// takeResult has the camera processed whose stream waited for the command.
func (s *Service) takeResult(ctx context.Context, m device.UpMessage) error {
	commandID, err := s.handlers.Commands.TakeResult(ctx, m)
	if err != nil {
		return err
	}
	return s.handlers.Cameras.Answered(ctx, m.DeviceID, commandID)
}

func (s *Service) untaken(_ context.Context, m device.UpMessage) error {
	return errs.Invalid("topic", "nobody takes %.80q", m.Topic)
}

// welcomer does what a device that has just connected waits for. It may be called again for the same
// connection, and for a device that was there all the time.
type welcomer func(ctx context.Context, deviceID string) error

// welcomers says what is done for a device that is there again: desired configuration, queued commands.
func (s *Service) welcomers() []welcomer {
	return []welcomer{s.handlers.Commands.SendWaiting, s.handlers.Vehicles.Hurry, s.handlers.Twins.Welcome}
}

// TakeAll handles messages of devices, and says of each what Take would. Telemetry is stored in one
// transaction.
func (s *Service) TakeAll(ctx context.Context, messages []device.UpMessage) []error {
	outcomes := make([]error, len(messages))
	var recordings []telemetry.Recording
	var of []int // which message a recording is of
	for i, m := range messages {
		if m.Topic != device.UpTelemetry {
			outcomes[i] = s.Take(ctx, m)
			continue
		}
		recording, err := readRecording(m)
		if err != nil {
			outcomes[i] = s.settle(ctx, m, err)
			continue
		}
		recordings, of = append(recordings, recording), append(of, i)
	}
	if len(recordings) == 0 {
		return outcomes
	}
	err := s.handlers.Telemetry.Take(ctx, recordings)
	for _, i := range of {
		outcomes[i] = err
	}
	if err == nil {
		s.count(device.UpTelemetry, "taken", len(of))
	}
	return outcomes
}

// readRecording reads a message of telemetry.
func readRecording(m device.UpMessage) (telemetry.Recording, error) {
	if err := checkPayload(m); err != nil {
		return telemetry.Recording{}, err
	}
	readings, err := readReadings(m)
	return telemetry.Recording{DeviceID: m.DeviceID, Readings: readings, ArrivedAt: m.ArrivedAt}, err
}

func (s *Service) takeTelemetry(ctx context.Context, m device.UpMessage) error {
	recording, err := readRecording(m)
	if err != nil {
		return err
	}
	return s.handlers.Telemetry.Take(ctx, []telemetry.Recording{recording})
}

// Take handles one message of a device. nil: done with, also when it was refused; that is noted in
// the device's event log. An error: not now, deliver it again.
func (s *Service) Take(ctx context.Context, m device.UpMessage) error {
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

// settle counts the outcome of the message, and notes when it was refused.
func (s *Service) settle(ctx context.Context, m device.UpMessage, err error) error {
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

func checkPayload(m device.UpMessage) error {
	if len(m.Payload) > device.MaxPayload {
		return errs.Invalid("payload", "has %d bytes, more than %d", len(m.Payload), device.MaxPayload)
	}
	return nil
}

// blamesDevice reports whether sending the message again would be refused again.
func blamesDevice(err error) bool {
	return errs.FaultOf(err) == errs.FaultInput || errs.From(err).Code == errs.PermissionDenied
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
